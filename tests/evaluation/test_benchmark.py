import json
import math
from dataclasses import replace

import pytest
import torch

from wheatstone.checkpoints import Part
from wheatstone.depth import DepthEstimator, load_depth
from wheatstone.errors import InputError
from wheatstone.evaluation import (
    DepthProtocol,
    Gallery,
    MatcherProtocol,
    SynthesisProtocol,
    evaluate,
    matcher_protocol,
    validate_matcher,
)
from wheatstone.evaluation.synthesis_protocol import cells_of_unknown
from wheatstone.geometry import forward_warp
from wheatstone.matching import StereoMatcher, load_matcher
from wheatstone.samples import Depth, Match, StereoSample, image_batch
from wheatstone.synthesis import load_synthesizer


class _Oracle(DepthEstimator):
    """Knows that the scenes of this file code inverse depth as brightness."""

    name = "oracle"

    def __call__(self, image, *, confidence=False):
        return Depth(image_batch(image)[:, :1] * 3 + 1)


class _OracleMatcher(StereoMatcher):
    """Reads the disparity that the scenes of this file code as redness, and adds an error."""

    name = "oracle-matcher"

    def __init__(self, error=0.0):
        self.config = {"error": error}

    def __call__(self, left, right, iterations=None, *, initial=None, all_iterations=False):
        return Match(image_batch(left)[:, :1] * 20 + self.config["error"])


def _scene(key, seed=0, size=(48, 96), known=1.0):
    """A textured wall with a nearer box, seen twice: red is the disparity, green and blue are texture."""
    generator = torch.Generator().manual_seed(seed)
    disparity = torch.full((1, *size), 2.0)
    disparity[:, 14:34, 40:64] = 10
    texture = torch.rand((2, *size), generator=generator) * torch.linspace(0.3, 1, size[1])
    left = torch.cat([disparity / 20, texture])
    warp = forward_warp(left[None], disparity[None])
    behind = torch.cat([torch.full((1, *size), 0.1), texture.roll(-2, -1)])
    right = torch.where(warp.hole[0], behind, warp.image[0])
    valid = torch.rand(disparity.shape, generator=generator) < known
    return StereoSample(
        key=key,
        views={"left": left, "right": right},
        baselines={"left": 0.0, "right": 1.0},
        disparity=disparity,
        valid=valid,
    )


def test_depth_is_measured_beside_the_row_prior_and_a_constant():
    seen = []
    report = evaluate(_Oracle(), [_scene("a"), _scene("b", 1)], progress=seen.append)
    assert report.parts == ["oracle", "row-prior", "constant"]
    assert report.items == ["a", "b"]
    assert report.mean("oracle", "abs_rel") == pytest.approx(0, abs=1e-4)
    assert report.mean("oracle", "edge_f") == pytest.approx(1, abs=1e-3)
    assert report.mean("row-prior", "abs_rel") > 0.1
    assert "oracle is better than row-prior in AbsRel on 2 of 2 items" in report.remarks[0]
    assert [(p.done, p.total, p.note) for p in seen] == [(1, 2, "a"), (2, 2, "b")]


def test_metric_depth_is_truth_too_and_has_no_edge_figures():
    scene = _scene("a")
    frame = StereoSample(
        key="frame",
        views={"left": scene.views["left"]},
        baselines={"left": 0.0},
        valid=scene.valid,
        extras={"metric_depth_m": 30 / scene.disparity},
    )
    report = evaluate(_Oracle(), [frame])
    assert report.mean("oracle", "abs_rel") == pytest.approx(0, abs=1e-4)
    assert math.isnan(report.mean("oracle", "edge_f"))


def test_synthesizers_are_compared_in_the_holes():
    report = evaluate(load_synthesizer("rows"), [_scene("a"), _scene("b", 1)])
    assert report.parts == ["rows", "classical", "warp", "identity"]
    assert report.mean("rows", "psnr_outside") == math.inf  # the second view was made by that very warp
    assert report.mean("identity", "psnr_outside") < 20
    assert report.mean("rows", "consistency/epe") < 0.3 < 2 < report.mean("identity", "consistency/epe")
    assert report.mean("rows", "psnr_inside") > report.mean("warp", "psnr_inside")
    energies = [(row.figures["energy_inside"], row.figures["true_energy_inside"]) for row in report.rows[::4]]
    pooled = sum(e for e, _ in energies) / sum(t for _, t in energies)
    assert report.mean("rows", "gradient_inside") == pytest.approx(pooled)


def test_what_cannot_be_scored_is_left_out_and_named():
    scenes = [_scene("good"), _scene("sparse", known=0.3)]
    report = evaluate(load_synthesizer("rows"), scenes)
    assert report.items == ["good"]
    assert "sparse (truth covers only" in report.remarks[-1]
    with pytest.raises(InputError, match=r"nothing to measure.*covers only"):
        evaluate(load_synthesizer("rows"), scenes[1:])
    evaluate(load_synthesizer("rows"), scenes[1:], protocol=SynthesisProtocol(min_density=0.2))


def test_generated_data_is_no_truth():
    generated = replace(_scene("made"), provenance={"synthetic_views": ["right"]})
    for part in (load_synthesizer("rows"), load_depth("row-prior")):
        with pytest.raises(InputError, match="no truth"):
            evaluate(part, [generated])


def test_cells_where_unknown_pixels_may_land_do_not_count():
    disparity = torch.tensor([[2.0, 2, 2, 2, 6, 6, 6, 2, 2, 2]])[None, None]
    valid = torch.ones_like(disparity, dtype=torch.bool)
    valid[..., 7] = False
    unknown = cells_of_unknown(torch.where(valid, disparity, 0), valid)
    # with disparity 6 the unknown pixel lands on column 1, with 2 on column 5
    assert unknown[0, 0, 0].nonzero().flatten().tolist() == [1, 5]
    assert not cells_of_unknown(disparity, torch.ones_like(valid)).any()


def test_an_interrupted_run_keeps_whole_items(tmp_path):
    def interrupt(progress):
        if progress.done == 1:
            raise KeyboardInterrupt

    report = evaluate(load_depth("row-prior"), [_scene("a"), _scene("b", 1)], progress=interrupt)
    assert not report.complete
    assert report.items == ["a"]
    assert "INTERRUPTED" in report.text()
    report.save(tmp_path / "figures.json")
    stored = json.loads((tmp_path / "figures.json").read_text())
    assert stored["complete"] is False
    assert stored["means"]["row-prior"]["edge_sharpness"] is None  # NaN has no place in JSON


def test_tables_show_every_part_and_item():
    report = evaluate(_Oracle(), [_scene("first"), _scene("second", 1)], label="mine", baselines={"again": _Oracle()})
    assert report.parts == ["mine", "again", "row-prior", "constant"]
    for text in (report.text(), report.markdown()):
        assert all(word in text for word in (*report.parts, "first", "second", "AbsRel ↓"))
    assert "s/image" in report.text()
    assert "s/image" not in report.markdown()  # a page must not change because a machine was busy


def test_wrong_kinds_are_refused():
    with pytest.raises(InputError, match="not Part"):
        evaluate(Part(), [_scene("a")])
    with pytest.raises(InputError, match="DepthProtocol"):
        evaluate(_Oracle(), [_scene("a")], protocol=SynthesisProtocol())
    with pytest.raises(InputError, match="it is empty"):
        evaluate(_Oracle(), [])


def test_matchers_are_measured_beside_sgbm_and_the_best_constant():
    seen = []
    report = evaluate(_OracleMatcher(), [_scene("a"), _scene("b", 1)], progress=seen.append)
    assert report.parts == ["oracle-matcher", "sgbm", "constant"]
    assert report.mean("oracle-matcher", "epe") == pytest.approx(0, abs=1e-5)
    assert 0 < report.mean("sgbm", "bad_2") < report.mean("constant", "bad_2")
    # the box of 20 x 24 pixels is 8 px nearer than the wall, whose disparity is the median
    assert report.mean("constant", "epe") == pytest.approx(8 * 20 * 24 / (48 * 96))
    assert "oracle-matcher is better than sgbm in EPE on 2 of 2 items" in report.remarks[0]
    assert [progress.note for progress in seen] == ["a", "b"]
    assert seen[-1].seconds_left == 0


def test_tables_of_regions_that_no_item_has_are_left_out():
    plain = evaluate(_OracleMatcher(), [_scene("a")])
    assert [title.split()[0] for title, _ in plain.groups()[1:]] == ["within", "everywhere"]
    assert "occluded" not in plain.text()
    seen = replace(_scene("b"), visible=torch.ones(1, 48, 96, dtype=torch.bool))
    seen.visible[:, :, :10] = False
    both = evaluate(_OracleMatcher(), [_scene("a"), seen])
    assert "occluded pixels: mean over 1 item\n" in both.text()
    assert "Occluded pixels: mean over 1 item\n" in both.markdown()


def test_a_region_without_masks_is_refused_with_the_way_out():
    with pytest.raises(InputError, match=r"nothing to measure.*a, b \(no mask.*region 'all'"):
        evaluate(_OracleMatcher(), [_scene("a"), _scene("b")], protocol=MatcherProtocol(regions=("noc",)))


def test_pooled_means_replace_the_mean_of_the_images():
    scenes = [_scene("dense"), _scene("sparse", 1, known=0.3)]
    protocol = matcher_protocol("raft-stereo", "kitti2015")
    report = evaluate(load_matcher("sgbm"), scenes, protocol=protocol)
    bad = report.values("sgbm", "bad_3")
    pixels = report.values("sgbm", "pixels")
    expected = sum(bad[key] * pixels[key] for key in bad) / sum(pixels.values())
    assert report.mean("sgbm", "bad_3") == pytest.approx(expected)
    epe = report.values("sgbm", "epe")
    assert report.mean("sgbm", "epe") == pytest.approx(sum(epe.values()) / 2)
    assert "bad-3, answered: of all items together" in report.text()


def test_sgbm_can_be_told_the_range_and_then_says_so():
    report = evaluate(load_matcher("sgbm"), [_scene("a")], sgbm_range="truth")
    assert report.parts == ["sgbm", "sgbm, told the range", "constant"]
    assert report.protocol["sgbm_range"] == "truth"
    assert report.mean("sgbm, told the range", "bad_2") < 0.2


def test_pixels_without_an_answer_are_counted_and_mentioned():
    report = evaluate(load_matcher("sgbm", fill=False), [_scene("a")], label="unfilled")
    density = report.mean("unfilled", "density")
    assert density < 1
    assert any(f"unfilled has no finite answer on {100 * (1 - density):.2f} %" in remark for remark in report.remarks)
    assert report.mean("unfilled", "bad_4") >= 1 - density


def test_a_watcher_sees_every_item_once_and_nothing_is_kept():
    seen = []
    evaluate(
        _OracleMatcher(),
        [_scene("a"), _scene("b", 1)],
        watch=lambda key, _, outputs, figures: seen.append((key, [*outputs])),
    )
    assert seen == [(key, ["oracle-matcher", "sgbm", "constant"]) for key in "ab"]


def test_a_matcher_is_validated_without_controls_and_keeps_its_mode():
    matcher = _OracleMatcher(0.75)
    matcher.network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Dropout())
    matcher.network.train()
    matcher.network[0].eval()
    means = validate_matcher(matcher, [_scene("a"), _scene("b", 1)], limit=1)
    assert means["epe"] == pytest.approx(0.75, abs=1e-5)
    assert (means["bad_0.5"], means["bad_1"], means["edge/bad_1"]) == (1, 0, 0)
    assert math.isnan(means["noc/epe"])
    assert [module.training for module in matcher.network.modules()] == [True, False, True]
    only = validate_matcher(matcher, [_scene("a")], MatcherProtocol(regions=("all",), thresholds=(2,), edge_radius=0))
    assert {"epe", "bad_2", "seconds"} <= set(only)
    assert "bad_1" not in only


def test_the_gallery_keeps_the_worst_and_an_interrupted_run_has_its_pictures_too():
    class Varied(_OracleMatcher):
        errors = iter([1.0, 5.0, 3.0, 0.0])

        def __call__(self, *views, **rest):
            return Match(super().__call__(*views).disparity + next(self.errors) * (views[0][:, 1:2] > 0.3))

    def interrupt(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    gallery = Gallery(MatcherProtocol(), limit=2, width=64)
    report = evaluate(Varied(), [_scene(key, n) for n, key in enumerate("abcd")], watch=gallery, progress=interrupt)
    assert not report.complete
    assert [sheet.key for sheet in gallery.sheets] == ["b", "c"]
    names = [[cell.name if cell else None for cell in row] for row in gallery.sheets[0].rows]
    assert names == [
        ["Left", "Truth", "oracle-matcher", "oracle-matcher, error"],
        ["Right", "Regions", "sgbm", "sgbm, error"],
    ]


def test_published_row_prior_figures_on_real_frames(data):
    """The study behind the bars found AbsRel 0.269 and 61.3 % for the row prior, 0.325 and 40.7 % for a constant."""
    report = evaluate(load_depth("row-prior"), f"rgbd-mini={data}", protocol=DepthProtocol())
    assert len(report.items) == 9
    assert report.mean("row-prior", "abs_rel") == pytest.approx(0.269, abs=0.003)
    assert report.mean("row-prior", "delta_1") == pytest.approx(0.613, abs=0.006)
    assert report.mean("constant", "abs_rel") == pytest.approx(0.325, abs=0.003)


@pytest.mark.slow
def test_published_hole_filling_figures_on_real_pairs(data):
    """The study found 17.0 and 17.2 dB for Telea, 19.6 and 18.3 dB for the row fill, on nine dense pairs."""
    protocol = SynthesisProtocol(count_unknown=True)
    report = evaluate(load_synthesizer("rows"), f"stereo-mini={data}", protocol=protocol)
    assert len(report.items) == 9
    found = {
        part: (report.mean(part, "psnr_inside"), report.mean(part, "psnr_holes")) for part in ("classical", "rows")
    }
    assert found["classical"] == pytest.approx((17.0, 17.2), abs=0.15)
    assert found["rows"] == pytest.approx((19.6, 18.3), abs=0.15)
