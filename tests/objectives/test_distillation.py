"""Distillation losses: values by hand, exact invariances, what must cost, and finite gradients of odd maps."""

import math

import pytest
import torch
from tests.objectives.fixed import rand

from wheatstone.errors import InputError
from wheatstone.objectives.alignment import align_to_disparity
from wheatstone.objectives.distillation import kl_histogram, kl_spatial, wasserstein
from wheatstone.objectives.distillation_structure import aligned_l1, gradient, patch_ssi, pearson, rank, ssi

SIZE = (2, 1, 24, 32)


def ranks(prediction, teacher, mask, **settings):
    draws = [torch.Generator().manual_seed(item) for item in range(len(mask))]
    return rank(prediction, teacher, mask, generators=draws, window=12, **settings)


LOSSES = {
    "kl_spatial": kl_spatial,
    "kl_windows": lambda *maps: kl_spatial(*maps, window=12),
    "kl_both": lambda *maps: kl_spatial(*maps, direction="both"),
    "kl_histogram": kl_histogram,
    "wasserstein": wasserstein,
    "ssi": ssi,
    "patch_ssi": lambda *maps: patch_ssi(*maps, window=12),
    "rank": ranks,
    "pearson": pearson,
    "pearson_windows": lambda *maps: pearson(*maps, window=12),
    "gradient": gradient,
    "aligned_l1": aligned_l1,
}
BLIND_TO_PLACE = ("kl_histogram", "wasserstein")
BLIND_TO_OFFSET = (
    "kl_spatial",
    "kl_windows",
    "kl_both",
    "ssi",
    "patch_ssi",
    "rank",
    "pearson",
    "pearson_windows",
    "gradient",
)
BLIND_TO_SCALE = ("ssi", "pearson", "pearson_windows")

everyone = pytest.mark.parametrize("name", LOSSES)


def maps(seed=0):
    """A student, a teacher like a scene (slanted ground, boxes) and a mask."""
    teacher = torch.linspace(2, 20, SIZE[2]).view(1, 1, -1, 1).repeat(2, 1, 1, SIZE[3])
    teacher[..., 5:15, 4:12] = 30
    teacher[1, :, 10:20, 20:28] = 24
    student = teacher + 2 * rand(*SIZE, seed=seed) - 1
    return student, teacher, rand(*SIZE, seed=seed + 1) < 0.8


def row(*values):
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def all_of(values):
    return torch.ones_like(values, dtype=torch.bool)


# --- numbers by hand -------------------------------------------------------------------------------------------------------


def test_kl_spatial_by_hand():
    # median 1, deviations 1, 0, 1: median absolute deviation 1, so tau = 1.4826
    teacher, student = row(0, 1, 2), row(0, 0, 3)
    tau = 1.4826
    p = [math.exp(v / tau) for v in (0, 1, 2)]
    q = [math.exp(v / tau) for v in (0, 0, 3)]
    p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
    forward = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    backward = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True))
    mask = all_of(teacher)
    assert float(kl_spatial(student, teacher, mask).values) == pytest.approx(forward, rel=1e-9)
    assert float(kl_spatial(student, teacher, mask, direction="prediction-first").values) == pytest.approx(
        backward, rel=1e-9
    )
    both = kl_spatial(student, teacher, mask, direction="both")
    assert float(both.values) == pytest.approx((forward + backward) / 2, rel=1e-9)
    # a fourth pixel that does not count changes nothing
    more = kl_spatial(row(0, 0, 3, 50), row(0, 1, 2, -70), row(1, 1, 1, 0) > 0)
    assert float(more.values) == pytest.approx(forward, rel=1e-9)


@pytest.mark.parametrize("window", [0, 12])
def test_the_gradient_of_kl_is_q_less_p_over_tau(window):
    student, teacher, mask = (values[:1].double() if values.is_floating_point() else values[:1] for values in maps())
    student.requires_grad_()
    kl_spatial(student, teacher, mask, window=window).values.sum().backward()
    step = 1e-5
    for place in ((0, 0, 6, 6), (0, 0, 14, 11), (0, 0, 23, 31)):
        move = torch.zeros_like(student).index_put_([torch.tensor(i) for i in place], torch.tensor(step).double())
        with torch.no_grad():
            up, down = (
                kl_spatial(student + sign * move, teacher, mask, window=window).values.sum() for sign in (1, -1)
            )
        assert float(student.grad[place]) == pytest.approx(float(up - down) / (2 * step), rel=1e-5, abs=1e-9)
    if not window:
        known = teacher[mask]
        apart = (known - known.median()).abs()
        tau = torch.maximum(1.4826 * apart.quantile(0.5), 1.2533 / 2 * apart.mean())
        p, q = (torch.softmax(values[mask] / tau, 0) for values in (teacher, student.detach()))
        torch.testing.assert_close(student.grad[mask], (q - p) / tau, rtol=1e-2, atol=1e-9)
        assert student.grad.abs().sum() <= 2 / tau


def test_a_hot_kl_is_the_variance_of_the_difference():
    student, teacher, _ = maps()
    mask = all_of(teacher)
    hot = kl_spatial(student.double(), teacher.double(), mask, temperature=1000.0).values
    ratio = []
    for own, target, found in zip(student.double(), teacher.double(), hot, strict=True):
        apart = (target - target.quantile(0.5)).abs()
        tau = 1000 * torch.maximum(1.4826 * apart.quantile(0.5), 1.2533 / 2 * apart.mean())
        ratio.append(float(found * 2 * tau**2 / (own - target).var(unbiased=False)))
    assert ratio == pytest.approx([1, 1], rel=1e-2)


def test_kl_histogram_by_hand():
    # three bins at 0, 1, 2 (no margin): teacher 0, 2 fills the ends, student 0.5, 2 a quarter, a quarter, a half
    teacher, student = row(0, 2), row(0.5, 2)
    found = float(kl_histogram(student, teacher, all_of(teacher), bins=3, margin=0.0).values)
    p, q = ([0.999 * v + 0.001 / 3 for v in shares] for shares in ((0.5, 0.0, 0.5), (0.25, 0.25, 0.5)))
    assert found == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), rel=1e-9)


def test_wasserstein_by_hand():
    teacher, student = row(1, 3, 2, 90), row(12, 11, 13, 0)
    mask = row(1, 1, 1, 0) > 0
    assert float(wasserstein(student, teacher, mask, quantiles=5, trim=0.0).values) == pytest.approx(10)
    # quantiles 0 and 1 of (0, 4) and (1, 2): |0 - 1| and |4 - 2|; with the middle |2 - 1.5|
    assert float(wasserstein(row(0, 4), row(2, 1), row(1, 1) > 0, quantiles=2, trim=0.0).values) == pytest.approx(1.5)
    assert float(wasserstein(row(0, 4), row(2, 1), row(1, 1) > 0, quantiles=3, trim=0.0).values) == pytest.approx(
        3.5 / 3
    )


def test_ssi_by_hand():
    # centred: student (-1, 0, 1), teacher (-1, -1, 2): covariance 1, variances 2/3 and 2, so 1 - r^2 = 1 - 1 / (4/3)
    student, teacher = row(0, 1, 2), row(3, 3, 6)
    mask = all_of(teacher)
    assert float(ssi(student, teacher, mask, gradient_weight=0.0).values) == pytest.approx(0.25, rel=1e-9)
    # what remains: (-1.5, 0, 1.5) - (-1, -1, 2), steps 1.5 and -1.5 over sqrt(2); no vertical ones
    rest = 1.5 / math.sqrt(2)
    assert float(ssi(student, teacher, mask, scales=1).values) == pytest.approx(0.25 + 0.5 * rest, rel=1e-9)
    # the opposite is no better than a constant
    assert float(ssi(-student, teacher, mask, gradient_weight=0.0).values) == pytest.approx(1)
    correlation = 1 - pearson(student, teacher, mask).values
    assert float(1 - correlation**2) == pytest.approx(0.25, rel=1e-9)


def test_pearson_by_hand():
    assert float(pearson(row(0, 1, 2), row(3, 3, 6), row(1, 1, 1) > 0).values) == pytest.approx(
        1 - math.sqrt(0.75), rel=1e-9
    )
    assert float(pearson(row(5, 5, 5), row(3, 3, 6), row(1, 1, 1) > 0).values) == pytest.approx(1)
    assert float(pearson(-row(3, 3, 6), row(3, 3, 6), row(1, 1, 1) > 0).values) == pytest.approx(2)


def test_patch_ssi_by_hand():
    # one patch; best scale 1/2 and offset: student (0, 1, 2), teacher (-1, -1, 2) + middle, scale 1/2 -> (0.5, 0.5, 2)
    student, teacher = row(0, 1, 2), row(3, 3, 6)
    found = patch_ssi(student, teacher, all_of(teacher), minimum=3, gradient_weight=0.0)
    assert float(found.values) == pytest.approx((0.5 + 0.5 + 0) / 3, rel=1e-9)
    held = patch_ssi(student, teacher, all_of(teacher), minimum=3, gradient_weight=0.0, stretch=1.0)
    assert float(held.values) == pytest.approx((1 + 1 + 1) / 3 - 1 / 3, rel=1e-9)  # (0, 0, 3) against (0, 1, 2)
    assert not patch_ssi(student, teacher, all_of(teacher), minimum=4).counted


def test_gradient_and_aligned_l1_by_hand():
    student, teacher = row(0, 1, 5, 5), row(3, 3, 6, 9)
    mask = row(1, 1, 1, 0) > 0
    assert float(gradient(student, teacher, mask).values) == pytest.approx((1 + 1) / 2)  # 1 - 0, 4 - 3
    assert float(aligned_l1(student, teacher, mask).values) == pytest.approx((3 + 2 + 1) / 3)


def test_weights_count_as_often_as_they_say():
    student, teacher, weights = row(0, 1, 5, 5), row(3, 3, 6, 9), row(1, 3, 2, 5)
    mask = row(1, 1, 1, 0) > 0
    thrice, target = row(0, 1, 1, 1, 5, 5), row(3, 3, 3, 3, 6, 6)
    assert float(aligned_l1(student, teacher, mask, weights=weights).values) == pytest.approx((3 + 3 * 2 + 2 * 1) / 6)
    for window in (0, 8):
        weighed = pearson(student, teacher, mask, weights=weights, window=window).values
        assert float(weighed) == pytest.approx(float(pearson(thrice, target, all_of(target)).values), rel=1e-9)
    for loss in (aligned_l1, pearson):
        even = loss(student, teacher, mask, weights=2 * torch.ones_like(weights)).values
        assert float(even) == pytest.approx(float(loss(student, teacher, mask).values), rel=1e-9)


def test_rank_by_hand():
    # of two pixels every pair that counts is the same one
    draws = [torch.Generator().manual_seed(0)]
    both = row(1, 1) > 0
    for student, expected in ((row(0, 4), 0.0), (row(4, 0), 4.1), (row(1, 1), 0.1), (row(0, 0.04), 0.06)):
        found = rank(student, row(3, 9), both, generators=draws, window=0)
        assert float(found.values) == pytest.approx(expected, abs=1e-9)
    # 1.4826 deviations of 3 px apart are 6 px: not far enough for a gap of 1.5 deviations
    assert not rank(row(0, 4), row(3, 9), both, generators=draws, window=0, gap=1.5).counted


# --- invariances -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BLIND_TO_OFFSET)
def test_an_offset_of_the_student_costs_nothing(name):
    student, teacher, mask = maps()
    student, teacher = student.double(), teacher.double()
    first, moved = (LOSSES[name](student + by, teacher, mask).values for by in (0.0, 37.0))
    torch.testing.assert_close(moved, first, rtol=1e-9, atol=1e-12)
    assert (first > 0).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(BLIND_TO_OFFSET)))
def test_where_the_numbers_count_an_offset_costs(name):
    student, teacher, mask = maps()
    assert (LOSSES[name](teacher + 5.0, teacher, mask).values > LOSSES[name](student, teacher, mask).values).all()


@pytest.mark.parametrize("name", BLIND_TO_SCALE)
def test_a_scale_of_either_map_costs_nothing(name):
    student, teacher, mask = maps()
    student, teacher = student.double(), teacher.double()
    first = LOSSES[name](student, teacher, mask).values
    torch.testing.assert_close(LOSSES[name](7.0 * student, teacher, mask).values, first, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(LOSSES[name](student, 0.3 * teacher - 5, mask).values, first, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(BLIND_TO_SCALE)))
def test_the_others_see_a_scale_of_the_student(name):
    student, teacher, mask = maps()
    # of an order, only how much it is violated: a violation twice as large costs more
    student = -student if name == "rank" else teacher
    assert (LOSSES[name](2 * student, teacher, mask).values > LOSSES[name](student, teacher, mask).values + 1e-4).all()


@everyone
def test_after_alignment_scale_and_offset_of_the_teacher_do_not_matter(name):
    student, teacher, mask = maps()
    valid = rand(*SIZE, seed=7) < 0.3
    found = [
        LOSSES[name](student, align_to_disparity(a * teacher + b, teacher, valid).aligned, mask).values
        for a, b in ((1.0, 0.0), (0.01, 3.0), (90.0, -11.0))
    ]
    torch.testing.assert_close(found[1], found[0], rtol=2e-3, atol=1e-4)
    torch.testing.assert_close(found[2], found[0], rtol=2e-3, atol=1e-4)


@everyone
def test_what_the_teacher_says_costs_nothing_or_next_to_it(name):
    _, teacher, mask = maps()
    found = LOSSES[name](teacher.clone(), teacher, mask)
    assert found.counted.all()
    # of an order there is a margin: pairs a gap apart are far beyond it
    torch.testing.assert_close(found.values, torch.zeros(2), rtol=0, atol=1e-5)


@everyone
def test_exchanged_pixels_cost_where_place_counts(name):
    _, teacher, _ = maps()
    order = torch.randperm(SIZE[2] * SIZE[3], generator=torch.Generator().manual_seed(0))
    shuffled = teacher.flatten(2)[..., order].view(SIZE)
    values = LOSSES[name](shuffled, teacher, all_of(teacher)).values
    if name in BLIND_TO_PLACE:
        torch.testing.assert_close(values, torch.zeros(2), rtol=0, atol=1e-5)
    else:
        assert (values > 0.1).all()


@everyone
def test_nothing_comes_from_pixels_that_do_not_count_nor_from_other_images(name):
    student, teacher, mask = maps()
    first = LOSSES[name](student, teacher, mask).values
    spoilt = [torch.where(mask, values, 1e4) for values in (student, teacher)]
    torch.testing.assert_close(LOSSES[name](*spoilt, mask).values, first, rtol=1e-5, atol=1e-6)
    alone = LOSSES[name](student[:1], teacher[:1], mask[:1]).values
    torch.testing.assert_close(alone, first[:1], rtol=1e-6, atol=1e-7)


# --- odd maps --------------------------------------------------------------------------------------------------------------


@everyone
@pytest.mark.parametrize(
    "odd", ["no pixel", "one pixel", "constant teacher", "constant student", "both", "huge", "tiny"]
)
def test_gradients_of_odd_maps_are_finite(name, odd):
    student, teacher, mask = maps()
    if odd == "no pixel":
        mask = mask & False
    elif odd == "one pixel":
        mask = mask & False
        mask[:, 0, 4, 9] = True
    if odd in ("constant teacher", "both"):
        teacher = torch.full(SIZE, 3.0)
    if odd in ("constant student", "both"):
        student = torch.full(SIZE, 5.0)
    if odd == "huge":
        student = 1e6 * student
    if odd == "tiny":
        student, teacher = 1e-6 * student, 1e-6 * teacher
    student = student.requires_grad_()
    found = LOSSES[name](student, teacher, mask)
    assert found.values.isfinite().all()
    assert (found.values >= -1e-6).all()
    found.values.sum().backward()
    assert student.grad.isfinite().all()
    assert not student.grad[~mask].any()
    if odd == "no pixel":
        assert not found.counted.any()
        assert not found.values.any()
        assert not student.grad.any()


@everyone
def test_the_teacher_learns_nothing(name):
    student, teacher, mask = maps()
    teacher = teacher.requires_grad_()
    values = LOSSES[name](student.requires_grad_(), teacher, mask).values
    values.sum().backward()
    assert student.grad.any()
    assert teacher.grad is None


def test_senseless_settings_are_refused():
    student, teacher, mask = maps()
    for loss, settings in (
        (kl_spatial, {"temperature": 0.0}),
        (kl_spatial, {"window": 1}),
        (kl_histogram, {"bins": 2}),
        (wasserstein, {"trim": 0.5}),
        (wasserstein, {"quantiles": 1}),
        (patch_ssi, {"stretch": 0.5}),
        (rank, {"generators": []}),
        (ranks, {"pairs": 0}),
    ):
        with pytest.raises(InputError):
            loss(student, teacher, mask, **settings)
