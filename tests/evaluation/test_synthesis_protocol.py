"""Switches of the protocols of synthesizers, against OpenCV, torchmetrics and arrays made by hand."""

import importlib.util
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from wheatstone.depth import DepthEstimator, load_depth
from wheatstone.errors import CheckpointError, InputError
from wheatstone.evaluation import (
    IdentityView,
    SynthesisProtocol,
    evaluate,
    load_lpips,
    pooled_ssim,
    synthesis_protocol,
)
from wheatstone.evaluation.framing import as_saved, centre_square, compared_at, in_8_bits, resized_view
from wheatstone.evaluation.protocols import SkippedItem
from wheatstone.geometry import forward_warp, open_mask
from wheatstone.matching import StereoMatcher
from wheatstone.samples import Depth, Match, StereoSample, View
from wheatstone.synthesis import ViewSynthesizer, load_synthesizer


def _sample(key="pair", seed=0, size=(40, 64), known=1.0):
    """A textured wall with a nearer box; the second view is its warp, holes painted grey."""
    generator = torch.Generator().manual_seed(seed)
    disparity = torch.full((1, *size), 2.0)
    disparity[:, 10:30, 20:40] = 8
    left = torch.rand((3, *size), generator=generator)
    warp = forward_warp(left[None], disparity[None])
    right = torch.where(warp.hole[0], torch.full_like(left, 0.5), warp.image[0]).clamp(0, 1)
    return StereoSample(
        key,
        {"left": left, "right": right},
        {"left": 0.0, "right": 1.0},
        disparity=disparity,
        valid=torch.rand((1, *size), generator=generator) < known,
    )


class _Real(ViewSynthesizer):
    """Answers with the real right view, changed by an error in grey."""

    name = "real"

    def __init__(self, sample, error=0.0):
        self.config = {}
        self.sample, self.error = sample, error

    def __call__(self, left, disparity=None, valid=None, *, baseline=1.0, generators=None):
        view = IdentityView()(left)
        real = functional.interpolate(self.sample.views["right"][None], left.shape[-2:])
        return View((real + self.error).clamp(0, 1), view.hole, view.visible, view.origin)


def test_every_part_is_judged_in_the_same_holes():
    sample = _sample()
    protocol = SynthesisProtocol(lpips=None, matcher=None)
    truth = protocol.truth(sample)
    assert torch.equal(truth.hole, forward_warp(truth.left, truth.disparity).hole)
    view = IdentityView()(truth.left)
    shares = [protocol.score(v, truth)["hole_share"] for v in (view, replace(view, hole=~view.hole))]
    assert shares == [float(truth.hole.float().mean())] * 2


def test_the_identity_is_the_left_view_whatever_is_asked_for():
    left = torch.rand(2, 3, 8, 9)
    view = IdentityView()(left, torch.full((2, 1, 8, 9), 3.0), baseline=0.5)
    assert torch.equal(view.image, left)
    assert not view.hole.any()
    assert view.visible.all()


def test_framing_by_hand():
    values = torch.arange(5.0)[None, None, None].expand(1, 1, 2, 5)
    assert centre_square(values)[0, 0, 0].tolist() == [2, 3]  # margins of 2 and 1: ceil of 3/2 on the left
    assert centre_square(values, further_left=True)[0, 0, 0].tolist() == [1, 2]
    assert centre_square(values.transpose(-1, -2))[0, 0, :, 0].tolist() == [2, 3]
    greys = torch.tensor([0.0, 0.9999, 1.0, 100.7 / 255, 1.5]).repeat(1, 3, 2, 1)
    assert (255 * as_saved(greys))[0, 0, 0].round().tolist() == [0, 254, 255, 100, 255]
    assert (255 * in_8_bits(greys))[0, 0, 0].round().tolist() == [0, 255, 255, 101, 255]


def test_resizing_is_that_of_the_published_script():
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    view = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    ours = (255 * in_8_bits(resized_view(view, (32, 32))))[0].permute(1, 2, 0).round().numpy()
    theirs = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR)).astype(float)
    assert np.abs(ours - theirs).max() <= 1
    expected = cv2.resize(pixels, (48, 48), interpolation=cv2.INTER_CUBIC)
    assert torch.equal((255 * compared_at(view, 48))[0].permute(1, 2, 0).round().byte(), torch.from_numpy(expected))


def test_ssim_of_large_images_is_that_of_averaged_blocks():
    from torchmetrics.functional.image import structural_similarity_index_measure

    generator = torch.Generator().manual_seed(0)
    truth = torch.rand((1, 3, 512, 512), generator=generator)
    view = (truth + 0.3 * torch.rand(truth.shape, generator=generator)).clamp(0, 1)
    pair = [image.double().unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)) for image in (view, truth)]
    expected = structural_similarity_index_measure(*pair, data_range=1.0)
    assert float(pooled_ssim(view, truth)[0]) == pytest.approx(float(expected), rel=1e-6)
    small = view[..., :300, :300], truth[..., :300, :300]
    plain = structural_similarity_index_measure(*small, data_range=1.0)
    assert float(pooled_ssim(*small)[0]) == pytest.approx(float(plain), rel=1e-4)


def test_ssim_is_that_of_kornia_away_from_the_border():
    kornia = pytest.importorskip("kornia.metrics")
    generator = torch.Generator().manual_seed(1)
    truth = torch.rand((1, 3, 60, 60), generator=generator)
    view = (truth + 0.2 * torch.rand(truth.shape, generator=generator)).clamp(0, 1)
    expected = kornia.ssim(view, truth, 11)[..., 5:-5, 5:-5].mean()
    assert float(pooled_ssim(view, truth)[0]) == pytest.approx(float(expected), abs=1e-3)


def test_the_published_protocol_squashes_saves_and_compares_at_512():
    sample = _sample(size=(40, 64))
    sample = replace(sample, disparity=torch.linspace(30, 2, 64).repeat(1, 40, 1))  # a slope leaves cracks and slivers
    protocol = synthesis_protocol("genstereo", "middlebury-2014", matcher=None, square=96)
    truth = protocol.truth(sample)
    assert truth.left.shape[-2:] == (96, 96)
    assert float(truth.disparity.max()) == pytest.approx(30 * 96 / 64)
    assert torch.equal(truth.real, (255 * truth.real).round() / 255)
    landed = ~forward_warp(truth.disparity, truth.disparity, method="nearest").hole
    assert torch.equal(~truth.hole, open_mask(landed, (1, 3)))
    assert (open_mask(landed, (1, 3)) != landed).any()
    view = IdentityView()(truth.left)
    figures = protocol.score(view, truth)
    saved = [(255 * v[0].permute(1, 2, 0).numpy()).round().astype(np.uint8) for v in (as_saved(truth.left), truth.real)]
    pair = [cv2.resize(v, (512, 512), interpolation=cv2.INTER_CUBIC).astype(float) / 255 for v in saved]
    assert figures["psnr"] == pytest.approx(-10 * math.log10(((pair[0] - pair[1]) ** 2).mean()), rel=1e-6)
    assert figures["psnr_outside"] != figures["psnr"]


def test_kitti_is_cropped_and_official_repeats_both_slips():
    sample = _sample(size=(40, 65), known=0.5)
    plain, official = (
        synthesis_protocol("genstereo", "kitti-2015", square=40, official=flag).truth(sample) for flag in (False, True)
    )
    assert torch.equal(plain.left, in_8_bits(sample.views["left"][None, ..., 13:53]))
    known = torch.where(sample.valid, sample.disparity, 0.0)
    assert torch.equal(plain.disparity[0], known[..., 13:53])
    assert torch.equal(plain.valid[0], sample.valid[..., 13:53])
    assert torch.equal(official.left, plain.left)
    assert torch.equal(official.disparity[0], known[..., 12:52])  # one column further left than the views
    assert official.valid.all()  # unknown truth is zero shift there
    assert plain.hole.float().mean() > official.hole.float().mean()


def test_names_and_what_was_changed():
    assert synthesis_protocol().name == "wheatstone"
    assert not synthesis_protocol("genstereo", "middlebury-2014").crop
    assert synthesis_protocol("genstereo:kitti-2012", "eth3d").name == "genstereo:kitti-2012"
    assert synthesis_protocol("genstereo", official=True, matcher=None).name == "genstereo"
    assert synthesis_protocol("genstereo", square=768).name == "genstereo, changed"
    assert synthesis_protocol("leak-free", depth=load_depth("row-prior")).name == "leak-free"
    for name in ("kitti", "leak-free:kitti", ""):
        with pytest.raises(InputError, match="unknown protocol"):
            synthesis_protocol(name)
    with pytest.raises(InputError, match="at least 16"):
        synthesis_protocol("genstereo", square=4)
    with pytest.raises(InputError, match="min_density"):
        SynthesisProtocol(min_density=2.0)


def test_sparse_truth_is_scored_by_the_published_protocol_only():
    sparse = _sample(known=0.3)
    with pytest.raises(SkippedItem, match="covers only"):
        SynthesisProtocol().truth(sparse)
    assert synthesis_protocol("genstereo", square=32).truth(sparse).scored.all()
    with pytest.raises(SkippedItem, match="no pixel"):
        synthesis_protocol("genstereo", square=32).truth(_sample(known=0.0))


def test_without_true_geometry_the_truth_is_not_looked_at():
    sample = _sample(size=(48, 96))
    protocol = synthesis_protocol("leak-free", depth=load_depth("row-prior"), lpips=None)
    first = protocol.truth(sample)
    second = protocol.truth(replace(sample, disparity=None, valid=None))
    assert torch.equal(first.disparity, second.disparity)
    assert float(first.disparity.max()) == pytest.approx(first.share * 96, rel=1e-3)
    assert first.scored.all()
    report = evaluate(load_synthesizer("rows"), [replace(sample, disparity=None, valid=None)], protocol=protocol)
    assert report.columns[0].figure == "psnr"
    assert any(
        remark.startswith("no true geometry: the disparity is the inverse depth of row-prior")
        for remark in report.remarks
    )
    assert report.rows[0].figures["share"] == pytest.approx(first.share)
    assert report.protocol["depth"]["part"] == "row-prior"
    assert '"matcher": {' in report.to_json()


def test_a_perfect_view_has_no_error_and_a_known_one_a_known_error():
    sample = _sample()
    protocol = SynthesisProtocol(lpips=None)
    truth = protocol.truth(sample)
    perfect = protocol.score(_Real(sample)(truth.left), truth)
    assert perfect["psnr"] == math.inf
    assert perfect["ssim"] == pytest.approx(1, abs=1e-6)
    assert perfect["consistency/bad"] < 0.1
    sample = replace(sample, views={name: 0.8 * view for name, view in sample.views.items()})
    truth = protocol.truth(sample)
    brighter = protocol.score(_Real(sample, 0.1)(truth.left), truth)
    assert [brighter[f"psnr{n}"] for n in ("", "_holes", "_inside", "_outside")] == pytest.approx([20] * 4, abs=1e-3)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is not None, reason="says what happens without torchvision")
def test_without_torchvision_there_is_no_lpips_and_the_remarks_say_why():
    with pytest.raises(CheckpointError, match="torchvision is not installed"):
        load_lpips()
    report = evaluate(load_synthesizer("rows"), [_sample()])
    assert "lpips" not in [column.figure for column in report.columns]
    assert "no LPIPS: torchvision is not installed" in report.remarks
    silent = evaluate(load_synthesizer("rows"), [_sample()], protocol=SynthesisProtocol(lpips=None))
    assert not any("LPIPS" in remark for remark in silent.remarks)


def test_an_interrupted_run_keeps_whole_items_and_their_figures():
    def interrupt(progress):
        if progress.done == 1:
            raise KeyboardInterrupt

    report = evaluate(load_synthesizer("rows"), [_sample("a"), _sample("b", 1)], progress=interrupt)
    assert (report.complete, report.items) == (False, ["a"])
    assert "INTERRUPTED" in report.text()
    assert report.mean("rows", "consistency/epe") < report.mean("identity", "consistency/epe")


def test_siou_stands_in_every_table_and_official_says_that_it_wraps():
    sample = _sample()
    protocol = SynthesisProtocol(matcher=None, lpips=None)
    truth = protocol.truth(sample)
    perfect = _Real(sample)(truth.left)
    assert protocol.score(perfect, truth)["siou"] == 1.0
    assert "siou" in [column.figure for column in protocol.columns]
    published = SynthesisProtocol(matcher=None, lpips=None, official=True)
    assert {"SIoU, wrapped", "PSNR, wrapped"} <= {column.label for column in published.columns}
    assert {"siou", "psnr_wrapped"} <= set(published.score(perfect, truth))


def test_frames_of_films_need_no_truth_and_get_scale_and_offset():
    sample = _sample(size=(64, 160))
    film = replace(
        sample, views={**sample.views, "right": sample.views["right"].roll(12, -1)}, disparity=None, valid=None
    )
    protocol = synthesis_protocol("mono2stereo", depth=_TrueDepth(sample.disparity), lpips=None, matcher=None)
    truth = protocol.truth(film)
    assert float((truth.disparity[0] - (sample.disparity - 12)).abs().median()) < 0.5
    report = evaluate(load_synthesizer("rows"), [film], protocol=protocol)
    assert any("one scale and one offset a pair" in remark for remark in report.remarks)


class _Nowhere(StereoMatcher):
    """Answers 0 everywhere."""

    name = "nowhere"

    def __init__(self):
        self.config = {}

    def __call__(self, left, right, iterations=None, *, initial=None, all_iterations=False):
        return Match(torch.zeros_like(left[:, :1]))


def test_the_matcher_finds_what_was_asked_for_behind_the_screen_or_is_not_judged_there():
    sample = _sample(size=(64, 160))
    depth = _TrueDepth(sample.disparity)
    disparity = sample.disparity - 6  # -4 behind, 2 before the screen
    warp = forward_warp(sample.views["left"][None], disparity[None])
    film = replace(sample, views={**sample.views, "right": warp.image[0]}, disparity=None, valid=None)
    protocol = synthesis_protocol("mono2stereo", depth=depth, lpips=None)
    report = evaluate(load_synthesizer("rows"), [film], protocol=protocol)
    assert report.mean("rows", "consistency/bad") < 0.05
    assert report.mean("identity", "consistency/bad") > 0.9
    assert any("sgbm searches from -" in remark for remark in report.remarks)
    blind = evaluate(load_synthesizer("rows"), [film], protocol=replace(protocol, matcher=_Nowhere()))
    assert any("1 of 1 items" in remark and "nowhere is judged" in remark for remark in blind.remarks)
    figures = blind.rows[0].figures
    truth = protocol.truth(film)
    assert figures["consistency/pixels"] == int((truth.visible & (truth.disparity >= 0)).sum())
    near = evaluate(load_synthesizer("rows"), [sample])
    assert not any("negative" in remark for remark in near.remarks)


def test_ways_to_fit_depth_are_checked():
    with pytest.raises(InputError, match="fit"):
        SynthesisProtocol(depth=load_depth("row-prior"), fit="cubic")
    with pytest.raises(InputError, match="depth"):
        SynthesisProtocol(fit="affine")


class _TrueDepth(DepthEstimator):
    """Answers with a known map in units of its own."""

    name = "true"

    def __init__(self, disparity):
        self.config = {}
        self.disparity = disparity

    def __call__(self, image, *, confidence=False):
        return Depth(0.3 * self.disparity[None] + 5, None)
