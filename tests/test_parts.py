"""What every part promises, part by part: the same answer for every kind of input, and settings that survive a folder."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tests.depth.models import tiny_depth_anything
from tests.diffusion.tiny import write_pipeline
from tests.matching.weights import fill

from wheatstone import load_depth, load_matcher, load_synthesizer
from wheatstone.depth.depth_anything import DepthAnythingDepth
from wheatstone.errors import CheckpointError, InputError, ShapeError
from wheatstone.matching.embedded import EmbeddedMatcher
from wheatstone.matching.igev_stereo import IgevStereo
from wheatstone.matching.psmnet import POOLING, PsmNet
from wheatstone.matching.raft_stereo import RaftStereo
from wheatstone.matching.registry import PRESETS
from wheatstone.synthesis.edge_aware import EdgeAware
from wheatstone.synthesis.edge_view import RimRule

PHOTO = np.random.default_rng(1).integers(0, 255, (42, 56, 3), dtype=np.uint8)
RIGHT_VIEW = np.roll(PHOTO, -4, axis=1)
DISPARITY = 6 * torch.rand(1, 1, 42, 56, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    root = tmp_path_factory.mktemp("parts")
    for name in ("hub", "pool"):
        (root / name).mkdir()
    tiny_depth_anything(root / "hub")
    Image.fromarray(PHOTO).save(root / "pool" / "photo.png")
    write_pipeline(root / "pipeline")
    return root


DEPTH = {
    "embedded": lambda root: load_depth("embedded"),
    "row-prior": lambda root: load_depth("row-prior"),
    "hub": lambda root: load_depth(str(root / "hub"), input_rule="cap:28", allow_downscale=True, max_batch=2),
    "hub, official": lambda root: load_depth(str(root / "hub"), official=True),
    "authors' file": lambda root: DepthAnythingDepth("small", "native", max_batch=3, tiles=False),
}
SYNTHESIS = {
    "rows": lambda root: load_synthesizer("rows"),
    "smooth-rows": lambda root: load_synthesizer("smooth-rows", fade=8.0),
    "warp": lambda root: load_synthesizer("warp"),
    "classical": lambda root: load_synthesizer("classical", method="navier-stokes", radius=2.0),
    "background": lambda root: load_synthesizer("background", pool=root / "pool", official=True),
    "embedded": lambda root: load_synthesizer("embedded"),
    "edge-aware": lambda root: load_synthesizer("edge-aware", background=1, fade=8.0),
    "edge-aware=classical": lambda root: load_synthesizer("edge-aware", weights="classical", radius=2.0, closed=8),
    "edge-aware, copies": lambda root: EdgeAware(load_synthesizer("rows"), RimRule(background=1)),
    "inpainting": lambda root: load_synthesizer(str(root / "pipeline"), steps=2, paint_side=64, colour_match=False),
    "inpainting, official": lambda root: load_synthesizer(str(root / "pipeline"), steps=1, official=True),
}
MATCHING = {
    "raft-stereo": lambda root: filled(RaftStereo((8, 8, 8), n_downsample=3, iterations=2)),
    "raft-stereo-realtime": lambda root: filled(
        RaftStereo((8, 8, 8), n_gru_layers=2, shared_backbone=True, slow_fast_gru=True, n_downsample=3, iterations=2)
    ),
    "raft-stereo-instance": lambda root: filled(
        RaftStereo((8, 8, 8), "on-demand", context_norm="instance", n_downsample=3, iterations=2)
    ),
    "igev-stereo": lambda root: filled(IgevStereo((8, 8, 8), max_disparity=32, iterations=2)),
    "psmnet": lambda root: filled(PsmNet(16, "tiny")),
    "sgbm": lambda root: load_matcher("sgbm", max_disparity=16, speckle_size=0),
    "embedded": lambda root: filled(EmbeddedMatcher(widths=(8, 8, 16, 16), volume=8, hidden=(8, 8))),
}
PARTS = [
    (loader, make)
    for loader, makers in ((load_depth, DEPTH), (load_synthesizer, SYNTHESIS), (load_matcher, MATCHING))
    for make in makers.values()
]
NAMES = [*DEPTH, *SYNTHESIS, *MATCHING]


def filled(matcher):
    fill(matcher.network)
    return matcher


def answer(loader, part, image):
    if loader is load_depth:
        return part(image).inverse_depth
    if loader is load_matcher:
        return part(image, RIGHT_VIEW).disparity
    return part(image, DISPARITY, generators=[torch.Generator().manual_seed(3)]).image


def test_no_matcher_is_forgotten():
    assert set(MATCHING) == set(PRESETS)


@pytest.mark.parametrize(("loader", "make"), PARTS, ids=NAMES)
def test_part_keeps_its_contract(loader, make, places, tmp_path, monkeypatch):
    # windows of pooling that let the images of a test be tiny
    monkeypatch.setitem(POOLING, "tiny", ((4, 4), (4, 4), (2, 2), (1, 2)))
    part = make(places)
    expected = answer(loader, part, PHOTO)
    assert expected.dtype == torch.float32
    pixels = torch.from_numpy(PHOTO).permute(2, 0, 1).float() / 255
    for image in (Image.fromarray(PHOTO), pixels, pixels[None]):
        assert torch.equal(answer(loader, part, image), expected)
    # 1/255 has other digits in float64, which bicubic and 8-bit steps of some parts may turn into one grey level
    torch.testing.assert_close(answer(loader, part, pixels.double()), expected, atol=1 / 255, rtol=1e-3)

    part.save_pretrained(tmp_path)
    for again in (type(part).from_pretrained(tmp_path), loader(str(tmp_path))):
        assert type(again) is type(part)
        assert json.dumps(again.config) == json.dumps(part.config)
        assert again.fingerprint() == part.fingerprint()
        assert torch.equal(answer(loader, again, PHOTO), expected)

    assert part.to("cpu", torch.bfloat16) is part
    assert part.dtype == (torch.bfloat16 if part.network is not None else torch.float32)
    assert answer(loader, part, PHOTO).dtype == torch.float32

    for wrong in (pixels * 255, pixels * torch.nan, pixels[:2], PHOTO[:0]):
        with pytest.raises(ShapeError):
            answer(loader, part, wrong)


def test_settings_replace_those_of_a_saved_folder(places, tmp_path):
    part = load_depth(str(places / "hub"), input_rule="native", max_batch=2)
    part.save_pretrained(tmp_path / "hub")
    again = load_depth(str(tmp_path / "hub"), input_rule="cap:28")
    assert (again.config["input_rule"], again.config["max_batch"]) == ("cap:28", 2)
    DepthAnythingDepth("small").save_pretrained(tmp_path / "own")
    again = load_depth(str(tmp_path / "own"), official=True, max_batch=1)
    assert (again.config["input_rule"], again.config["tiles"], again.config["max_batch"]) == ("native", False, 1)
    with pytest.raises(CheckpointError, match="small model"):
        load_depth("depth-anything-v2-large", weights=tmp_path / "own")
    load_synthesizer("classical", radius=2.0).save_pretrained(tmp_path / "classical")
    assert load_synthesizer(str(tmp_path / "classical"), method="navier-stokes").config == {
        "method": "navier-stokes",
        "radius": 2.0,
    }


def test_folders_of_the_other_kind_and_unknown_settings_are_refused(tmp_path):
    load_synthesizer("rows").save_pretrained(tmp_path / "rows")
    load_depth("row-prior").save_pretrained(tmp_path / "prior")
    with pytest.raises(CheckpointError, match="no depth estimator"):
        load_depth(str(tmp_path / "rows"))
    with pytest.raises(CheckpointError, match="no synthesizer"):
        load_synthesizer(str(tmp_path / "prior"))
    with pytest.raises(CheckpointError, match="no matcher"):
        load_matcher(str(tmp_path / "prior"))
    with pytest.raises(InputError, match="no setting 'steps'"):
        load_synthesizer(str(tmp_path / "rows"), steps=3)
