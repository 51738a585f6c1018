"""Point clouds: where points lie, what is left out, and that both files say what they hold."""

import json
import struct

import numpy as np
import pytest
import torch

from wheatstone.errors import InputError, ShapeError
from wheatstone.files import Calibration
from wheatstone.viewing.point_cloud import point_cloud, write_glb, write_ply

CAMERA = Calibration(100.0, 0.2, 5.0, 3.0, 2.0)


def pair(height=5, width=8, disparity=15.0):
    image = torch.zeros(1, 3, height, width)
    image[:, 0] = torch.linspace(0, 1, width)
    return image, torch.full((1, 1, height, width), disparity)


def test_metric_points_follow_the_formula():
    image, disparity = pair()
    cloud = point_cloud(image, disparity, calibration=CAMERA)
    assert cloud.unit == "m"
    assert cloud.points.shape == (40, 3)
    depth = 100 * 0.2 / (15 + 5)
    rows, columns = np.mgrid[:5, :8]
    expected = np.stack([(columns - 3) * depth / 100, -(rows - 2) * depth / 100, np.full((5, 8), -depth)], -1)
    np.testing.assert_allclose(cloud.points, expected.reshape(-1, 3), atol=1e-6)
    assert cloud.colours[7].tolist() == [255, 0, 0]
    assert "metric: focal 100 px, baseline 0.2 m, doffs 5 px" in cloud.about


def test_without_calibration_it_is_relative_and_says_so():
    image, disparity = pair()
    cloud = point_cloud(image, disparity)
    assert cloud.unit == "baseline"
    assert "relative" in cloud.about
    assert "guessed as the image width, 8 px" in cloud.about
    np.testing.assert_allclose(cloud.points[:, 2], -8 / 15, rtol=1e-6)
    known = point_cloud(image, disparity, focal_px=30)
    np.testing.assert_allclose(known.points[:, 2], -2, rtol=1e-6)
    assert "focal length 30 px" in known.about
    np.testing.assert_allclose(known.points[:, :2].mean(axis=0), 0, atol=1e-6)  # the axis goes through the middle


def test_what_gives_no_point():
    image, disparity = pair()
    disparity[..., 0, 0], disparity[..., 0, 1], disparity[..., 0, 2] = torch.nan, 0.0, -3.0
    keep = torch.ones_like(disparity, dtype=torch.bool)
    keep[..., 1, :] = False
    cloud = point_cloud(image, disparity, keep)
    assert len(cloud.points) == 40 - 3 - 8
    assert cloud.at_infinity == 2
    assert np.isfinite(cloud.points).all()
    shifted = point_cloud(image, disparity, keep, CAMERA)  # with doffs 5 even -3 px is a finite depth
    assert (len(shifted.points), shifted.at_infinity) == (40 - 1 - 8, 0)


def test_pixels_between_two_depths_are_left_out():
    image, disparity = pair(8, 12, 10.0)
    disparity[..., :5], disparity[..., 5] = 30.0, 20.0
    cloud = point_cloud(image, disparity)
    assert cloud.on_edges == 8
    assert len(cloud.points) == 88
    assert point_cloud(image, disparity, edges=False).on_edges == 0
    ramp = torch.linspace(10, 13, 12).expand(1, 1, 8, 12)
    assert point_cloud(image, ramp).on_edges == 0


def test_maps_of_other_sizes_are_refused():
    image, disparity = pair()
    with pytest.raises(ShapeError):
        point_cloud(image, disparity[..., 1:])
    with pytest.raises(InputError, match="9 x 5"):
        point_cloud(image, disparity, calibration=Calibration(100.0, 0.2, width=9, height=5))


def test_ply_holds_points_colours_unit_and_axes(tmp_path):
    cloud = point_cloud(*pair(), calibration=CAMERA)
    write_ply(tmp_path / "c.ply", cloud)
    header, _, body = (tmp_path / "c.ply").read_bytes().partition(b"end_header\n")
    text = header.decode("ascii").splitlines()
    assert text[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "comment unit: m" in text
    assert any(line.startswith("comment axes: x right, y up") for line in text)
    assert "element vertex 40" in text
    rows = np.frombuffer(body, [("point", "<f4", 3), ("colour", "u1", 3)])
    np.testing.assert_array_equal(rows["point"], cloud.points)
    np.testing.assert_array_equal(rows["colour"], cloud.colours)


def test_glb_is_valid_gltf(tmp_path):
    cloud = point_cloud(*pair())
    write_glb(tmp_path / "c.glb", cloud)
    data = (tmp_path / "c.glb").read_bytes()
    magic, version, length, size, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    assert size % 4 == 0
    scene = json.loads(data[20 : 20 + size])
    body_size, body_kind = struct.unpack_from("<I4s", data, 20 + size)
    body = data[28 + size :]
    assert (body_kind, body_size) == (b"BIN\0", len(body))
    assert scene["buffers"][0]["byteLength"] == len(body)
    points = np.frombuffer(body[: 12 * 40], "<f4").reshape(-1, 3)
    np.testing.assert_array_equal(points, cloud.points)
    position, colour = scene["accessors"]
    np.testing.assert_allclose(position["min"], points.min(axis=0))
    np.testing.assert_allclose(position["max"], points.max(axis=0))
    linear = np.frombuffer(body[12 * 40 :], "<f4").reshape(-1, 3)
    assert (colour["componentType"], colour["type"]) == (5126, "VEC3")
    assert linear[7].tolist() == [1, 0, 0]
    middle = cloud.colours[3, 0] / 255
    assert linear[3, 0] == pytest.approx(((middle + 0.055) / 1.055) ** 2.4, abs=1e-4)
    assert scene["meshes"][0]["primitives"][0]["mode"] == 0
    assert scene["asset"]["extras"]["unit"] == "baseline"
    assert "relative" in scene["asset"]["extras"]["about"]


def test_an_empty_cloud_is_a_ply_but_no_glb(tmp_path):
    image, disparity = pair()
    cloud = point_cloud(image, disparity * 0)
    write_ply(tmp_path / "c.ply", cloud)
    assert b"element vertex 0\n" in (tmp_path / "c.ply").read_bytes()
    with pytest.raises(InputError, match="no points"):
        write_glb(tmp_path / "c.glb", cloud)
