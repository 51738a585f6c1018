"""The photo as left eye, as right eye, and between both: what is real, what is exact, and what the maps mean."""

import json

import numpy as np
import pytest
import torch
from tests.generation.parts import make_photo, make_photos, tiny_generator

from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.errors import InputError
from wheatstone.files import decode_png, encode_png, read_photo
from wheatstone.generation import generate
from wheatstone.geometry import backward_warp, forward_warp
from wheatstone.samples import Origin, to_uint8
from wheatstone.synthesis import load_synthesizer


@pytest.fixture
def photo(tmp_path):
    return read_photo(make_photo(tmp_path / "cat.png"))


def _make(photo, side, **options):
    return tiny_generator(synthetic_view=side, **options)(photo, "k")


def test_the_photo_as_right_eye_is_the_mirror_of_the_photo_as_left_eye(photo):
    """With the same disparity, right-to-left is left-to-right seen in a mirror."""
    disparity = torch.linspace(1, 9, 96).expand(72, 96)
    left = _make(photo, "left")
    assert left.baselines == {"left": 0.0, "right": 1.0}
    assert left.provenance["synthetic_views"] == ["left"]
    np.testing.assert_array_equal(to_uint8(left.views["right"]), photo.image)
    made = tiny_generator(synthetic_view="left")(photo, "k", disparity=disparity)
    mirrored = np.ascontiguousarray(photo.image[:, ::-1])
    seen = tiny_generator()(mirrored, "k", disparity=disparity.flip(-1))
    assert torch.equal(made.views["left"].flip(-1), seen.views["right"])
    assert torch.equal(made.extras["origin_left"].flip(-1), seen.origin)
    assert torch.equal(made.extras["disparity_right"].flip(-1), seen.disparity)


@pytest.mark.parametrize("side", ["left", "both"])
def test_disparity_of_a_synthetic_left_view_leads_to_the_same_thing_in_the_right_view(photo, side):
    disparity = torch.full((72, 96), 6.0)
    disparity[20:50, 30:60] = 14.0
    sample = tiny_generator(synthetic_view=side)(photo, "k", disparity=disparity)
    assert sample.reference == "left"
    assert sample.disparity[sample.valid].unique().tolist() == [6.0, 14.0]
    fetched = backward_warp(sample.views["right"][None], sample.disparity[None])[0]
    both = (sample.visible & sample.valid).expand(3, -1, -1)
    assert both.float().mean() > 0.8
    assert (fetched - sample.views["left"])[both].abs().max() <= 2.1 / 255  # both are rounded to 8 bits
    painted = sample.extras["origin_left"] != Origin.WARPED
    assert torch.equal(sample.valid, ~painted)
    assert sample.disparity[painted].eq(0).all()
    assert not sample.visible[painted].any()


def test_both_eyes_are_moved_by_half(photo):
    disparity = torch.full((72, 96), 8.0)
    sample = tiny_generator(synthetic_view="both")(photo, "k", disparity=disparity)
    assert sample.baselines == {"left": 0.0, "center": 0.5, "right": 1.0}
    assert sample.provenance["synthetic_views"] == ["left", "right"]
    image = sample.views["center"]
    np.testing.assert_array_equal(to_uint8(image), photo.image)
    assert torch.equal(sample.views["left"][..., 4:], image[..., :-4])  # content moves to the right for the left eye
    assert torch.equal(sample.views["right"][..., :-4], image[..., 4:])
    assert sample.disparity[sample.valid].eq(8).all()
    assert torch.equal(sample.origin == Origin.BORDER, (torch.arange(96) >= 92).expand(1, 72, 96))
    assert torch.equal(sample.extras["origin_left"] == Origin.BORDER, (torch.arange(96) < 4).expand(1, 72, 96))
    # what leaves the frame on the right side is seen by the left eye alone
    assert torch.equal(sample.visible[0, 0], (torch.arange(96) >= 8) & (torch.arange(96) < 96))


def test_nothing_is_painted_in_a_real_right_view(photo):
    sample = _make(photo, "left")
    assert sample.origin is None
    assert not sample.hole.any()


@pytest.mark.parametrize("side", ["left", "both"])
def test_the_data_set_keeps_and_checks_the_promise(tmp_path, side):
    photos, out = make_photos(tmp_path / "in", 2), tmp_path / "out"
    generate(photos, out, tiny_generator(synthetic_view=side), report_samples=2)
    assert verify_dataset(out).ok
    dataset = load_dataset(out)
    line = dataset.lines[dataset.keys[0]]
    real = [name for name, entry in line["baselines"].items() if not entry["synthetic"]]
    assert real == [{"left": "right", "both": "center"}[side]]
    header = json.loads((out / "dataset.json").read_text())
    assert header["config"]["synthetic_view"] == side
    assert "origin_left" in header["conventions"]["left"]
    assert any("generated" in note for note in header["notes"])
    made = tiny_generator(synthetic_view=side)(photos / dataset.keys[0], dataset.keys[0])
    stored = dataset[0]
    for name in ("disparity", "valid", "visible", "hole", "confidence"):
        assert torch.equal(getattr(stored, name), getattr(made, name)), name
    for name, values in made.extras.items():
        assert torch.equal(stored.extras[name], values), name
    page = (out / "report.html").read_text()
    assert "Synthesised left view" in page
    assert "Holes, left view" in page


def _spoil(out, folder, change):
    path = next((out / folder).rglob("*.png"))
    data = path.read_bytes()
    from wheatstone.files import png_text

    array = decode_png(data).copy()
    change(array)
    path.write_bytes(encode_png(array, png_text(data)))


@pytest.mark.parametrize(
    ("folder", "change", "promise"),
    [
        ("left", lambda a: a.__setitem__((40, 50), 255 - a[40, 50]), "warp"),
        ("disparity", lambda a: a.__setitem__((40, 50), a[40, 50] + 9), "disparity"),
        ("mask_nocc", lambda a: a.__setitem__((40, 50), 255 - a[40, 50]), "visible"),
        ("origin_left", lambda a: a.__setitem__((40, 50), 9), "origin"),
        ("disparity_right", lambda a: a.__iadd__(700), "warp"),
    ],
)
def test_verify_finds_what_is_broken(tmp_path, folder, change, promise):
    out = tmp_path / "out"
    generate(make_photos(tmp_path / "in", 1), out, tiny_generator(synthetic_view="left"), report_samples=0)
    _spoil(out, folder, change)
    assert promise in {problem.promise for problem in verify_dataset(out).problems}


def test_further_checks(photo, tmp_path):
    with pytest.raises(InputError, match="synthetic_view"):
        tiny_generator(synthetic_view="up")
    # the configuration of data sets that were made before there was a choice stays what it is
    assert "synthetic_view" not in tiny_generator().config
    assert len({str(tiny_generator(synthetic_view=side).config) for side in ("right", "left", "both")}) == 3
    # the painter draws other numbers for either eye
    pool = tmp_path / "pool"
    make_photo(pool / "a.png", 5)
    make_photo(pool / "b.png", 6)
    painter = load_synthesizer("background", weights=pool)
    sample = _make(photo, "both", synthesizer=painter)
    holes = [
        sample.views["left"].masked_select(sample.extras["origin_left"] > 0),
        sample.views["right"].masked_select(sample.hole),
    ]
    assert min(len(values) for values in holes) > 30
    assert torch.equal(_make(photo, "both", synthesizer=painter).views["left"], sample.views["left"])


def test_known_pixels_of_both_eyes_are_exact(photo):
    sample = _make(photo, "both")
    image, disparity = sample.views["center"][None], sample.extras["disparity_center"][None]
    right = forward_warp(image, disparity * 0.5)
    known = ~sample.hole[0]
    assert np.array_equal(to_uint8(right.image[0])[known], to_uint8(sample.views["right"])[known])
    left = forward_warp(image.flip(-1), disparity.flip(-1) * 0.5)
    known = sample.extras["origin_left"][0] == Origin.WARPED
    assert np.array_equal(to_uint8(left.image[0].flip(-1))[known], to_uint8(sample.views["left"])[known])
