"""Forward warp: published outputs, a literal reference, and what must hold for any input."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wheatstone.errors import InputError, ShapeError
from wheatstone.geometry import ForwardWarper, forward_warp

CASES = ["zero", "const_int", "const_frac", "smooth", "box", "box_int", "ramp", "layers", "noise"]

REFUSED = (InputError, jaxtyping.TypeCheckError)  # the type checker of the tests may see it first


def unpack(bits, width):
    return torch.from_numpy(np.unpackbits(bits, axis=-1)[:, :width].astype(bool))


def as_batch(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def literal_warp(image, disparity, valid):
    """The published rule, pixel by pixel: image [C][W], disparity [W], valid [W] -> colours, holes, visible."""
    width = len(disparity)
    landing = [x - disparity[x] if valid[x] else None for x in range(width)]
    layers = [[(10000.0, None)] * width, [(10000.0, None)] * width]
    visible = [False] * width
    for x in reversed(range(width)):
        if landing[x] is None or not 0 <= landing[x] <= width - 1:
            continue
        floor, ceil = math.floor(landing[x]), math.ceil(landing[x])
        nearer = [landing[other] for other in range(x + 2, width) if landing[other] is not None]
        taken = {cell for place in nearer for cell in (math.floor(place), math.ceil(place))}
        visible[x] = floor not in taken or ceil not in taken
        if not visible[x]:
            continue
        up = ceil - landing[x]
        for layer, cell, cost in ((0, ceil, up), (1, floor, 1 - up)):
            if cost < layers[layer][cell][0]:
                layers[layer][cell] = (cost, x)
    colours = [[0.0] * width for _ in image]
    for cell in range(width):
        (up, up_x), (down, down_x) = layers[0][cell], layers[1][cell]
        for channel, values in enumerate(image):
            first = values[up_x] if up_x is not None else 0.0
            second = values[down_x] if down_x is not None else 0.0
            colours[channel][cell] = first * down / (up + down) + second * up / (up + down)
    holes = [layers[0][cell][1] is None and layers[1][cell][1] is None for cell in range(width)]
    return colours, holes, visible


@pytest.mark.parametrize("size", ["40x64", "33x71"])
@pytest.mark.parametrize("case", CASES)
def test_equals_zerostereo_but_for_column_zero(committed_goldens, size, case):
    with np.load(committed_goldens / "zerostereo_forward_warp.npz") as golden:
        image = as_batch(golden[f"{size}/image"])
        disparity = torch.from_numpy(golden[f"{size}/{case}/disp"])[None, None]
        width = disparity.shape[-1]
        warped = as_batch(golden[f"{size}/{case}/warped"])
        visible, hole = (unpack(golden[f"{size}/{case}/{name}"], width) for name in ("mask_nocc", "mask_inpaint"))
    ours = forward_warp(image, disparity)
    # 2e-3 of 255: the published blend divides by a sum that is 1e-7 too large
    torch.testing.assert_close(ours.image[..., 1:], warped[..., 1:], atol=2e-3, rtol=0)
    assert torch.equal(ours.hole[0, 0, :, 1:], hole[:, 1:])
    on_column_zero = disparity[0, 0] == torch.arange(width)
    assert torch.equal(ours.visible[0, 0] & ~on_column_zero, visible)

    official = ForwardWarper(official=True)(image, disparity)
    torch.testing.assert_close(official.image, warped, atol=3e-5, rtol=0)
    assert torch.equal(official.hole[0, 0], hole)
    assert torch.equal(official.visible[0, 0], visible)


def test_official_column_zero_is_wrong_and_ours_is_not():
    image = torch.arange(1.0, 7).reshape(1, 1, 1, 6)
    disparity = torch.full((1, 1, 1, 6), 2.0)
    ours, official = forward_warp(image, disparity), ForwardWarper(official=True)(image, disparity)
    assert ours.image.flatten().tolist() == [3, 4, 5, 6, 0, 0]
    assert ours.visible.flatten().tolist() == [False, False, True, True, True, True]
    assert official.image.flatten().tolist() != ours.image.flatten().tolist()
    assert official.visible.flatten().tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize("size", ["40x72", "33x81"])
@pytest.mark.parametrize("case", CASES)
def test_equals_stereo_from_mono(goldens, size, case):
    with np.load(goldens / "mfs_forward_warp.npz") as golden:
        image = as_batch(golden[f"{size}/image"])
        disparity = torch.from_numpy(golden[f"{size}/{case}/disp"])[None, None]
        right, filled = (as_batch(golden[f"{size}/{case}/{name}"]) for name in ("right_nobg", "right_bg"))
        background = as_batch(golden[f"{size}/background"])
        visible = unpack(golden[f"{size}/{case}/visible_mask"], disparity.shape[-1])
    ours = forward_warp(image, disparity)
    on_column_zero = disparity[0, 0] == torch.arange(disparity.shape[-1])
    # The original truncates to 8 bits: ours is the same or up to one level brighter, and never darker.
    excess = (ours.image - right).masked_fill(on_column_zero.any(-1)[:, None], 0)
    assert excess[..., 1:].min() >= -1e-3
    assert excess[..., 1:].max() <= 1 + 1e-3
    assert torch.equal(ours.visible[0, 0] & ~on_column_zero, visible)
    with_background = torch.where(ours.hole, background, ours.image)
    assert ((with_background - filled)[..., 1:].abs() <= 1 + 1e-3).all()


@pytest.mark.parametrize("size", ["32x48", "40x40"])
@pytest.mark.parametrize("case", [*CASES, "half", "neg"])
def test_nearest_equals_genstereo(committed_goldens, size, case):
    with np.load(committed_goldens / "genstereo_embed_warp.npz") as golden:
        disparity = torch.from_numpy(golden[f"{size}/{case}/disp"])[None, None]
        width = disparity.shape[-1]
        source = torch.from_numpy(golden[f"{size}/{case}/source_col_plus1"].astype(np.float32))
        hole = unpack(golden[f"{size}/{case}/mask_hole"], width)
    column = torch.arange(1.0, width + 1).expand(disparity.shape)
    ours = forward_warp(column, disparity, method="nearest")
    assert torch.equal(ours.image[0, 0], source)
    assert torch.equal(ours.hole[0, 0], hole)
    won = torch.zeros_like(hole)
    rows, cells = (source > 0).nonzero(as_tuple=True)
    won[rows, source[rows, cells].long() - 1] = True
    assert torch.equal(ours.visible[0, 0], won)


disparities = st.one_of(
    st.integers(-6, 12).map(float),
    st.integers(-12, 24).map(lambda half: half / 2),
    st.floats(-8, 16, width=32),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e30, -1e30, 1e-12]),
)


@st.composite
def rows(draw, values=disparities):
    width = draw(st.integers(1, 16))
    disparity = draw(st.lists(values, min_size=width, max_size=width))
    valid = draw(st.lists(st.booleans() | st.just(True), min_size=width, max_size=width))
    return disparity, valid


@given(rows())
@settings(max_examples=300, deadline=None)
def test_equals_the_literal_rule_for_any_row(row):
    disparity, valid = row
    width = len(disparity)
    colours = [[math.sin(1 + 3 * x + channel) for x in range(width)] for channel in range(2)]
    # the tensor holds float32, and landings are exact to 2^-40 px: give the literal rule the same numbers
    rounded = torch.tensor(disparity).double()
    snapped = [x - round((x - d) * 2**40) / 2**40 if math.isfinite(d) else d for x, d in enumerate(rounded.tolist())]
    usable = [ok and math.isfinite(d) for ok, d in zip(valid, disparity, strict=True)]
    expected, holes, visible = literal_warp(colours, snapped, usable)
    ours = forward_warp(
        torch.tensor(colours, dtype=torch.float64)[None, :, None],
        rounded.float()[None, None, None],
        torch.tensor(valid)[None, None, None],
    )
    assert ours.hole.flatten().tolist() == holes
    assert ours.visible.flatten().tolist() == visible
    torch.testing.assert_close(ours.image[0, :, 0], torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


@given(rows())
@settings(max_examples=100, deadline=None)
def test_every_known_cell_has_a_visible_source_and_every_visible_pixel_is_in_frame(row):
    disparity = torch.tensor(row[0])[None, None, None]
    valid = torch.tensor(row[1])[None, None, None]
    width = disparity.shape[-1]
    for method in ("two-tap", "nearest"):
        landing = ForwardWarper(method).landing(disparity, valid)
        for source in (landing.up, landing.down):
            columns = source[source >= 0].long()
            assert landing.visible.flatten()[columns].all()
        assert torch.equal(landing.hole, (landing.up < 0) & (landing.down < 0))
        shift = disparity.round() if method == "nearest" else disparity
        place = (torch.arange(width) - shift.double())[landing.visible]
        assert ((place >= -(2**-40)) & (place <= width - 1 + 2**-40)).all()
        assert not (landing.visible & ~(valid & disparity.isfinite())).any()
        # a visible pixel reaches the new view: no more cells are known than two per visible pixel
        assert int((~landing.hole).sum()) <= 2 * int(landing.visible.sum())


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_zero_disparity_is_the_identity(width, channels, seed):
    image = torch.randn(2, channels, 3, width, generator=torch.Generator().manual_seed(seed))
    for method in ("two-tap", "nearest"):
        warped = forward_warp(image, torch.zeros(2, 1, 3, width), method=method)
        assert torch.equal(warped.image, image)
        assert warped.visible.all()
        assert not warped.hole.any()


@given(st.integers(-20, 20), st.integers(1, 16), st.sampled_from(["two-tap", "nearest"]))
@settings(max_examples=50, deadline=None)
def test_integer_shift_is_exact(shift, width, method):
    image = torch.randn(1, 3, 2, width)
    warped = forward_warp(image, torch.full((1, 1, 2, width), float(shift)), method=method)
    for cell in range(width):
        inside = 0 <= cell + shift < width
        assert bool(warped.hole[..., cell].all()) is not inside
        assert torch.equal(warped.image[..., cell], image[..., cell + shift] if inside else torch.zeros(1, 3, 2))
    seen = [0 <= x - shift < width for x in range(width)]
    assert warped.visible[0, 0, 0].tolist() == seen


@given(st.floats(-5, 5, width=32))
@settings(max_examples=40, deadline=None)
def test_fronto_parallel_plane_moves_as_a_whole(shift):
    """A plane with a linear picture: the new view shows the same ramp, moved, wherever two neighbours landed."""
    assume(abs(shift - round(shift)) > 2**-39)  # whole shifts have a test of their own
    ramp = torch.arange(24.0).reshape(1, 1, 1, 24)
    warped = forward_warp(ramp, torch.full_like(ramp, shift))
    landing = ForwardWarper().landing(torch.full_like(ramp, shift))
    both = landing.up != landing.down
    assert int(both.sum()) >= 24 - math.ceil(abs(shift)) - 1
    torch.testing.assert_close(warped.image[both], (ramp + shift)[both], atol=1e-5, rtol=0)


def test_nearer_hides_farther_and_opens_a_hole_of_the_step():
    disparity = torch.zeros(1, 1, 1, 20)
    disparity[..., 8:13] = 4.0
    warped = forward_warp(torch.arange(20.0).reshape(1, 1, 1, 20), disparity)
    assert warped.hole.flatten().nonzero().flatten().tolist() == [9, 10, 11, 12]
    assert (~warped.visible).flatten().nonzero().flatten().tolist() == [4, 5, 6, 7]
    assert warped.image[..., 4:9].flatten().tolist() == [8, 9, 10, 11, 12]


def test_larger_signed_disparity_is_nearer():
    """A rig that converges: the screen plane has disparity 0, what lies behind it moves right and is still hidden."""
    disparity = torch.full((1, 1, 1, 12), -3.0)
    disparity[..., 5:8] = -1.0
    warped = forward_warp(torch.arange(12.0).reshape(1, 1, 1, 12), disparity)
    assert warped.image[..., 6:9].flatten().tolist() == [5, 6, 7]
    assert not warped.visible[..., 3:5].any()


def test_right_to_left_by_mirroring():
    generator = torch.Generator().manual_seed(0)
    right = torch.rand(1, 3, 4, 32, generator=generator)
    disparity = torch.rand(1, 1, 4, 32, generator=generator) * 6
    left = forward_warp(right.flip(-1), disparity.flip(-1))
    integer = forward_warp(right.flip(-1), disparity.flip(-1).round())
    column = torch.arange(32.0).expand(1, 1, 4, 32)
    moved = forward_warp(column.flip(-1), disparity.flip(-1).round()).image.flip(-1)
    known = ~integer.hole.flip(-1)
    # x_left = x_right + d
    source = moved[known].long()
    rows_of_known = known.nonzero()[:, 2]
    assert torch.equal(source + disparity.round()[0, 0, rows_of_known, source].long(), known.nonzero()[:, 3])
    assert left.image.shape == right.shape


def test_a_constant_picture_stays_constant():
    disparity = torch.rand(1, 1, 16, 64, generator=torch.Generator().manual_seed(3)) * 9
    warped = forward_warp(torch.ones(1, 1, 16, 64), disparity)
    known = warped.image[~warped.hole]
    # one layer alone is dimmed by its cost / 10000, as published; two layers are exact
    assert known.max() == 1
    assert known.min() >= 1 - 1.001e-4


def test_items_of_a_batch_do_not_touch_each_other():
    generator = torch.Generator().manual_seed(1)
    image, disparity = torch.rand(3, 2, 5, 40, generator=generator), torch.rand(3, 1, 5, 40, generator=generator) * 8
    valid = torch.rand(3, 1, 5, 40, generator=generator) > 0.2
    together = forward_warp(image, disparity, valid)
    for item in range(3):
        alone = forward_warp(image[item : item + 1], disparity[item : item + 1], valid[item : item + 1])
        assert torch.equal(together.image[item], alone.image[0])
        assert torch.equal(together.visible[item], alone.visible[0])


def test_very_wide_rows_stay_linear_in_memory():
    width = 300_000  # a table of pixel pairs would take 90 GB
    disparity = torch.rand(1, 1, 1, width, generator=torch.Generator().manual_seed(2)) * 50
    warped = forward_warp(torch.rand(1, 1, 1, width), disparity)
    assert 0 < int(warped.hole.sum()) < width


def test_gradients_flow_to_the_image():
    image = torch.rand(1, 2, 2, 9, dtype=torch.float64, requires_grad=True)
    disparity = torch.rand(1, 1, 2, 9) * 3
    assert torch.autograd.gradcheck(lambda x: forward_warp(x, disparity).image, (image,))


def test_pick_never_mixes():
    disparity = torch.rand(1, 1, 8, 40, generator=torch.Generator().manual_seed(5)) * 7
    landing = ForwardWarper().landing(disparity)
    picked = landing.pick(disparity)
    for row in range(8):
        assert set(picked[0, 0, row][~landing.hole[0, 0, row]].tolist()) <= set(disparity[0, 0, row].tolist())
    assert (picked[landing.hole] == 0).all()


def test_disparity_of_the_new_view_leads_back_to_the_source():
    """On a slanted surface colours are interpolated, and disparity with them: fetched there, it gives the very colour."""
    column = torch.arange(64.0).expand(1, 1, 2, 64)
    disparity = 3 + 0.17 * column
    landing = ForwardWarper().landing(disparity)
    there, colour = landing.pick_disparity(disparity), landing.splat(column)
    known = ~landing.hole
    back = (column + there)[known]  # x_left = x_right + d
    both = known & (landing.up != landing.down)
    assert both.float().mean() > 0.7
    assert (back - colour[known])[both[known]].abs().max() < 2e-3  # splat is dimmed by up to 1e-4 of its value
    step = disparity + 20 * (column > 30)
    at_step = ForwardWarper().landing(step)
    values = at_step.pick_disparity(step)[~at_step.hole]
    assert not ((values > 8.3) & (values < 28)).any()  # nothing between the two surfaces


@pytest.mark.parametrize("method", ["two-tap", "nearest"])
def test_a_move_to_the_other_side_is_made_in_the_mirror(method):
    generator = torch.Generator().manual_seed(4)
    image, disparity = torch.rand(2, 3, 5, 40, generator=generator), torch.rand(2, 1, 5, 40, generator=generator) * 9
    valid = torch.rand(2, 1, 5, 40, generator=generator) > 0.2
    warper = ForwardWarper(method)
    there = warper.landing_at(disparity, valid, -0.5)
    seen = warper(image.flip(-1), disparity.flip(-1) * 0.5, valid.flip(-1))
    assert torch.equal(there.splat(image), seen.image.flip(-1))
    assert torch.equal(there.hole, seen.hole.flip(-1))
    assert torch.equal(there.visible, seen.visible.flip(-1))
    assert torch.equal(warper.landing_at(disparity, valid, 1).splat(image), warper(image, disparity, valid).image)


def test_errors():
    with pytest.raises(REFUSED, match="softmax"):
        ForwardWarper("softmax")
    with pytest.raises(ShapeError, match="too long"):
        forward_warp(torch.zeros(1, 1, 1, 1 << 20), torch.zeros(1, 1, 1, 1 << 20))
    with pytest.raises(REFUSED):
        forward_warp(torch.zeros(1, 3, 4, 5), torch.zeros(1, 1, 4, 6))


@pytest.mark.gpu
def test_gpu_gives_the_same_bits():
    generator = torch.Generator().manual_seed(0)
    image, disparity = (
        torch.rand(2, 3, 32, 200, generator=generator),
        torch.rand(2, 1, 32, 200, generator=generator) * 30,
    )
    for method in ("two-tap", "nearest"):
        here, there = (
            forward_warp(image, disparity, method=method),
            forward_warp(image.cuda(), disparity.cuda(), method=method),
        )
        assert torch.equal(here.image, there.image.cpu())
        assert torch.equal(here.hole, there.hole.cpu())
        assert torch.equal(here.visible, there.visible.cpu())
