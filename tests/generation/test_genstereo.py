"""GenStereo as the painter of the main job: sparse disparity, either eye, fused pixels, windows."""

import pytest
import torch
from tests.generation.parts import make_photos

from wheatstone import load_synthesizer
from wheatstone.datasets import load_dataset
from wheatstone.datasets.verify import verify_dataset
from wheatstone.files import write_disparity
from wheatstone.generation import DisparityFolder, StereoGenerator, generate
from wheatstone.samples import Origin
from wheatstone.synthesis.genstereo import GenStereo, small_networks


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genstereo")
    GenStereo(small_networks(0), steps=1).save_pretrained(folder)
    return folder


def test_pixels_that_fusion_hardly_changes_stay_the_warp(tmp_path):
    """Less than half a grey level is no change, and must not tip the rounding to 8 bits either."""
    networks = small_networks(0)
    torch.nn.init.zeros_(networks.fusion.fusion_layer[0].weight)
    torch.nn.init.constant_(networks.fusion.fusion_layer[0].bias, 5.0)  # 0.993 of what landed
    painter = GenStereo(networks, steps=1, composite="fusion")
    photos = make_photos(tmp_path / "in", 1)
    sample = StereoGenerator("row-prior", None, painter)(photos / "set0/0.jpg", "k")
    kept, changed = ((sample.origin == code).float().mean() for code in (Origin.WARPED, Origin.GENERATED))
    assert min(kept, changed) > 0.05  # both happen
    generate(photos, tmp_path / "out", StereoGenerator("row-prior", None, painter), report_samples=0)
    assert verify_dataset(tmp_path / "out").problems == ()


@pytest.mark.parametrize(
    ("side", "settings"),
    [
        ("left", {"composite": "fusion"}),
        ("both", {}),
        ("right", {"working_side": 96, "guidance": 1.0}),
        ("right", {"official": True}),
    ],
)
def test_the_promise_holds_whatever_is_fused(weights, tmp_path, side, settings):
    photos, maps = make_photos(tmp_path / "in", 1), tmp_path / "maps"
    (maps / "set0").mkdir(parents=True)
    disparity = torch.linspace(2, 9, 96).expand(72, 96)
    known = torch.rand(72, 96, generator=torch.Generator().manual_seed(0)) < 0.6
    write_disparity(maps / "set0/0.pfm", disparity, known)
    painter = load_synthesizer("genstereo", weights=weights, **settings)
    generator = StereoGenerator(None, None, painter, disparities=DisparityFolder(maps), synthetic_view=side)
    assert not generator.complete_unknown  # it was trained with disparity missing
    generate(photos, tmp_path / "out", generator, report_samples=0)
    result = verify_dataset(tmp_path / "out")
    assert result.problems == ()
    sample = load_dataset(tmp_path / "out")[0]
    origins = [sample.extras["origin_left"]] if side != "right" else []
    origins += [sample.origin] if sample.origin is not None else []
    assert len(origins) == (2 if side == "both" else 1)
    for origin in origins:
        kinds = set(origin.unique().tolist())
        assert int(Origin.GENERATED) in kinds
        # the fusion layer changes nearly every pixel that landed, and says so; `known` keeps them
        mixed = "composite" in settings or "official" in settings
        assert (origin == Origin.WARPED).float().mean() < 0.2 if mixed else {Origin.WARPED, Origin.BORDER} <= kinds
