import json
import math
from dataclasses import replace

import pytest
import torch

from wheatstone.checkpoints import Part
from wheatstone.depth import DepthEstimator, load_depth
from wheatstone.errors import InputError
from wheatstone.evaluation import DepthProtocol, SynthesisProtocol, evaluate
from wheatstone.evaluation.protocols import cells_of_unknown
from wheatstone.geometry import forward_warp
from wheatstone.samples import Depth, StereoSample, image_batch
from wheatstone.synthesis import load_synthesizer


class _Oracle(DepthEstimator):
    """Knows that the scenes of this file code inverse depth as brightness."""

    name = "oracle"

    def __call__(self, image, *, confidence=False):
        return Depth(image_batch(image)[:, :1] * 3 + 1)


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
    assert report.parts == ["rows", "classical", "warp"]
    assert report.mean("rows", "psnr_outside") == math.inf  # the second view was made by that very warp
    assert report.mean("rows", "psnr_inside") > report.mean("warp", "psnr_inside")
    energies = [(row.figures["energy_inside"], row.figures["true_energy_inside"]) for row in report.rows[::3]]
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
