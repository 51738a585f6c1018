"""The verifier finds every kind of broken promise, and none where none is broken."""

import json

import numpy as np
import pytest
from tests.datasets.samples import synthetic_sample, write_dataset

from wheatstone.datasets.verify import summarise, verify_dataset
from wheatstone.datasets.writer import DatasetWriter
from wheatstone.errors import DatasetError, InputError
from wheatstone.files import decode_png, encode_png


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "out")


def _edit(path, change, text=None):
    array = decode_png(path.read_bytes()).copy()
    changed = change(array)
    path.write_bytes(encode_png(array if changed is None else changed, text))


def _edit_lines(path, change):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in (change(lines) or lines)))


def _promises(folder, **options):
    return {(problem.key, problem.promise) for problem in verify_dataset(folder, **options).problems}


def test_a_good_data_set_has_no_problems(dataset):
    seen = []
    result = verify_dataset(dataset, progress=seen.append)
    assert result.ok, result.problems
    assert (result.samples, len(seen)) == (3, 3)


def test_a_changed_known_pixel_breaks_the_warp(dataset):
    painted = decode_png((dataset / "mask_inpaint" / "a.jpg.png").read_bytes()) > 0
    row, column = np.argwhere(~painted)[7]

    def change(array):
        array[row, column, 1] ^= 1

    _edit(dataset / "right" / "a.jpg.png", change)
    assert _promises(dataset) == {("a.jpg", "warp")}
    assert "1 pixel of right" in verify_dataset(dataset).problems[0].detail
    assert _promises(dataset, tolerance=1) == set()


def test_a_synthetic_view_needs_a_real_one(dataset):
    def change(lines):
        for line in lines[:1]:
            line["baselines"]["left"]["synthetic"] = True
        for line in lines[1:2]:  # and where the photo is said to be the right eye, its own disparity must be there
            line["baselines"]["left"]["synthetic"], line["baselines"]["right"]["synthetic"] = True, False

    keys = [json.loads(line)["key"] for line in (dataset / "manifest.jsonl").read_text().splitlines()]
    _edit_lines(dataset / "manifest.jsonl", change)
    assert _promises(dataset) == {(keys[0], "source"), (keys[1], "file")}


def test_painted_pixels_are_free(dataset):
    painted = decode_png((dataset / "mask_inpaint" / "a.jpg.png").read_bytes()) > 0
    assert painted.any()

    def change(array):
        array[painted] ^= 255

    _edit(dataset / "right" / "a.jpg.png", change)
    assert verify_dataset(dataset).ok


def _add_one(array):
    array[5:9, 5:9] += 300


def _bump_mask(array):
    array[3, 3] = 7


def _flip_mask(array):
    array[3, 3] ^= 255


def _open_a_hole(array):
    array[array > 0] = 0


@pytest.mark.parametrize(
    ("folder", "change", "expected"),
    [
        ("disparity", _add_one, {"warp", "hole", "visible", "quality", "scale"}),  # the text chunk is lost too
        ("mask_nocc", _flip_mask, {"visible", "quality"}),
        ("mask_nocc", _bump_mask, {"mask", "visible", "quality"}),
        ("mask_inpaint", _open_a_hole, {"hole", "origin", "warp", "quality"}),
        ("origin", lambda a: a + 9, {"origin"}),
        ("confidence", lambda a: a // 2, {"quality"}),
        ("confidence", lambda a: a.astype(np.uint8), {"pixels"}),
        ("left", lambda a: a[:-1], {"size"}),
        ("left", lambda a: a[..., 0], {"pixels"}),
    ],
)
def test_edited_files(dataset, folder, change, expected):
    _edit(dataset / folder / "a.jpg.png", change)
    found = {promise for key, promise in _promises(dataset) if key == "a.jpg"}
    assert found == expected


def test_missing_truncated_and_stray_files(dataset):
    (dataset / "right" / "b" / "c.png.png").unlink()
    whole = (dataset / "left" / "a.jpg.png").read_bytes()
    (dataset / "left" / "a.jpg.png").write_bytes(whole[:-30])
    (dataset / "left" / "extra.jpg.png").write_bytes(whole)
    (dataset / "origin" / ".tmp-00.png").write_bytes(b"")
    (dataset / "notes.txt").write_text("mine")  # not in a folder of the format: the user's own business
    assert _promises(dataset) == {("b/c.png", "file"), ("a.jpg", "file"), (None, "stray")}
    assert sum(problem.promise == "stray" for problem in verify_dataset(dataset).problems) == 2


def test_a_lost_scale_is_noticed(dataset):
    _edit(dataset / "disparity" / "a.jpg.png", lambda a: None, {"wheatstone:scale": "64"})
    assert _promises(dataset) == {("a.jpg", "scale")}


def _unsort(lines):
    return lines[::-1]


def _duplicate(lines):
    return [lines[0], *lines]


def _wrong_id(lines):
    lines[0]["id"] = "a.jpg"


def _wrong_key(lines):
    lines[0]["key"] = "../a.jpg"


def _wrong_size(lines):
    lines[0]["width"] += 1


def _wrong_figure(lines):
    lines[0]["quality"]["hole_share"] += 0.01


def _wrong_scale(lines):
    lines[0]["disparity_scale"] = 100


def _no_files(lines):
    del lines[0]["files"]


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        (_unsort, "manifest"),
        (_duplicate, "manifest"),
        (_wrong_id, "id"),
        (_wrong_key, "key"),
        (_wrong_size, "size"),
        (_wrong_figure, "quality"),
        (_wrong_scale, "scale"),
        (_no_files, "manifest"),
    ],
)
def test_edited_manifest(dataset, change, promise):
    _edit_lines(dataset / "manifest.jsonl", change)
    assert promise in {found for _, found in _promises(dataset)}


def _header(dataset, **changes):
    path = dataset / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"seed": 4}, "configuration"),
        ({"counts": {"samples": 9, "rejected": 0}}, "counts"),
        ({"counts": {"samples": 3, "rejected": 5}}, "counts"),
        ({"complete": False}, "complete"),
        ({"format_version": 2}, "header"),
    ],
)
def test_edited_header(dataset, changes, promise):
    _header(dataset, **changes)
    assert _promises(dataset) == {(None, promise)}


def test_a_sample_that_is_rejected_too(dataset):
    (dataset / "rejected.jsonl").write_text('{"key":"a.jpg","reason":"x"}\n')
    _header(dataset, counts={"samples": 3, "rejected": 1})
    assert _promises(dataset) == {("a.jpg", "rejected")}


def test_a_torn_manifest_of_a_finished_data_set(dataset):
    path = dataset / "manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert _promises(dataset) == {(None, "header")}


def test_a_real_right_view_need_not_be_a_warp(tmp_path):
    sample = synthetic_sample("scene")
    sample = synthetic_sample(
        "scene",
        views={"left": sample.views["left"], "right": sample.views["left"].flip(0)},
        origin=None,
        provenance={},
    )
    with DatasetWriter(tmp_path / "out", {}) as writer:
        writer.write(sample)
        writer.finish()
    assert verify_dataset(tmp_path / "out").ok


def test_no_data_set_and_no_sense(tmp_path, dataset):
    with pytest.raises(DatasetError):
        verify_dataset(tmp_path)
    with pytest.raises(InputError):
        verify_dataset(dataset, tolerance=-1)


def test_summary_counts_and_shortens(dataset):
    for name in ("a.jpg", "b/c.png", "b/d.x.jpg"):
        (dataset / "left" / f"{name}.png").unlink()
    lines = summarise(verify_dataset(dataset).problems, shown=2)
    assert lines[0] == "file: broken 3 times"
    assert lines[-1] == "  and 1 more"
