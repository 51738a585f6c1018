"""Disparity from files: which file belongs to which photo, what is known in it, and that the unknown stays unknown."""

import json

import numpy as np
import pytest
import torch
from tests.generation.parts import make_photos, tiny_generator

from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.errors import FileFormatError, InputError, OutputError, ShapeError
from wheatstone.files import encode_png, write_bytes, write_disparity
from wheatstone.generation import CleanUp, DisparityFolder, StereoGenerator, generate
from wheatstone.geometry import forward_warp
from wheatstone.samples import Origin
from wheatstone.synthesis import load_synthesizer

H, W = 72, 96


def _truth(height=H, width=W, seed=0):
    """A slanted floor with a box in front, in pixels, and a mask that knows a third of it."""
    floor = torch.linspace(2.25, 6.5, width).expand(height, width).clone()
    floor[height // 3 : height // 2, width // 3 : width // 2] = 11.0
    return floor, torch.from_numpy(np.random.default_rng(seed).random((height, width)) < 0.35)


def _folder(tmp_path, suffixes=(".pfm", ".npy", ".png"), known=True):
    """Photos and their maps in every format."""
    photos, maps = make_photos(tmp_path / "in", len(suffixes)), tmp_path / "maps"
    for number, suffix in enumerate(suffixes):
        height = H + 8 * (number % 2)
        disparity, valid = _truth(height, seed=number)
        path = maps / f"set{number % 3}" / f"{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npz":
            np.savez(path, disparity=disparity.numpy(), valid=valid.numpy())
        else:
            write_disparity(path, disparity, valid if known else None)
    return photos, maps


def _generator(maps, synthesizer="rows", **options):
    reading = {name: options.pop(name) for name in ("png_scale", "zero") if name in options}
    return StereoGenerator(None, None, synthesizer, disparities=DisparityFolder(maps, **reading), **options)


def _generate(photos, out, generator):
    return generate(photos, out, generator, report_samples=0)


def test_what_is_known_is_kept_and_the_rest_is_unknown(tmp_path):
    photos, maps = _folder(tmp_path, (".pfm", ".npy", ".png", ".npz"))
    summary = _generate(photos, tmp_path / "out", _generator(maps))
    assert (summary.written, dict(summary.rejected)) == (4, {})
    assert verify_dataset(tmp_path / "out").ok
    for number, sample in enumerate(load_dataset(tmp_path / "out")):
        number = int(sample.key.split("/")[1][0])
        disparity, valid = _truth(H + 8 * (number % 2), seed=number)
        assert torch.equal(sample.valid[0], valid)
        assert (sample.disparity[0] - disparity)[valid].abs().max() <= 1 / 512
        assert sample.disparity[0][~valid].eq(0).all()  # the code 0, which says unknown
        assert not sample.visible[0][~valid].any()
        assert torch.equal(sample.confidence[0], valid.float())
        assert sample.provenance["scale_px"] is None
        about = sample.provenance["given_disparity"]
        assert about["file"].startswith(sample.key.rsplit(".", 1)[0])
        assert len(about["sha256"]) == 64


def test_unknown_pixels_land_nowhere(tmp_path):
    photos, maps = _folder(tmp_path, (".pfm",))
    sample = _generator(maps, "warp")(photos / "set0/0.jpg", "set0/0.jpg")
    warp = forward_warp(sample.views["left"][None], sample.disparity[None], sample.valid[None])
    hole = warp.hole[0]
    assert torch.equal(sample.hole, hole)
    assert sample.views["right"].masked_select(hole).eq(0).all()  # nothing was moved there by zero
    assert sample.origin[~hole].eq(Origin.WARPED).all()
    # most of the holes are there because nothing is known, some because the box hides the floor, and the border
    counts = torch.bincount(sample.origin.flatten().long(), minlength=6)
    assert counts[Origin.GENERATED] > 0.8 * hole.sum()
    dense = _generator(maps, "warp")(photos / "set0/0.jpg", "k", disparity=_truth()[0])
    assert (dense.origin == Origin.GENERATED).sum() == 0
    assert counts[Origin.BORDER] <= (dense.origin == Origin.BORDER).sum() * 1.2
    assert counts[Origin.BORDER] > 0


def test_completing_paints_the_unknown_and_still_says_so(tmp_path):
    photos, maps = _folder(tmp_path, (".pfm",))
    plain, complete = (_generator(maps, complete_unknown=c)(photos / "set0/0.jpg", "set0/0.jpg") for c in (False, True))
    for name in ("disparity", "valid", "visible", "hole", "origin"):
        assert torch.equal(getattr(plain, name), getattr(complete, name)), name
    assert torch.equal(_generator(maps)(photos / "set0/0.jpg", "set0/0.jpg").views["right"], complete.views["right"])
    known = ~plain.hole.expand(3, -1, -1)
    assert torch.equal(plain.views["right"][known], complete.views["right"][known])
    truth = _generator(maps)(photos / "set0/0.jpg", "k", disparity=_truth()[0]).views["right"]
    error = [(sample.views["right"] - truth)[~known].abs().mean() for sample in (plain, complete)]
    assert error[1] < 0.7 * error[0]
    assert _generator(maps, complete_unknown=False).config != _generator(maps).config
    assert not _generator(maps, "warp").complete_unknown
    assert not tiny_generator().complete_unknown


def test_a_folder_of_ours_and_other_sizes(tmp_path):
    photos = make_photos(tmp_path / "in", 2)
    _generate(photos, tmp_path / "first", tiny_generator())
    maps = tmp_path / "first" / "disparity"  # named by the full name of the photo
    _generate(photos, tmp_path / "again", _generator(maps))
    for one, two in zip(load_dataset(tmp_path / "first"), load_dataset(tmp_path / "again"), strict=True):
        assert torch.equal(one.disparity, two.disparity)
        assert torch.equal(one.views["right"], two.views["right"])
    small = _generator(maps, max_side=48)(photos / "set0/0.jpg", "set0/0.jpg")
    whole = load_dataset(tmp_path / "first")[0]
    assert small.views["right"].shape == (3, 36, 48)
    assert small.disparity.max() == pytest.approx(float(whole.disparity.max()) / 2, abs=0.1)  # pixels of this width
    assert small.provenance["given_disparity"]["size"] == [96, 72]
    assert (small.disparity - whole.disparity[:, 1::2, 1::2] / 2).abs().max() <= 1 / 512  # nearest, never mixed


def test_a_map_of_half_the_size_is_taken_from_the_nearest_pixel(tmp_path):
    photos, maps = make_photos(tmp_path / "in", 1), tmp_path / "maps"
    disparity, valid = _truth(H // 2, W // 2)
    (maps / "set0").mkdir(parents=True)
    write_disparity(maps / "set0/0.pfm", disparity, valid)
    sample = _generator(maps)(photos / "set0/0.jpg", "set0/0.jpg")
    twice = valid.repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.equal(sample.valid[0], twice)
    assert (sample.disparity[0][::2, ::2] - 2 * disparity)[valid].abs().max() <= 1 / 512


@pytest.mark.parametrize(
    ("shape", "fits"), [((72, 94), False), ((96, 72), False), ((70, 96), False), ((37, 49), True), ((144, 192), True)]
)
def test_only_the_same_shape_fits(tmp_path, shape, fits):
    photos, maps = make_photos(tmp_path / "in", 1), tmp_path / "maps"
    (maps / "set0").mkdir(parents=True)
    write_disparity(maps / "set0/0.pfm", torch.ones(shape))
    summary = _generate(photos, tmp_path / "out", _generator(maps))
    assert summary.written == fits
    if not fits:
        assert f"{shape[1]} x {shape[0]} pixels, the photo 96 x 72" in summary.rejected["set0/0.jpg"]


def test_a_photo_without_a_map_is_rejected_and_taken_up_later(tmp_path):
    photos, maps = _folder(tmp_path)
    (maps / "set1/1.npy").rename(tmp_path / "away.npy")
    summary = _generate(photos, tmp_path / "out", _generator(maps))
    assert (summary.written, list(summary.rejected)) == (2, ["set1/1.png"])
    assert "no disparity file: none of 1.pfm, 1.npy, 1.npz, 1.disparity.png, 1.png" in summary.rejected["set1/1.png"]
    lines = (tmp_path / "out/rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["file"]
    (tmp_path / "away.npy").rename(maps / "set1/1.npy")
    summary = _generate(photos, tmp_path / "out", _generator(maps))
    assert (summary.samples, summary.written, dict(summary.rejected)) == (3, 1, {})
    assert verify_dataset(tmp_path / "out").ok
    assert _generate(photos, tmp_path / "out", _generator(maps)).written == 0


def test_another_map_or_configuration_does_not_go_on(tmp_path):
    photos, maps = _folder(tmp_path)
    _generate(photos, tmp_path / "out", _generator(maps))
    with pytest.raises(OutputError, match="configuration"):
        _generate(photos, tmp_path / "out", tiny_generator())
    with pytest.raises(OutputError, match="png_scale"):
        _generate(photos, tmp_path / "out", _generator(maps, png_scale=100.0))
    write_disparity(maps / "set0/0.pfm", _truth()[0] + 1)
    with pytest.raises(InputError, match=r"'set0/0\.jpg' made by another disparity file"):
        _generate(photos, tmp_path / "out", _generator(maps))


def test_a_folder_that_has_nothing_for_any_photo(tmp_path):
    photos = make_photos(tmp_path / "in", 2)
    (tmp_path / "maps").mkdir()
    with pytest.raises(
        InputError, match=r"no disparity file for any of the 2 photos; that of set0/0\.jpg would be set0/0\.pfm"
    ):
        _generate(photos, tmp_path / "out", _generator(tmp_path / "maps"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no such folder"):
        DisparityFolder(tmp_path / "nowhere")


def _png(codes, path, bits=np.uint16):
    write_bytes(path, encode_png(codes.astype(bits)))


def test_png_without_a_scale_is_kittis_and_says_so(tmp_path):
    photos, maps = make_photos(tmp_path / "in", 1), tmp_path / "maps"
    codes = np.full((H, W), 5 * 256)
    codes[:9] = 0
    _png(codes, maps / "set0/0.png")
    generator = _generator(maps)
    assert any("KITTI" in note and "256" in note for note in generator.notes)
    sample = generator(photos / "set0/0.jpg", "set0/0.jpg")
    assert sample.disparity[0, 9:].eq(5).all()
    assert not sample.valid[0, :9].any()
    assert sample.provenance["given_disparity"]["scale"] == 256
    told = _generator(maps, png_scale=128.0)
    assert told.notes == ()
    assert told(photos / "set0/0.jpg", "set0/0.jpg").disparity[0, 9:].eq(10).all()
    assert told.config["disparity"]["png_scale"] == 128
    _png(np.full((H, W), 20), maps / "set0/0.png", np.uint8)
    with pytest.raises(FileFormatError, match=r"disparity set0/0\.png: a 8-bit PNG"):
        generator(photos / "set0/0.jpg", "set0/0.jpg")


def test_zeros_of_unknown_meaning(tmp_path):
    photos, maps = make_photos(tmp_path / "in", 1), tmp_path / "maps"
    disparity, valid = _truth()
    path = maps / "set0/0.npy"
    path.parent.mkdir(parents=True)
    np.save(path, torch.where(valid, disparity, 0).numpy())
    call = (photos / "set0/0.jpg", "set0/0.jpg")
    with pytest.raises(FileFormatError, match="--disparity-zero known or unknown"):
        _generator(maps)(*call)
    assert torch.equal(_generator(maps, zero="unknown")(*call).valid[0], valid)
    assert _generator(maps, zero="known")(*call).valid.all()
    disparity[0, :9] = 0  # a few zeros are the far end of a normalised map
    np.save(path, disparity.numpy())
    far = _generator(maps)(*call)
    assert far.valid.all()
    assert far.disparity[0, 0, :9].eq(1 / 256).all()
    np.save(path, torch.where(valid, torch.where(disparity > 3, disparity, 0), torch.nan).numpy())
    assert torch.equal(_generator(maps)(*call).valid[0], valid)  # NaN says what is unknown, so 0 is known
    with pytest.raises(InputError, match="known"):
        DisparityFolder(maps, zero="perhaps")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((H, W), -3.0, np.float32), "sign turned"),
        (np.full((H, W), np.nan, np.float32), "no pixel of the map is known"),
        (np.ones((H, W), np.float16), "float16"),
        (np.ones((H, W), np.int32), "whole numbers"),
        (np.ones((H, W, 3), np.float32), r"a map is \[H,W\]"),
        (np.full((H, W), 5000.0, np.float32), "does not fit into 16 bits"),
    ],
)
def test_maps_that_cannot_be_used_are_rejected_with_the_reason(tmp_path, values, words):
    photos, maps = make_photos(tmp_path / "in", 1), tmp_path / "maps"
    (maps / "set0").mkdir(parents=True)
    np.save(maps / "set0/0.npy", values)
    summary = _generate(photos, tmp_path / "out", _generator(maps))
    reason = summary.rejected["set0/0.jpg"]
    assert summary.written == 0
    with pytest.raises(InputError, match=words):
        raise InputError(reason)
    assert str(tmp_path) not in reason


def test_clean_up_only_when_asked(tmp_path):
    photos, maps = _folder(tmp_path, (".pfm",), known=False)
    call = (photos / "set0/0.jpg", "set0/0.jpg")
    assert _generator(maps).clean_up == CleanUp(0, 0.0)
    cleaned = _generator(maps, clean_up=CleanUp(2, 3.0))(*call)
    assert (cleaned.disparity == 11).sum() > (_generator(maps)(*call).disparity == 11).sum()


def test_disparity_in_python(tmp_path):
    photos = make_photos(tmp_path / "in", 1)
    path, generator = photos / "set0/0.jpg", tiny_generator()
    disparity, valid = _truth()
    sample = generator(path, disparity=disparity[None, None], valid=valid[None, None])
    assert torch.equal(sample.valid[0], valid)
    holed = torch.where(valid, disparity, torch.inf)
    assert torch.equal(generator(path, disparity=holed).valid[0], valid)
    with pytest.raises(ShapeError, match="one floating disparity map"):
        generator(path, disparity=torch.ones(2, H, W))
    with pytest.raises(ShapeError, match="bool map"):
        generator(path, disparity=disparity, valid=valid[:5])
    with pytest.raises(InputError, match="no depth estimator"):
        StereoGenerator(None, None, load_synthesizer("rows"))(path)
