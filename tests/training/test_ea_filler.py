"""Fillers trained on pictures that went to another view and came back: photos, rendered views, and true pairs among them."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch

from wheatstone.datasets.augmentation import StereoAugmentation
from wheatstone.disparity import UniformPixels
from wheatstone.errors import InputError
from wheatstone.generation.clean_up import CleanUp
from wheatstone.synthesis.embedded import EmbeddedFiller
from wheatstone.training import recipes, train
from wheatstone.training.ea_filler import (
    ReturnedFills,
    ReturnedInpaints,
    fills_without_truth,
    inpaints_without_truth,
)
from wheatstone.training.inpainter import inpaint_pairs
from wheatstone.training.overrides import with_settings
from wheatstone.training.pictures import EstimatedPictures, Picture, Renderings
from wheatstone.training.warp_back import WarpBack

CROP = (48, 64)


@dataclass(frozen=True)
class Boxes:
    """A grainy plane with a box before it."""

    size: tuple[int, int] = (60, 96)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        height, width = self.size
        inverse = np.zeros(self.size, np.float32)
        inverse[height // 4 : 3 * height // 4, width // 4 : width // 2] = 1.0
        return Picture(f"box-{index}", self.image(index), inverse, None)

    def image(self, index):
        return np.random.default_rng(index).integers(60, 200, (*self.size, 3), dtype=np.uint8)


def source(**options):
    chosen = {"rule": UniformPixels(low_px=12.0, high_px=12.0), "cameras": 0.0, **options}
    return ReturnedFills(Boxes(), CROP, **chosen)


def numbers(seed=0):
    return np.random.default_rng(seed)


def test_an_item_has_the_form_of_a_true_pair_and_shows_the_picture():
    for seed in range(4):
        item = source().item(1, 0, numbers(seed))
        assert item["key"] == "box-1"
        assert item["copies"].shape == (4, 3, *CROP)
        assert item["features"].shape == (13, *CROP)
        assert item["hole"].shape == (1, *CROP)
        hole = item["features"][9:10] > 0.5  # as the network sees it
        assert item["hole"].any()
        assert not (item["hole"] & ~hole).any()  # what counts is a part of it
        known = ~hole.expand_as(item["target"])
        assert torch.equal(item["copies"][0][known], item["target"][known])
        again = source().item(1, 0, numbers(seed))
        assert all(torch.equal(item[name], again[name]) for name in ("copies", "features", "hole", "target"))
    other = source().item(1, 0, numbers(9))
    assert not torch.equal(item["target"], other["target"])


def test_what_counts_is_background_with_a_box_on_its_left():
    back = WarpBack(fringe=0)
    for seed in range(4):
        item = source(back=back).item(0, 0, numbers(seed))
        behind = item_disparity(item)[item["hole"][0]]  # of what is continued
        assert (behind == 0).all()
        rows = item["hole"][0].any(1)
        assert (item["hole"][0][rows].sum(1) <= 12).all()  # the step is 12 px


def item_disparity(item):
    """Disparity as the network sees it, as a share of the largest."""
    return item["features"][12]


def test_the_near_side_may_be_hidden_as_edge_aware_filling_hides_it():
    hidden = 0
    for seed in range(4):
        shown, closed = (source(closed=closed).item(0, 0, numbers(seed)) for closed in (0, 5))
        assert torch.equal(shown["hole"], closed["hole"])
        assert torch.equal(shown["target"], closed["target"])
        before, after = (item["features"][9] > 0.5 for item in (shown, closed))
        assert not (before & ~after).any()
        near = item_disparity(shown) > 0.5
        assert near[after & ~before].all()
        hidden += int((after & ~before).sum())
    assert hidden > 0


def test_depth_edges_are_cleaned_as_asked(tmp_path):
    photos = write_photos(tmp_path / "photos")
    common = {"cache": tmp_path / "kept", "crop": CROP}
    assert fills_without_truth(photos, 0, **common).clean_up == CleanUp()
    sharp = fills_without_truth(photos, 0, **common, method="edge-aware", dilate=0)
    assert sharp.clean_up == CleanUp(0, 1.0, "edge-aware")


def test_pictures_smaller_than_the_crop_are_enlarged():
    item = replace(source(), pictures=Boxes((30, 40))).item(0, 0, numbers())
    assert item["target"].shape == (3, *CROP)


def write_photos(folder, count=2):
    folder.mkdir()
    for index in range(count):
        picture = cv2.resize(Boxes().image(index)[:12, :16], (96, 72), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder


def test_the_recipe_trains_from_photos_and_its_result_paints(tmp_path):
    photos = write_photos(tmp_path / "photos")
    recipe = recipes["ea-filler"]
    options = {**recipe.data.options, "crop": CROP}
    recipe = replace(recipe, data=replace(recipe.data, options=options), steps=2, batch=2)
    result = train(recipe, photos, tmp_path / "run", device="cpu")
    assert result.step == 2
    assert all(np.isfinite(value) for value in result.losses.values())
    kept = list((tmp_path / "run" / "data").rglob("*.npz"))
    assert len(kept) == 2  # depth is estimated once
    filler = EmbeddedFiller.from_pretrained(result.parts["filler"])
    disparity = torch.zeros(1, 1, 40, 64)
    disparity[..., 10:30, 20:40] = 6.0
    view = filler(torch.rand(1, 3, 40, 64, generator=torch.Generator().manual_seed(0)), disparity)
    assert view.hole.any()
    assert view.image.isfinite().all()


def test_without_data_it_takes_rendered_views_alone_or_among_true_pairs(tmp_path):
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    common = {"cache": tmp_path, "crop": CROP, "scenes": 2, "size": (64, 96)}
    alone = fills_without_truth(tmp_path, 0, **common, mixed=1.0)
    assert isinstance(alone.pictures, Renderings)
    assert alone.pairs is None
    assert alone.item(1, 0, numbers())["key"] == "scene-1"
    among = fills_without_truth(tmp_path, 0, **common, share=0.5)
    assert among.pictures.scenes == among.pairs.scenes
    items = [among.item(0, 0, numbers(seed)) for seed in range(8)]
    true = [among.pairs.item(0, 0, _after_one_draw(seed)) for seed in range(8)]
    same = [bool(torch.equal(a["target"], b["target"])) for a, b in zip(items, true, strict=True)]
    assert 0 < sum(same) < 8
    assert len({tuple(item["copies"].shape) for item in items}) == 1


def _after_one_draw(seed):
    generator = numbers(seed)
    generator.random()
    return generator


def test_photos_may_be_mixed_with_rendered_pairs(tmp_path):
    pytest.importorskip("numba", reason="the extra `scenes` renders")
    photos = write_photos(tmp_path / "photos")
    mixed = fills_without_truth(
        photos, 0, cache=tmp_path / "kept", crop=CROP, scenes=1, size=(64, 96), share=1.0, max_side=64
    )
    assert isinstance(mixed.pictures, EstimatedPictures)
    assert mixed.pictures.image(0).shape == (48, 64, 3)
    assert mixed.item(1, 0, numbers())["key"] == "scene-0"


def inpaints(crop=(40, 64), **options):
    rule = UniformPixels(low_px=12.0, high_px=12.0)
    return ReturnedInpaints(Boxes(), StereoAugmentation().only(crop=crop), rule, CleanUp(0, 0.0), **options)


def test_a_diffusion_item_shows_the_picture_and_only_background_is_to_be_painted():
    sides = set()
    for seed in range(8):
        item = inpaints().item(2, 0, numbers(seed))
        assert item["warped"].shape == item["target"].shape == (3, 40, 64)
        assert item["hole"].shape == (1, 40, 64)
        hole = item["hole"].expand(3, -1, -1)
        assert torch.equal(item["warped"][~hole], item["target"][~hole])
        assert not item["warped"][hole].any()
        widths = item["hole"][0].sum(1)
        assert set(widths.tolist()) <= {0, 10, 12}  # the step less the fringe, or a box that the side of the crop cuts
        sides |= {"left" if item["hole"][0, :, :20].sum() > item["hole"][0, :, -20:].sum() else "right"}
    assert sides == {"left", "right"}
    one, again = (inpaints().item(0, 0, numbers(3)) for _ in range(2))
    assert all(torch.equal(one[name], again[name]) for name in ("warped", "hole", "target"))


def test_diffusion_items_change_their_colours_alike_and_keep_their_mixed_rims():
    colourful = replace(inpaints(), augmentation=StereoAugmentation().only(crop=(40, 64), brightness=0.4, hue=0.1))
    item, plain = colourful.item(0, 0, numbers(1)), inpaints().item(0, 0, numbers(1))
    assert not torch.allclose(item["target"], plain["target"], atol=0.01)
    assert torch.equal(item["warped"], item["target"].masked_fill(item["hole"], 0))
    mixed = inpaints(back=WarpBack(mixed=1.0))
    items = [mixed.item(0, 0, numbers(seed)) for seed in range(4)]
    touched = torch.stack([((item["warped"] != item["target"]) & ~item["hole"]).any() for item in items])
    assert touched.any()
    assert all(((item["warped"] != item["target"]) & ~item["hole"]).float().mean() < 0.1 for item in items)


def test_the_builder_of_diffusion_items_takes_photos_and_refuses_nothing(tmp_path):
    augmentation = StereoAugmentation().only(crop=(40, 64))
    common = {"cache": tmp_path / "kept", "scene_size": (64, 96)}
    photos = write_photos(tmp_path / "photos")
    data = inpaints_without_truth(photos, augmentation, **common, scenes=None, rule=("uniform:low_px=9", "high_px=9"))
    assert data.rule == UniformPixels(low_px=9.0, high_px=9.0)
    assert data.item(0, 0, numbers())["target"].shape == (3, 40, 64)
    with pytest.raises(InputError, match="name a folder of photos"):
        inpaints_without_truth(tmp_path / "kept", augmentation, **common, scenes=None)


def test_the_recipe_of_diffusion_inpainting_learns_from_photos(tmp_path):
    photos = write_photos(tmp_path / "photos")
    settings = ["data.pairs=warp-back", "data.warp_back.mixed=0.5", "data.crop=32,48", "objective.codec_steps=1"]
    sizes = {"widths": (8, 16), "heads": 1, "vae_widths": (4, 4, 8), "side": 64, "steps": 2}
    recipe = with_settings(recipes["zerostereo-inpainter-small"], settings)
    small = replace(recipe.parts["inpainter"], options=sizes)
    recipe = replace(recipe, parts={"inpainter": small}, steps=2, batch=2)
    result = train(recipe, photos, tmp_path / "run", device="cpu")
    assert result.step == 2
    assert np.isfinite(result.losses["noise"])
    assert (result.parts["inpainter"] / "model_index.json").is_file()


def test_bad_settings_are_refused(tmp_path):
    with pytest.raises(InputError, match="only the latter has"):
        inpaint_pairs(tmp_path, 0, warp_back={"mixed": 1.0})
    with pytest.raises(InputError, match="got 'mono'"):
        inpaint_pairs(tmp_path, 0, pairs="mono")
    with pytest.raises(InputError, match="multiples of 16, got 50,64"):
        ReturnedFills(Boxes(), (50, 64))
    with pytest.raises(InputError, match="needs such pairs"):
        source(share=0.5)
    with pytest.raises(InputError, match="no setting blur"):
        fills_without_truth(tmp_path, 0, cache=tmp_path, crop=CROP, blur=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos"):
        fills_without_truth(tmp_path / "empty", 0, cache=tmp_path / "kept", crop=CROP)
