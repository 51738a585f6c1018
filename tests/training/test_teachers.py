"""Teachers: scans of dense truth, maps that are estimated once, what monocular maps get wrong, replay."""

import numpy as np
import pytest
import torch

from wheatstone.datasets import StereoDataset
from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.depth import load_depth
from wheatstone.errors import InputError
from wheatstone.samples import StereoSample
from wheatstone.training.disparity_dropout import LidarScan
from wheatstone.training.order import DataSource, Split, micro_batches
from wheatstone.training.pictures import DepthCache
from wheatstone.training.scene_cache import SceneCache
from wheatstone.training.settings import from_settings
from wheatstone.training.stereo_data import DatasetPairs
from wheatstone.training.taught_data import Replayed, taught_pairs
from wheatstone.training.teachers import MonocularErrors, ScannedScenes, TaughtDataset, TeacherMaps, teachers_of

PLAIN = StereoAugmentation(crop=(32, 48)).only()


def draw(seed=0):
    return np.random.default_rng(seed)


def flat(height=120, width=200):
    return np.full((height, width), 10, np.float32), np.ones((height, width), bool)


def test_a_scan_has_lines_of_equal_elevation_and_nothing_above_the_horizon():
    lidar = LidarScan(spacing=3.0, step=0.2, dropout=0.0, horizon=(0.5, 0.5))
    measured = lidar(*flat(), draw())
    assert not measured[: round(0.5 * 119)].any()
    rows = np.nonzero(measured[:, 100])[0]
    elevations = np.degrees(np.arctan((rows - 59.5) / (0.58 * 200)))
    assert np.abs(np.diff(elevations) - 3.0).max() < 0.5  # a row is 0.5 degrees high
    assert np.nonzero(measured[:, 3])[0][0] >= rows[0]  # lines sink towards the sides
    columns = np.nonzero(LidarScan(spacing=3.0, step=2.0, dropout=0.0)(*flat(), draw()).any(0))[0]
    azimuths = np.degrees(np.arctan((columns - 99.5) / 116))
    assert np.abs(np.diff(azimuths) - 2.0).max() < 0.6


def test_a_scan_loses_shots_sky_and_mixed_returns_and_depends_on_its_generator_alone():
    lidar = LidarScan(dropout=0.0, mixed_px=0)
    disparity, usable = flat()
    full = lidar(disparity, usable, draw())
    assert np.array_equal(full, lidar(disparity, usable, draw()))
    assert not np.array_equal(full, lidar(disparity, usable, draw(1)))
    lost = LidarScan(dropout=0.5, mixed_px=0)(disparity, usable, draw())
    assert lost.sum() / full.sum() == pytest.approx(0.5, abs=0.1)
    usable[:, :80] = False
    assert not lidar(disparity, usable, draw())[:, :80].any()
    disparity[:, 120:] = 30
    mixed = LidarScan(dropout=0.0, mixed_px=3)(disparity, usable, draw())
    assert not mixed[:, 117:123].any()
    assert mixed[:, 100:117].any()
    for wrong in ({"spacing": 0.0}, {"top": -30.0}, {"dropout": 2.0}, {"beams": 64}):
        with pytest.raises(InputError, match="LiDAR"):
            from_settings(LidarScan, wrong, "LiDAR")
    assert from_settings(LidarScan, {"horizon": [0.4, 0.4]}, "LiDAR").horizon == (0.4, 0.4)


def test_monocular_errors_keep_the_order_but_no_unit_and_smear_steps_over_their_width():
    inverse = np.zeros((60, 200), np.float32)
    inverse[:, 100:] = 1.0
    exact = MonocularErrors(blur=0.0, warp=0.0, curve=0.0, affine=0.5)
    made = exact(inverse, draw())
    assert np.corrcoef(made.ravel(), inverse.ravel())[0, 1] == pytest.approx(1.0)
    assert made.max() - made.min() != pytest.approx(1.0)
    assert made.max() > made.min()
    assert np.array_equal(made, exact(inverse, draw()))
    soft = MonocularErrors(blur=0.1, warp=0.0, curve=0.0, affine=0.0)(inverse, draw())[30]
    steps = np.diff(soft) / np.diff(soft).sum()
    middle = (steps * np.arange(199)).sum()
    spread = np.sqrt((steps * (np.arange(199) - middle) ** 2).sum())
    assert middle == pytest.approx(99, abs=0.5)
    assert spread == pytest.approx(20 / 12**0.5, rel=0.1)  # of a box 20 px wide
    slow = MonocularErrors(blur=0.0, warp=0.1, curve=0.0, affine=0.0)(inverse, draw()) - inverse
    assert 0.02 < slow.std() < 0.3
    assert np.abs(np.diff(slow, axis=1)).max() < 0.02
    with pytest.raises(InputError, match="negative"):
        MonocularErrors(warp=-1.0)


class Memory(StereoDataset):
    name, keys = "memory", ["a", "b"]

    def __init__(self, **extras):
        self.extras = extras

    def read(self, index):
        views = {
            name: torch.rand(3, 40, 64, generator=torch.Generator().manual_seed(index + k))
            for k, name in enumerate(("left", "right"))
        }
        valid = torch.zeros(1, 40, 64, dtype=torch.bool)
        valid[:, 30::3] = True
        return StereoSample(
            self.keys[index],
            views,
            {"left": 0.0, "right": 1.0},
            disparity=torch.ones(1, 40, 64),
            valid=valid,
            extras=self.extras,
        )


def test_maps_are_made_once_at_full_size_for_the_views_asked_for(tmp_path):
    sky = torch.zeros(1, 40, 64, dtype=torch.bool)
    sky[:, :5] = True
    kept = DepthCache(load_depth("row-prior"), tmp_path)
    both = TaughtDataset(Memory(sky=sky), TeacherMaps(kept, "both"))
    sample = both[0]
    assert sample.extras["teacher"].shape == (1, 40, 64)
    assert not sample.extras["teacher_valid"][:, :5].any()
    assert sample.extras["teacher_valid"][:, 5:].all()
    assert sample.extras["teacher_right_valid"].all()
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(files) == 2
    again = TaughtDataset(Memory(), TeacherMaps(kept, "left"))[0]
    assert "teacher_right" not in again.extras
    assert torch.equal(again.extras["teacher"], sample.extras["teacher"])
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    both.fill()
    assert len(list(tmp_path.rglob("*.npz"))) == 3  # the right view of one is the left view of the other
    estimator = DepthCache(load_depth("embedded"), tmp_path)
    unsure = TaughtDataset(Memory(), TeacherMaps(estimator, "left", confident=1.0))[0]
    assert unsure.extras["teacher_valid"].float().mean() < 1
    with pytest.raises(InputError, match="confident is a share"):
        TeacherMaps(kept, "left", confident=2.0)
    with pytest.raises(InputError, match="left or both"):
        teachers_of("right")


class Old(DataSource):
    def __len__(self):
        return 5

    def item(self, index, step, generator):
        return {**DatasetPairs(Memory(), PLAIN).item(0, step, generator), "key": f"old-{index}"}


def test_a_share_is_replayed_without_teacher_and_a_resumed_training_replays_the_same(tmp_path):
    maps = TeacherMaps(DepthCache(load_depth("row-prior"), tmp_path), "both")
    source = Replayed(DatasetPairs(TaughtDataset(Memory(), maps), PLAIN), Old(), 0.4, "both")

    def batches(steps):
        return [batch for _, batch in micro_batches(source, Split(2), 3, rank=0, steps=steps)]

    through = batches(range(30))
    keys = [key for batch in through for key in batch["key"]]
    old = [key.startswith("old") for key in keys]
    assert np.mean(old) == pytest.approx(0.4, abs=0.15)
    assert len({key for key in keys if key.startswith("old")}) == 5
    believed = [bool(valid.any()) for batch in through for valid in batch["teacher_valid"]]
    assert believed == [not is_old for is_old in old]
    assert [bool(v.any()) for batch in through for v in batch["teacher_right_valid"]] == believed
    resumed = batches(range(17, 30))
    for first, second in zip(through[17:], resumed, strict=True):
        assert first["key"] == second["key"]
        assert all(torch.equal(first[name], second[name]) for name in first if name != "key")
    thin = Replayed(Old(), Old(), 1.0, "left", 0.25).item(0, 0, draw())
    kept = thin["valid"].sum() / Old().item(0, 0, draw())["valid"].sum()
    assert kept == pytest.approx(0.25, abs=0.1)
    assert (thin["disparity"][~thin["valid"]] == 0).all()
    for wrong in ((1.5, "left", 1.0), (0.5, "left", 0.0)):
        with pytest.raises(InputError, match="share"):
            Replayed(Old(), Old(), *wrong)


def test_scanned_scenes_hold_dense_truth_back_and_their_scans_follow_the_seed(tmp_path):
    pytest.importorskip("numba")
    scenes = SceneCache(tmp_path, 2, (48, 64), (0.0, 1.0))
    first, other = (
        ScannedScenes(scenes, LidarScan(), MonocularErrors(), scan_seed=seed, views="both") for seed in (0, 1)
    )
    sample = first[0]
    assert 0.005 < sample.valid.float().mean() < 0.3
    assert torch.equal(sample.extras["dense_disparity"], sample.disparity)
    assert not (sample.valid & sample.extras["sky"]).any()
    assert not torch.equal(sample.valid, other[0].valid)
    assert torch.equal(sample.extras["teacher"], other[0].extras["teacher"])
    item = DatasetPairs(first, PLAIN).item(0, 0, draw())
    assert {"teacher", "teacher_valid", "teacher_right", "teacher_right_valid"} <= set(item)
    assert (item["disparity"][~item["valid"]] == 0).all()


@pytest.mark.parametrize("views", ["left", "both"])
def test_new_and_old_items_have_the_same_entries(tmp_path, views):
    pytest.importorskip("numba")
    scenes = SceneCache(tmp_path, 2, (48, 64), (0.0, 1.0))
    new = DatasetPairs(ScannedScenes(scenes, LidarScan(), MonocularErrors(), views=views), PLAIN)
    old = DatasetPairs(ScannedScenes(scenes, None, None), PLAIN)
    items = [Replayed(new, old, share, views).item(0, 0, draw()) for share in (0.0, 1.0)]
    assert set(items[0]) == set(items[1])
    assert ("teacher_right" in items[0]) == (views == "both")


def test_the_source_says_what_to_give(tmp_path):
    options = {"augmentation": {"crop": (32, 48)}, "cache": tmp_path / "cache", "teacher": "row-prior"}
    with pytest.raises(InputError, match="sparse truth, for example kitti"):
        taught_pairs(tmp_path / "cache", 0, **options)
    with pytest.raises(InputError, match="share of the items"):
        taught_pairs(tmp_path / "cache", 0, **options, without="scenes", replay=2.0)
    with pytest.raises(InputError, match=r"no setting blurs; it has blur"):
        taught_pairs(tmp_path / "cache", 0, **options, without="scenes", errors={"blurs": 1})
    folder = kitti(tmp_path / "kitti")
    with pytest.raises(InputError, match=r"replay_from=PHOTOS.*replay=0"):
        taught_pairs(f"kitti-2015={folder}", 0, **options, replay=0.2)
    source = taught_pairs(f"kitti-2015={folder}", 0, **options)
    item = source.item(0, 0, draw())
    assert item["teacher"].shape == (1, 32, 48)
    assert item["teacher"].std() > 0
    assert 0 < item["valid"].float().mean() < 1


def kitti(folder):
    """A frame with sparse truth, in KITTI's layout."""
    cv2 = pytest.importorskip("cv2")
    for name in ("image_2", "image_3", "disp_occ_0"):
        (folder / "training" / name).mkdir(parents=True)
        image = np.uint8(draw().random((48, 64, 3)) * 255)
        if name == "disp_occ_0":
            image = np.zeros((48, 64), np.uint16)
            image[20::4] = 10 * 256
        cv2.imwrite(str(folder / "training" / name / "000000_10.png"), image)
    return folder
