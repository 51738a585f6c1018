"""ZeroStereo's layout as its scripts write it: folders and six-column lists."""

import cv2
import numpy as np
import pytest
import torch

from wheatstone.datasets import load_dataset
from wheatstone.datasets.zerostereo import ZeroStereoDataset
from wheatstone.errors import DatasetError

PRODUCTS = ("left", "right", "disparity", "confidence", "mask_nocc", "mask_inpaint")


def _make(root, names=("ADE/a.jpg", "ADE/b.png")):
    """Write files with plain OpenCV and NumPy, as the original does; returns the list lines."""
    random = np.random.default_rng(0)
    lines = []
    for name in names:
        stem = name.rsplit(".", 1)[0]
        paths = [f"left/{name}", f"right/{stem}.png", f"disparity/{stem}.npy", f"confidence/{stem}.npy"]
        paths += [f"mask_nocc/{stem}.png", f"mask_inpaint/{stem}.png"]
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(".npy"):
                values = random.random((12, 16)).astype(np.float32)
                values[0, 0] = 0
                np.save(root / path, values * (9 if "disparity" in path else 1))
            elif "mask" in path:
                mask = (random.random((12, 16)) > 0.4).astype(np.uint8) * 255
                mask[:, 0] = 0
                cv2.imwrite(str(root / path), mask)
            else:
                cv2.imwrite(str(root / path), random.integers(0, 255, (12, 16, 3), np.uint8))
        lines.append(" ".join(paths))
    return lines


@pytest.fixture(params=["folders", "list", "list elsewhere"])
def dataset(request, tmp_path):
    lines = _make(tmp_path / "MfS35K")
    if request.param == "folders":
        return load_dataset(tmp_path / "MfS35K")
    where = tmp_path / "MfS35K" if request.param == "list" else tmp_path
    (where / "mfs35k.txt").write_text("\n".join(lines) + "\n\n")
    options = {} if request.param == "list" else {"root": tmp_path / "MfS35K"}
    return load_dataset(where / "mfs35k.txt", **options)


def test_reads_both_forms(dataset, tmp_path):
    assert list(dataset.keys) == ["ADE/a.jpg", "ADE/b.png"]
    sample = dataset[1]
    root = tmp_path / "MfS35K"
    disparity = np.load(root / "disparity" / "ADE" / "b.npy")
    np.testing.assert_array_equal(sample.disparity[0], disparity)
    assert torch.equal(sample.valid[0], torch.from_numpy(disparity > 0))
    np.testing.assert_array_equal(sample.confidence[0], np.load(root / "confidence" / "ADE" / "b.npy"))
    left = cv2.imread(str(root / "left" / "ADE" / "b.png"))[..., ::-1]
    np.testing.assert_array_equal((sample.views["left"] * 255).round().permute(1, 2, 0), left)
    visible = cv2.imread(str(root / "mask_nocc" / "ADE" / "b.png"), 0) > 127
    np.testing.assert_array_equal(sample.visible[0], visible)
    assert sample.provenance["synthetic_views"] == ["right"]


def test_column_zero_counts_as_a_hole_unless_official(tmp_path):
    _make(tmp_path)
    ours, theirs = load_dataset(tmp_path)[0], load_dataset(tmp_path, official=True)[0]
    assert ours.hole[..., 0].all()
    assert not theirs.hole[..., 0].any()
    assert torch.equal(ours.hole[..., 1:], theirs.hole[..., 1:])


def test_bad_lists(tmp_path):
    _make(tmp_path)
    (tmp_path / "list.txt").write_text("a b c d e\n")
    with pytest.raises(DatasetError, match="5 columns"):
        ZeroStereoDataset(tmp_path / "list.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DatasetError, match="no sample"):
        ZeroStereoDataset(tmp_path / "empty.txt")


def test_missing_broken_and_mixed_files(tmp_path):
    _make(tmp_path, ("a.png", "b.png", "c.png", "d.png"))
    (tmp_path / "right" / "a.png").unlink()
    (tmp_path / "disparity" / "b.npy").write_bytes(b"junk")
    cv2.imwrite(str(tmp_path / "right" / "c.png"), np.zeros((5, 5, 3), np.uint8))
    np.save(tmp_path / "confidence" / "d.npy", np.full((12, 16), 2.0, np.float32))
    dataset = load_dataset(tmp_path)
    for index, reason in enumerate(
        (r"right.a.png: missing; .* expected as", "not a readable", "right is 5 x 5", r"within 0\.\.1")
    ):
        with pytest.raises(DatasetError, match=reason):
            dataset[index]
