"""Edge-aware filling: the rim is repainted, the foreground is not seen, every other known pixel stays bit by bit."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.diffusion.tiny import write_pipeline

from wheatstone import load_synthesizer
from wheatstone.errors import CheckpointError, InputError
from wheatstone.evaluation import gradient_energy
from wheatstone.geometry import ForwardWarper, forward_warp, sharpen_disparity
from wheatstone.samples import Origin
from wheatstone.synthesis.composition import HoleFiller, warp_left
from wheatstone.synthesis.edge_aware import EdgeAware
from wheatstone.synthesis.edge_view import RimRule, close_foreground, open_rim
from wheatstone.synthesis.genstereo import GenStereo, small_networks
from wheatstone.synthesis.push_pull import push_pull
from wheatstone.synthesis.rows import RowSynthesizer, SmoothRows, fill_rows

FAR, NEAR = 2.0, 9.0


def two_planes(height=12, width=48, soft=1):
    """A red thing before a green wall; the `soft` pixels to its right mix both."""
    left = torch.zeros(1, 3, height, width)
    left[:, 1] = 1.0
    left[:, :, :, 16:26] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    for k in range(soft):
        share = (soft - k) / (soft + 1)
        left[:, :, :, 26 + k] = torch.tensor([share, 1 - share, 0.0])[:, None]
    disparity = torch.full((1, 1, height, width), FAR)
    disparity[..., 16:26] = NEAR
    return left, disparity


def redness(view, mask):
    return float((view.image[:, :1] * mask).max())


@pytest.fixture(params=["rows", "classical", "embedded"])
def painter(request):
    return load_synthesizer("edge-aware", weights=request.param)


@pytest.mark.parametrize("baseline", [1.0, -1.0, 2.0])
def test_constant_disparity_is_a_pure_shift(painter, baseline):
    left = torch.rand(1, 3, 10, 40, generator=torch.Generator().manual_seed(0))
    view = painter(left, torch.full((1, 1, 10, 40), 5.0), baseline=baseline)
    moved = int(5 * abs(baseline))
    hole = torch.zeros(40, dtype=torch.bool)
    hole[slice(40 - moved, 40) if baseline > 0 else slice(0, moved)] = True
    assert torch.equal(view.hole[0, 0], hole.expand(10, 40))
    assert (view.origin[view.hole] == Origin.BORDER).all()
    assert (view.origin[~view.hole] == Origin.WARPED).all()
    shifted = torch.roll(left, -moved if baseline > 0 else moved, -1)
    assert torch.equal(view.image[..., ~hole], shifted[..., ~hole])


@pytest.mark.parametrize(("baseline", "columns"), [(1.0, range(17, 24)), (-1.0, range(18, 25))])
def test_two_planes_open_a_hole_as_wide_as_their_step_beside_the_far_side(painter, baseline, columns):
    left, disparity = two_planes(soft=0)
    view = painter(left, disparity, baseline=baseline)
    inside = (view.origin == Origin.DISOCCLUSION)[0, 0, 3].nonzero().flatten().tolist()
    assert inside == list(columns)
    assert len(inside) == NEAR - FAR


@pytest.mark.parametrize("baseline", [1.0, 2.0])
def test_the_rim_and_the_hole_show_no_foreground(painter, baseline):
    left, disparity = two_planes(soft=2)
    plain = load_synthesizer("rows")(left, disparity, baseline=baseline)
    view = painter(left, disparity, baseline=baseline)
    rim = view.origin == Origin.CONTAMINATED_RIM
    painted = rim | (view.origin == Origin.DISOCCLUSION)
    assert rim[0, 0].any(-1).all()
    assert redness(plain, painted) > 0.3  # mixed pixels, and their copies
    assert redness(view, painted) < 0.05
    assert not (rim & view.hole).any()


def test_on_the_other_side_the_mixed_pixels_lie_on_the_left(painter):
    left, disparity = two_planes(soft=2)
    mirrored = painter(left.flip(-1), disparity.flip(-1), baseline=-1.0)
    view = painter(left, disparity)
    assert torch.equal(view.origin.flip(-1), mirrored.origin)
    torch.testing.assert_close(
        view.image.flip(-1), mirrored.image, atol=0.05, rtol=0
    )  # not every back-end is symmetric


def test_a_clean_border_keeps_its_pixels():
    left, disparity = two_planes(soft=0)
    view = load_synthesizer("edge-aware")(left, disparity)
    assert not (view.origin == Origin.CONTAMINATED_RIM).any()
    everything = load_synthesizer("edge-aware", mixture=0.0)(left, disparity)
    assert int((everything.origin[0, 0, 0] == Origin.CONTAMINATED_RIM).sum()) == 2


@given(st.integers(0, 10_000), st.sampled_from([1.0, -1.0, 0.5, -2.0]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_is_not_painted_is_the_warp_bit_by_bit(seed, baseline, sparse):
    generator = torch.Generator().manual_seed(seed)
    left = torch.rand(2, 3, 6, 40, generator=generator)
    disparity = torch.randint(0, 6, (2, 1, 6, 8), generator=generator).float().repeat_interleave(5, -1) * 2
    valid = torch.rand(2, 1, 6, 40, generator=generator) < (0.6 if sparse else 2.0)
    view = EdgeAware()(left, disparity, valid, baseline=baseline)
    warped = warp_left(left, disparity, valid, baseline)
    same = view.origin == Origin.WARPED
    assert torch.equal(view.hole, warped.hole)
    assert not (same & view.hole).any()
    assert torch.equal(view.image.masked_select(same), warped.image.masked_select(same))
    untouched = view.origin != Origin.CONTAMINATED_RIM
    assert torch.equal(view.origin[untouched], warped.origin[untouched])
    assert view.image.isfinite().all()
    alone = EdgeAware()(left[1:], disparity[1:], valid[1:], baseline=baseline)
    assert torch.equal(alone.image, view.image[1:])


def test_the_label_is_true_after_sharpening():
    """On visible pixels the left view fetched from the right one by the sharpened label is the left view."""
    left, disparity = two_planes(soft=0)
    kernel = torch.ones(1, 1, 1, 5) / 5
    soft = torch.nn.functional.conv2d(torch.nn.functional.pad(disparity, (2, 2, 0, 0), mode="replicate"), kernel)
    sharp = sharpen_disparity(soft)
    torch.testing.assert_close(sharp, disparity)
    sharp = (sharp * 256).round() / 256  # to the grid of its file
    view = EdgeAware()(left, sharp)
    painted = (view.origin != Origin.WARPED).float()
    column = (torch.arange(48) - sharp).clamp(0, 47).long()
    trusted = view.visible & (painted.gather(-1, column) == 0)
    fetched = view.image.gather(-1, column.expand(-1, 3, -1, -1))
    assert torch.equal(fetched.masked_select(trusted), left.masked_select(trusted))
    assert torch.equal(view.visible, forward_warp(left, sharp).visible)


class Watching(HoleFiller):
    """Notes what it is shown."""

    name = "watching"

    def __init__(self):
        self.config, self.seen = {}, []

    def fill(self, warped, generators):
        self.seen.append((warped, generators))
        return torch.full_like(warped.image, 0.5)


def test_the_back_end_sees_no_foreground_beside_the_hole():
    left, disparity = two_planes(soft=1)
    watching = Watching()
    draws = [torch.Generator()]
    EdgeAware(watching)(left, disparity, generators=draws)
    warped, generators = watching.seen[0]
    assert generators is draws
    assert float(warped.image[:, 0].max()) < 0.05  # neither the red thing nor the mixed pixel
    assert (warped.disparity[~warped.hole] == FAR).all()
    assert (warped.ends.left[warped.hole] >= -1).all()
    EdgeAware(watching, RimRule(closed=0))(left, disparity)
    assert float(watching.seen[1][0].image[:, 0].max()) == 1.0


def test_what_is_open_and_closed_is_a_hole_with_its_ends():
    left, disparity = two_planes(soft=1)
    warped = warp_left(left, disparity)
    opened = open_rim(warped, disparity, None, RimRule(), ForwardWarper())
    closed = close_foreground(opened, RimRule())
    assert (opened.hole & ~warped.hole).any()
    assert (closed.hole & ~opened.hole).any()
    for view in (opened, closed):
        assert (view.image * view.hole == 0).all()
        assert (view.disparity[view.hole] == 0).all()
        assert not view.hole.gather(-1, view.ends.left.clamp(min=0))[view.ends.left >= 0].any()


def test_push_pull_keeps_what_is_known_and_never_leaves_its_range():
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(2, 3, 13, 17, generator=generator)
    known = torch.rand(2, 1, 13, 17, generator=generator) < 0.3
    filled = push_pull(image, known.float())
    assert torch.equal(filled.masked_select(known), image.masked_select(known))
    assert float(filled.max()) <= float(image.masked_select(known).max()) + 1e-6
    assert float(filled.min()) >= float(image.masked_select(known).min()) - 1e-6
    elsewhere = torch.rand_like(image).where(~known, image)
    assert torch.equal(push_pull(elsewhere, known.float()), filled)
    one = torch.zeros(1, 1, 6, 9)
    one[..., 2, 4] = 0.01
    torch.testing.assert_close(push_pull(torch.full((1, 3, 6, 9), 0.75), one), torch.full((1, 3, 6, 9), 0.75))
    assert not push_pull(image, torch.zeros(2, 1, 13, 17)).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_tiny_views(size):
    view = EdgeAware()(torch.rand(1, 3, *size), 9 * torch.rand(1, 1, *size))
    assert view.image.shape == (1, 3, *size)
    assert view.image.isfinite().all()


def test_a_diffusion_inpainter_behind_it(tmp_path):
    write_pipeline(tmp_path / "pipeline")
    part = load_synthesizer("edge-aware", weights=f"inpainting={tmp_path / 'pipeline'}", steps=1, background=1)
    left, disparity = two_planes(height=16, width=48)
    view = part(left, disparity, generators=[torch.Generator().manual_seed(0)])
    warped = warp_left(left, disparity)
    same = view.origin == Origin.WARPED
    assert torch.equal(view.image.masked_select(same), warped.image.masked_select(same))
    assert (view.origin == Origin.CONTAMINATED_RIM).any()
    assert part.fingerprint()["backend"]["part"] == "inpainting"
    part.save_pretrained(tmp_path / "saved")
    again = load_synthesizer(str(tmp_path / "saved"))
    assert again.fingerprint() == part.fingerprint()


@pytest.mark.parametrize("backend", ["rows", "smooth-rows", "classical", "embedded"])
def test_settings_survive_a_folder(tmp_path, backend):
    options = {"rows": {"fade": 8.0}, "smooth-rows": {"fade": 2.0}, "classical": {"radius": 2.0}, "embedded": {}}[
        backend
    ]
    part = load_synthesizer("edge-aware", weights=backend, background=3, mixture=0.1, **options)
    part.save_pretrained(tmp_path / "part")
    for again in (
        load_synthesizer(str(tmp_path / "part")),
        load_synthesizer("edge-aware", weights=tmp_path / "part"),
        EdgeAware.from_pretrained(tmp_path / "part"),
    ):
        assert again.fingerprint() == part.fingerprint()
    assert load_synthesizer(str(tmp_path / "part"), background=1).rule == dataclasses.replace(part.rule, background=1)


@pytest.mark.parametrize("name", ["rows", "smooth-rows"])
def test_copies_and_smoothed_copies_are_two_painters_by_name(tmp_path, name):
    part = load_synthesizer(name)
    assert part.name == name
    part.save_pretrained(tmp_path / "alone")
    assert load_synthesizer(str(tmp_path / "alone")).fingerprint() == part.fingerprint()
    EdgeAware(part).save_pretrained(tmp_path / "behind")
    left, disparity = torch.rand(1, 3, 8, 48, generator=torch.Generator().manual_seed(2)), two_planes(8)[1]
    expected = EdgeAware(part)(left, disparity).image
    for again in (EdgeAware.from_pretrained(tmp_path / "behind"), load_synthesizer(str(tmp_path / "behind"))):
        assert type(again.backend) is type(part)
        assert again.fingerprint() == EdgeAware(part).fingerprint()
        assert torch.equal(again(left, disparity).image, expected)
    saved = load_synthesizer(str(tmp_path / "behind" / "backend"))
    assert saved.fingerprint() == part.fingerprint()


def test_rows_behind_edge_aware_are_the_smooth_ones_unless_the_part_is_handed_over():
    for text in (None, "rows", "smooth-rows"):
        part = load_synthesizer("edge-aware", weights=text, fade=2.0)
        assert type(part.backend) is SmoothRows
        assert part.backend.config == {"fade": 2.0}
    assert type(EdgeAware(load_synthesizer("rows")).backend) is RowSynthesizer
    assert load_synthesizer("smooth-rows", fade=8.0).config == {"fade": 8.0}


def test_official_reaches_the_back_end_of_a_saved_part_too(tmp_path):
    write_pipeline(tmp_path / "pipeline")
    text = f"inpainting={tmp_path / 'pipeline'}"
    assert load_synthesizer("edge-aware", weights=text, official=True).backend.config["official"]
    load_synthesizer("edge-aware", weights=text, background=1).save_pretrained(tmp_path / "saved")
    for again in (
        load_synthesizer(str(tmp_path / "saved"), official=True),
        load_synthesizer("edge-aware", weights=tmp_path / "saved", official=True),
        EdgeAware.from_pretrained(tmp_path / "saved", official=True),
    ):
        assert again.backend.config["official"]
        assert again.rule.background == 1
    assert not load_synthesizer(str(tmp_path / "saved")).backend.config["official"]


def test_a_setting_that_nobody_has_is_an_input_error(tmp_path):
    EdgeAware().save_pretrained(tmp_path / "saved")
    for name, weights in (
        ("edge-aware", None),
        ("edge-aware", "classical"),
        ("edge-aware", tmp_path / "saved"),
        (str(tmp_path / "saved"), None),
        ("smooth-rows", None),
        ("rows", None),
        ("embedded", None),
    ):
        with pytest.raises(InputError, match="'widht'"):
            load_synthesizer(name, weights=weights, widht=3)
    with pytest.raises(InputError, match="'widht'"):
        EdgeAware.from_pretrained(tmp_path / "saved", widht=3)


@pytest.mark.parametrize("backend", ["genstereo", "genstereo-v1.5", "genstereo=/nowhere", "edge-aware", "warp"])
def test_another_kind_is_refused_before_its_weights_are_looked_for(backend):
    with pytest.raises(InputError, match=f"which '{backend.partition('=')[0]}' is not"):
        load_synthesizer("edge-aware", weights=backend)


@pytest.mark.parametrize(
    ("backend", "advice"),
    [
        ("inpainting", "edge-aware=inpainting=PATH"),
        ("inpainting=/nowhere", "edge-aware=inpainting=PATH"),
        ("background", "edge-aware=background=FOLDER"),
    ],
)
def test_advice_is_what_must_be_written_here(backend, advice):
    with pytest.raises((InputError, CheckpointError)) as caught:
        load_synthesizer("edge-aware", weights=backend)
    message = str(caught.value)
    assert advice in message
    assert message.count("=PATH") + message.count("=FOLDER") == message.count(advice) + message.count("weights='")
    assert "weights=PATH" not in message


def test_a_folder_of_a_back_end_is_taken_too(tmp_path):
    load_synthesizer("classical", radius=2.0).save_pretrained(tmp_path / "classical")
    part = load_synthesizer("edge-aware", weights=tmp_path / "classical")
    assert part.backend.config["radius"] == 2.0


def test_what_cannot_be_a_back_end_is_refused(tmp_path):
    for wrong in ("warp", "nothing-of-this-name"):
        with pytest.raises(InputError):
            load_synthesizer("edge-aware", weights=wrong)
    with pytest.raises(InputError, match="edge-aware"):
        EdgeAware(EdgeAware())
    with pytest.raises(InputError, match="genstereo"):
        EdgeAware(GenStereo(small_networks(0)))
    with pytest.raises(InputError):
        load_synthesizer("edge-aware", background=-1)
    EdgeAware().save_pretrained(tmp_path / "part")
    (tmp_path / "part" / "config.json").write_text('{"wheatstone": "edge-aware", "backend": "rows", "rim": 3}')
    with pytest.raises(CheckpointError, match="rim"):
        load_synthesizer(str(tmp_path / "part"))


def test_one_generator_an_item():
    left, disparity = two_planes()
    with pytest.raises(InputError, match="generators"):
        EdgeAware()(left, disparity, generators=[])
    with pytest.raises(InputError, match="disparity"):
        EdgeAware()(left)


def test_smooth_rows_keep_what_is_near_and_lose_the_streaks():
    left = torch.rand(1, 3, 24, 96, generator=torch.Generator().manual_seed(5))
    disparity = torch.full((1, 1, 24, 96), 2.0)
    disparity[..., 30:70] = 30.0
    warped = warp_left(left, disparity)
    rows, smooth = fill_rows(warped), SmoothRows(8.0).fill(warped)
    near, far = (warped.hole & (rows.distance <= 5)), (warped.hole & (rows.distance > 20))
    assert far.any()
    assert torch.equal(smooth.masked_select(near), rows.image.masked_select(near))
    assert gradient_energy(smooth, far) < 0.2 * gradient_energy(rows.image, far)
    with pytest.raises(InputError):
        SmoothRows(0.0)
