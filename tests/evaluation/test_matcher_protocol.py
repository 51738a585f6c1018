import math
from dataclasses import replace

import pytest
import torch

from wheatstone.errors import InputError
from wheatstone.evaluation import MatcherProtocol, matcher_protocol
from wheatstone.evaluation.matcher_presets import data_family
from wheatstone.evaluation.protocols import SkippedItem
from wheatstone.matching import StereoMatcher
from wheatstone.samples import Match, StereoSample, image_batch


class _Fixed(StereoMatcher):
    """Answers one disparity map, resized as a network would see it, and remembers how it was asked."""

    name = "fixed"
    iterations = 7

    def __init__(self, value=4.0):
        self.config = {"value": value}
        self.asked = []

    def __call__(self, left, right, iterations=None, *, initial=None, all_iterations=False):
        left = image_batch(left)
        self.asked.append((tuple(left.shape[-2:]), iterations))
        return Match(torch.full_like(left[:, :1], self.config["value"]))


def _sample(truth, valid=None, visible=None, **rest):
    truth = torch.as_tensor(truth, dtype=torch.float32)[None]
    image = torch.rand((3, *truth.shape[-2:]), generator=torch.Generator().manual_seed(0))
    return StereoSample(
        key="pair",
        views={"left": image, "right": image},
        baselines={"left": 0.0, "right": 1.0},
        disparity=truth,
        valid=None if valid is None else torch.as_tensor(valid)[None],
        visible=None if visible is None else torch.as_tensor(visible)[None],
        **rest,
    )


def _score(protocol, sample, prediction):
    truth = protocol.truth(sample)
    prediction = torch.as_tensor(prediction, dtype=torch.float32)[None, None]
    return protocol.score(prediction, truth)


ROW = [[10.0, 10.0, 100.0, 100.0, 0.0]]
ERRORS = [[1.0, 3.5, 4.0, 8.0, 0.5]]


def test_hand_made_figures_of_every_region():
    sample = _sample(ROW, visible=[[True, True, True, False, False]])
    found = _score(MatcherProtocol(edge_radius=0), sample, [[a + b for a, b in zip(ROW[0], ERRORS[0], strict=True)]])
    assert found["epe"] == pytest.approx(17 / 5)
    assert (found["bad_0.5"], found["bad_1"], found["bad_3"]) == (0.8, 0.6, 0.6)  # exactly k is not beyond k
    assert found["d1"] == pytest.approx(0.4)  # 4 px of 100 is within 5 %
    assert (found["noc/epe"], found["occ/epe"]) == (pytest.approx(8.5 / 3), pytest.approx(4.25))
    assert (found["share"], found["noc/share"], found["density"]) == (1, pytest.approx(0.6), 1)


def test_inclusive_thresholds_count_the_border():
    sample, prediction = _sample([[10.0, 20.0]]), [[11.0, 21.5]]
    assert _score(MatcherProtocol(), sample, prediction)["bad_1"] == 0.5
    assert _score(MatcherProtocol(inclusive=True), sample, prediction)["bad_1"] == 1
    d1 = _sample([[60.0, 60.0]])
    assert _score(MatcherProtocol(), d1, [[63.0, 60.0]])["d1"] == 0
    assert _score(MatcherProtocol(inclusive=True), d1, [[63.0, 60.0]])["d1"] == 0.5


def test_what_is_not_finite_counts_as_wrong():
    sample = _sample([[10.0, 10.0, 10.0, 10.0]])
    prediction = [[10.0, math.nan, math.inf, -math.inf]]
    found = _score(MatcherProtocol(), sample, prediction)
    assert (found["bad_4"], found["d1"], found["density"], found["epe"]) == (0.75, 0.75, 0.25, 0)
    found = _score(MatcherProtocol(missing="skip"), sample, prediction)
    assert (found["bad_4"], found["density"]) == (0, 0.25)
    nothing = _score(MatcherProtocol(), sample, [[math.nan] * 4])
    assert nothing["bad_4"] == 1
    assert math.isnan(nothing["epe"])


def test_an_empty_region_is_nan():
    found = _score(MatcherProtocol(), _sample([[5.0, 5.0]], visible=[[True, True]]), [[5.0, 6.0]])
    assert found["occ/pixels"] == 0
    assert all(math.isnan(found[f"occ/{name}"]) for name in ("epe", "bad_2", "d1", "density"))


@pytest.mark.parametrize("average", ["images", "pixels"])
def test_means_over_images_and_over_pixels_differ(average):
    protocol = MatcherProtocol(regions=("all",), edge_radius=0, epe_average=average, outlier_average=average)
    small = _score(protocol, _sample([[5.0, 5.0]]), [[9.0, math.nan]])
    large = _score(protocol, _sample([[5.0] * 8]), [[5.0] * 6 + [8.0, 11.0]])
    pooled = protocol.pooled([small, large])
    if average == "images":
        assert pooled == {}
        return
    # 4 + 3 + 6 px over the 9 answered pixels; 4 of 10 pixels bad, one of them unanswered
    assert pooled["epe"] == pytest.approx(13 / 9)
    assert pooled["bad_2"] == pytest.approx(0.4)
    assert pooled["density"] == pytest.approx(0.9)
    assert pooled["rmse"] == pytest.approx(math.sqrt((16 + 9 + 36) / 9))
    assert pooled["epe"] != pytest.approx((small["epe"] + large["epe"]) / 2)
    skip = replace(protocol, missing="skip")
    again = skip.pooled([_score(skip, _sample([[5.0, 5.0]]), [[9.0, math.nan]]), large])
    assert again["bad_2"] == pytest.approx(3 / 9)


def test_an_item_without_pixels_weighs_nothing_in_a_pooled_mean():
    protocol = MatcherProtocol(epe_average="pixels", outlier_average="pixels", edge_radius=0)
    rows = [
        _score(protocol, _sample([[5.0, 5.0]], visible=[[True, True]]), [[6.0, 6.0]]),
        _score(protocol, _sample([[5.0, 5.0]], visible=[[True, False]]), [[6.0, 9.0]]),
    ]
    assert protocol.pooled(rows)["occ/epe"] == 4
    assert math.isnan(protocol.pooled(rows[:1])["occ/epe"])


def test_maximum_disparity_excludes_or_clamps():
    sample, prediction = _sample([[10.0, 192.0, 300.0]]), [[11.0, 192.0, 250.0]]
    assert _score(MatcherProtocol(max_disparity=192), sample, prediction)["pixels"] == 1
    held = _score(MatcherProtocol(max_disparity=192, beyond="clamp"), sample, prediction)
    assert (held["pixels"], held["epe"]) == (3, pytest.approx(1 / 3))


def test_only_positive_truth_counts_on_request():
    sample = _sample([[0.0, 10.0]])
    assert _score(MatcherProtocol(), sample, [[0.0, 10.0]])["pixels"] == 2
    assert _score(MatcherProtocol(valid="positive"), sample, [[0.0, 10.0]])["pixels"] == 1


def test_resolution_squashes_the_images_and_scales_the_answer_back():
    matcher, sample = _Fixed(8.0), _sample([[4.0] * 12] * 6)
    for resolution, size, expected in (
        (1, (6, 12), 8),
        (0.5, (3, 6), 16),
        ((6, 24), (6, 24), 4),
        ((3, 12), (3, 12), 8),
    ):
        protocol = MatcherProtocol(resolution=resolution)
        truth = protocol.truth(sample)
        found = protocol.predict(matcher, truth)
        assert matcher.asked[-1] == (size, None)
        assert found.shape == (1, 1, 6, 12)
        assert torch.allclose(found, torch.tensor(float(expected)))
        assert float(protocol.input_disparity(truth).max()) == pytest.approx(4 * size[1] / 12)


def test_padding_and_iterations_reach_the_matcher():
    matcher, protocol = _Fixed(), MatcherProtocol(padding=(8, "split"), iterations=3)
    truth = protocol.truth(_sample([[4.0] * 12] * 6))
    assert protocol.predict(matcher, truth).shape == (1, 1, 6, 12)
    assert matcher.asked == [((8, 16), 3)]
    matcher.iterations = 0  # a matcher without refinement is not told how much to refine
    protocol.predict(matcher, truth)
    assert matcher.asked[-1] == ((8, 16), None)


def test_the_band_at_steps_has_its_own_figures():
    truth = torch.full((20, 60), 5.0)
    truth[:, 30:] = 15
    prediction = truth.clone()
    prediction[:, 28:32] = 10
    found = _score(MatcherProtocol(), _sample(truth), prediction)
    assert found["edge/share"] == pytest.approx(10 / 60)  # 5 columns on either side
    assert found["edge/epe"] == pytest.approx(4 * 5 / 10)
    assert found["surface/epe"] == 0
    assert _score(MatcherProtocol(edge_radius=2), _sample(truth), prediction)["edge/epe"] == 5
    assert "edge/epe" not in _score(MatcherProtocol(edge_radius=0), _sample(truth), prediction)
    # whole-pixel truth steps by one everywhere on a slanted wall
    slant = torch.arange(60.0).expand(20, 60)
    assert _score(MatcherProtocol(), _sample(slant), slant)["edge/pixels"] == 0


def test_gaps_of_the_truth_do_not_hide_its_steps_but_sparse_truth_has_none():
    truth = torch.full((20, 60), 5.0)
    truth[:, 30:] = 15
    known = torch.ones(20, 60, dtype=torch.bool)
    known[:, 25:30] = False
    found = _score(MatcherProtocol(), _sample(truth, known), truth)
    assert found["edge/pixels"] == 20 * 5  # the near side of the step; the far side is the gap
    known[::2] = False
    known[:, ::2] = False
    assert "edge/epe" not in _score(MatcherProtocol(), _sample(truth, known), truth)


def test_missing_masks_are_said_and_the_truth_of_both_views_can_replace_them_on_request():
    truth = torch.full((4, 40), 4.0)
    truth[:, 20:30] = 8
    right = torch.full((4, 40), 4.0)
    right[:, 12:22] = 8
    sample = _sample(
        truth, extras={"disparity_right": right[None], "valid_right": torch.ones(1, 4, 40, dtype=torch.bool)}
    )
    with pytest.raises(SkippedItem, match="left-right"):
        MatcherProtocol(regions=("noc",)).truth(sample)
    assert set(MatcherProtocol(edge_radius=0).truth(sample).areas) == {"all"}
    found = MatcherProtocol(regions=("all", "noc", "occ"), occlusion="left-right", edge_radius=0).truth(sample)
    hidden = found.areas["occ"][0, 0, 0].nonzero().flatten().tolist()
    assert hidden == [0, 1, 2, 3, 16, 17, 18, 19]  # out of frame, and behind the near box
    assert any("left-right" in note for note in found.notes)
    # a mask that exists is not replaced
    seen = replace(sample, visible=torch.ones(1, 4, 40, dtype=torch.bool))
    assert not MatcherProtocol(occlusion="left-right").truth(seen).areas["occ"].any()


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (replace(_sample([[1.0]]), disparity=None), "true disparity"),
        (replace(_sample([[1.0]]), views={"left": torch.zeros(3, 1, 1)}), "view 'right'"),
        (replace(_sample([[1.0]]), baselines={"left": 0.0, "right": 0.5}), "baseline 1"),
        (_sample([[1.0]], [[False]]), "known truth"),
        (_sample([[math.inf]]), "known truth"),
    ],
)
def test_items_that_cannot_be_scored_say_why(sample, message):
    with pytest.raises(SkippedItem, match=message):
        MatcherProtocol().truth(sample)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"regions": ("everywhere",)}, "regions"),
        ({"regions": ()}, "regions"),
        ({"thresholds": ()}, "thresholds"),
        ({"thresholds": (0,)}, "thresholds"),
        ({"max_disparity": 0}, "maximum"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": (0, 4)}, "resolution"),
        ({"iterations": 0}, "iteration"),
        ({"edge_radius": -1}, "band"),
    ],
)
def test_senseless_switches_are_refused(switches, message):
    with pytest.raises(InputError, match=message):
        MatcherProtocol(**switches)


def test_published_protocols_differ_by_data_set():
    zero = {family: matcher_protocol("zerostereo", family) for family in ("kitti2015", "middeval3-H", "eth3d")}
    assert [p.regions[0] for p in zero.values()] == ["all", "noc", "noc"]
    assert [p.thresholds for p in zero.values()] == [(3,), (2,), (1,)]
    assert all(p.iterations == 32 and not p.d1 and p.outlier_average == "images" for p in zero.values())
    raft = matcher_protocol("raft-stereo", "kitti2015")
    assert (raft.epe_average, raft.outlier_average) == ("images", "pixels")
    assert matcher_protocol("raft-stereo", "eth3d").regions == ("all",)
    assert matcher_protocol("igev", "kitti2012").max_disparity == 192
    assert matcher_protocol("igev", "middlebury-2014").regions == ("noc",)
    mfs = matcher_protocol("mfs", "kitti2012")
    assert (mfs.inclusive, mfs.resolution, mfs.valid) == (True, (384, 1280), "positive")
    kit = [matcher_protocol("kitti", name) for name in ("kitti2012", "kitti2015")]
    assert [(p.d1, p.outlier_average) for p in kit] == [(False, "images"), (True, "pixels")]
    assert matcher_protocol() == matcher_protocol("wheatstone", "anything") == MatcherProtocol()


def test_protocols_by_name_can_be_changed_and_applied_elsewhere():
    assert matcher_protocol("zerostereo:eth3d", "stereo-mini").thresholds == (1,)
    changed = matcher_protocol("zerostereo", "eth3d", regions=("all",))
    assert (changed.name, changed.regions, changed.thresholds) == ("zerostereo, changed", ("all",), (1,))
    with pytest.raises(InputError, match=r"not for stereo-mini.*zerostereo:kitti-2012"):
        matcher_protocol("zerostereo", "stereo-mini")
    with pytest.raises(InputError, match="unknown protocol"):
        matcher_protocol("zero")


def test_data_sets_are_known_by_the_beginning_of_their_names():
    names = ("kitti2012", "KITTI-2015", "middlebury-2014", "motorcycle", "driving", "drivingstereo")
    families = ["kitti-2012", "kitti-2015", "middlebury", "middlebury", "sceneflow", None]
    assert [data_family(name) for name in names] == families


def test_the_main_region_names_the_columns_and_the_ranking():
    protocol = MatcherProtocol(regions=("noc", "all"), thresholds=(1, 3), edge_radius=0)
    assert [column.group for column in protocol.columns if column.figure in ("epe", "all/epe")] == [
        "pixels that both views see",
        "all pixels",
    ]
    assert protocol.ranking == ("bad_3", 1)
