"""S2DKD: the teacher's pull against the truth's, where and when it pulls, both views, and exact splits."""

import jaxtyping
import pytest
import torch
from tests.objectives.fixed import FixedMatcher, rand
from torch import nn

from wheatstone.errors import InputError
from wheatstone.matching import MatcherOutput
from wheatstone.objectives.s2dkd import S2DKD, VARIANTS, carried_to_right

SIZE = (3, 1, 24, 32)
REFUSED = (InputError, jaxtyping.TypeCheckError)  # the type checker of the tests may see it first
FIXED = {"gradient_target": None}
SUPERVISED = [{}, {"per_item": True}, {"error": "smooth-l1", "weights": (0.5, 0.7, 1.0)}, {"edge_weight": 2.0}]


def generators(count=3):
    return [torch.Generator().manual_seed(item) for item in range(count)]


def make_batch():
    """Sparse truth (none in image 2), a teacher at another scale (none for image 1, as replayed items have it)."""
    disparity = torch.linspace(2, 20, SIZE[2]).view(1, 1, -1, 1).repeat(3, 1, 1, SIZE[3])
    disparity[..., 5:15, 6:14] = 25
    valid = rand(*SIZE, seed=1) < 0.2
    valid[2] = False
    known = rand(*SIZE, seed=2) < 0.9
    known[1] = False
    image = rand(3, 3, *SIZE[2:])
    teacher = 0.01 * disparity + 3
    views = {"left": image, "right": image.flip(0), "disparity": disparity, "valid": valid}
    right = {"teacher_right": teacher.flip(-1), "teacher_right_valid": known}
    return {**views, "teacher": teacher, "teacher_valid": known, **right}


def predictions(count=3):
    return [(make_batch()["disparity"] + 3 * rand(*SIZE, seed=7 + k) - 1.5).requires_grad_() for k in range(count)]


def pull(terms, name, outputs):
    """L1 norms of the gradient of a term at each prediction of each image."""
    total, count, weight = terms[name]
    slopes = torch.autograd.grad(weight * total / count, outputs, retain_graph=True, allow_unused=True)
    return [torch.zeros(3) if slope is None else slope.abs().flatten(1).sum(1) for slope in slopes]


@pytest.mark.parametrize("supervised", SUPERVISED)
@pytest.mark.parametrize("steps", ["last", "all"])
def test_the_teacher_pulls_with_a_share_of_the_force_of_the_truth(supervised, steps):
    outputs, batch = predictions(), make_batch()
    objective = S2DKD(supervised=supervised, gradient_target=0.25, steps=steps)
    terms = objective({"matcher": FixedMatcher(outputs)}, batch, 0, generators())
    truth, teacher = pull(terms, "sequence", outputs), pull(terms, "distillation", outputs)
    for k in range(3):
        taught = 0.25 * truth[k][0] if steps == "all" or k == 2 else torch.tensor(0.0)
        torch.testing.assert_close(teacher[k], torch.stack([taught, *torch.zeros(2)]), rtol=1e-4, atol=1e-7)
    assert truth[2][0] > 0
    assert truth[2][1] > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_has_that_share_and_does_not_go_beyond_its_floor(variant):
    batch = make_batch()
    outputs = [rand(*SIZE, seed=4).mul(20).requires_grad_()]
    terms = S2DKD(variant=variant)({"matcher": FixedMatcher(outputs)}, batch, 0, generators())
    share = pull(terms, "distillation", outputs)[0][0] / pull(terms, "sequence", outputs)[0][0]
    assert float(share) == pytest.approx(0.2, rel=1e-4)
    assert float(terms["divergence"][0]) > 0
    agrees = [(batch["disparity"] + 1e-6 * rand(*SIZE)).requires_grad_()]
    terms = S2DKD(variant=variant, floor=1e3)({"matcher": FixedMatcher(agrees)}, batch, 0, generators())
    share = pull(terms, "distillation", agrees)[0][0] / pull(terms, "sequence", agrees)[0][0]
    assert float(share) < 0.01


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("settings", [{}, FIXED, {"steps": "all", "views": "both", "supervised": {"per_item": True}}])
def test_a_split_changes_nothing(variant, settings):
    batch, objective = make_batch(), S2DKD(variant=variant, trust=3.0, trust_cell=8, **settings)
    outputs = predictions(2)
    whole = objective({"matcher": FixedMatcher(outputs)}, batch, 0, generators())
    parts = [
        objective(
            {"matcher": FixedMatcher([values[i : i + 1] for values in outputs])},
            {name: values[i : i + 1] for name, values in batch.items()},
            0,
            generators()[i : i + 1],
        )
        for i in range(3)
    ]
    for name, (total, count, _) in whole.items():
        assert sum(float(p[name][0]) for p in parts) == pytest.approx(float(total), rel=1e-4, abs=1e-5), name
        assert sum(float(p[name][1]) for p in parts) == pytest.approx(float(count), rel=1e-6), name
    together = torch.autograd.grad(whole["distillation"][0], outputs[-1])[0]
    apart = torch.autograd.grad(sum(p["distillation"][0] for p in parts), outputs[-1])[0]
    torch.testing.assert_close(apart, together, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    "settings", [{}, FIXED, {"supervised": {"per_item": True, "initial": 0.3}}, {"where": "everywhere"}]
)
def test_counts_need_no_network(settings):
    batch, objective = make_batch(), S2DKD(**settings)
    terms = objective({"matcher": FixedMatcher(predictions(), predictions(1)[0])}, batch, 0, [])
    assert {name: float(count) for name, count in objective.counts(batch).items()} == {
        name: float(count) for name, (_, count, _) in terms.items()
    }
    assert terms["aligned"][:2] == (1, 2)  # image 2 has a teacher but no truth


def test_where_labels_are_missing_or_everywhere():
    batch = make_batch()
    for where, settings in (("unlabelled", {}), ("everywhere", {}), ("everywhere", {"farthest": 10.0})):
        outputs = predictions(1)
        terms = S2DKD(variant="aligned_l1", where=where, **settings)({"matcher": FixedMatcher(outputs)}, batch, 0, [])
        taught = torch.autograd.grad(terms["distillation"][0], outputs[0])[0] != 0
        expected = batch["teacher_valid"] & (batch["disparity"] > settings.get("farthest", 0.0))
        expected = expected & ~batch["valid"] if where == "unlabelled" else expected
        assert (taught[0] == expected[0]).all()
        assert not taught[1:].any()


def test_a_teacher_that_contradicts_the_truth_is_not_believed_there():
    batch = make_batch()
    batch["valid"][0] = rand(*SIZE[1:], seed=9) < 0.5
    batch["teacher"][0, :, 16:, :16] = 3.9  # a poster
    outputs = predictions(1)
    terms = S2DKD(variant="aligned_l1", trust=2.0, trust_cell=8)({"matcher": FixedMatcher(outputs)}, batch, 0, [])
    taught = torch.autograd.grad(terms["distillation"][0], outputs[0])[0][0, 0] != 0
    assert not taught[16:, :16].any()
    assert taught[16:, 16:].any()
    assert taught[:16].any()


def test_soft_edges_of_the_teacher_can_be_made_steps():
    batch = make_batch()
    disparity = torch.full(SIZE, 4.0)
    disparity[..., 16:] = 16
    soft = disparity.clone()
    soft[..., 14:18] = torch.tensor([6.0, 8.0, 12.0, 14.0])
    batch |= {"disparity": disparity, "teacher": soft / 5, "teacher_valid": torch.ones(SIZE, dtype=torch.bool)}
    batch["valid"] = batch["valid"] & (disparity == soft)
    found = []
    for sharpen in (0.0, 1.0):
        outputs = [disparity.clone().requires_grad_()]
        objective = S2DKD(variant="aligned_l1", where="everywhere", sharpen=sharpen, **FIXED)
        found.append(float(objective({"matcher": FixedMatcher(outputs)}, batch, 0, [])["divergence"][0]))
    assert found[0] == pytest.approx(3 * (2 + 4 + 4 + 2) / 32, rel=1e-3)
    assert found[1] == pytest.approx(0, abs=1e-3)


def test_a_fixed_weight_is_the_quoted_sum():
    batch, outputs = make_batch(), predictions(2)
    batch["valid"][2] = batch["valid"][0]
    objective = S2DKD(weight=3.0, steps="all", supervised={"weights": (0.5, 1.0)}, **FIXED)
    terms = objective({"matcher": FixedMatcher(outputs)}, batch, 0, [])
    total, count, weight = terms["distillation"]
    assert (int(count), weight) == (2, 3.0)
    values = []
    for output in outputs:
        only = S2DKD(**FIXED)({"matcher": FixedMatcher([output])}, batch, 0, [])
        values.append(float(only["distillation"][0]))
    assert float(total) == pytest.approx(0.5 * values[0] + values[1], rel=1e-5)
    assert float(terms["divergence"][0]) == pytest.approx(values[1], rel=1e-5)
    # what the loss of a batch would give by itself
    slopes = torch.autograd.grad(total, outputs)
    assert all(slope[0].any() and slope[2].any() and not slope[1].any() for slope in slopes)


def test_the_weight_rises_and_falls():
    objective = S2DKD(ramp=0.1, decay=0.2, total_steps=100)
    found = [objective.factor(step) for step in (0, 5, 10, 50, 80, 90, 99)]
    assert found == pytest.approx([0, 0.5, 1, 1, 1, 0.5, 0.05])
    terms = objective({"matcher": FixedMatcher(predictions())}, make_batch(), 5, [])
    assert terms["distillation"][2] == pytest.approx(0.5)
    assert S2DKD().factor(0) == 1
    assert S2DKD(ramp=0.0, total_steps=10).factor(0) == 1


def test_bfloat16_predictions_are_taught_alike():
    batch, outputs = make_batch(), predictions(1)
    half = [outputs[0].detach().bfloat16().requires_grad_()]
    same = [half[0].detach().float().requires_grad_()]
    found = []
    for given in (half, same):
        with torch.autocast("cpu", torch.bfloat16):
            terms = S2DKD()({"matcher": FixedMatcher(given)}, batch, 0, [])
        assert terms["distillation"][0].dtype == torch.float32
        found.append(torch.autograd.grad(terms["distillation"][0], given[0])[0].float())
    torch.testing.assert_close(found[0], found[1], rtol=1e-2, atol=1e-6)


class _Echo(nn.Module):
    """Answers with the grey left view it is shown, in tens of px, times a parameter."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.seen = []

    def forward(self, left, right, iterations, **_):
        self.seen.append((left, right))
        return MatcherOutput((10 * self.gain * left.mean(1, keepdim=True),))


def test_edges_of_the_teacher_can_weigh_more():
    batch = make_batch()
    batch["disparity"] = torch.full(SIZE, 4.0)
    batch["disparity"][..., 16:] = 16
    batch |= {"teacher": batch["disparity"] / 5, "teacher_valid": torch.ones(SIZE, dtype=torch.bool)}
    slopes = {}
    for weight in (0.0, 3.0):
        outputs = [(batch["disparity"] + 1).requires_grad_()]
        objective = S2DKD(variant="aligned_l1", where="everywhere", edge_weight=weight, edge_px=3, **FIXED)
        total = objective({"matcher": FixedMatcher(outputs)}, batch, 0, [])["distillation"][0]
        slopes[weight] = torch.autograd.grad(total, outputs[0])[0][0, 0, 0]
    assert slopes[0.0].std() == pytest.approx(0, abs=1e-8)
    near = slopes[3.0] > 2 * slopes[3.0].min()
    assert near.nonzero().flatten().tolist() == [13, 14, 15, 16, 17, 18]
    assert slopes[3.0][near].mean() == pytest.approx(4 * float(slopes[3.0][~near].mean()), rel=1e-5)
    assert slopes[3.0].sum() == pytest.approx(float(slopes[0.0].sum()), rel=1e-5)  # the pull as a whole is what it was


def test_the_right_view_is_the_mirrored_swapped_pair():
    batch = make_batch()
    network = _Echo()
    # what the network answers for the right view is the right view: a teacher that says the same has nothing to teach
    answer = 10 * batch["right"].mean(1, keepdim=True)
    batch["teacher_right"], batch["teacher_right_valid"] = answer, torch.ones(SIZE, dtype=torch.bool)
    batch["valid"][:] = False  # so both teachers are aligned with the answers
    plain = S2DKD(variant="aligned_l1", where="everywhere", **FIXED)
    left = plain({"matcher": network}, batch, 0, [])["distillation"][0]
    both = S2DKD(variant="aligned_l1", where="everywhere", views="both", **FIXED)
    total = both({"matcher": network}, batch, 0, [])["distillation"][0]
    assert (network.seen[2][0] == batch["right"].flip(-1)).all()
    assert (network.seen[2][1] == batch["left"].flip(-1)).all()
    assert float(total) == pytest.approx(float(left) / 2, rel=1e-4)
    batch["teacher_right"] = answer.flip(-1)
    assert float(both({"matcher": network}, batch, 0, [])["distillation"][0]) > float(total) + 1


def test_truth_is_carried_to_the_right_view_the_nearest_first():
    disparity, valid = torch.zeros(1, 1, 1, 8), torch.zeros(1, 1, 1, 8, dtype=torch.bool)
    for column, value in ((3, 1.0), (5, 3.2), (6, 4.0), (1, 4.0)):
        disparity[..., column], valid[..., column] = value, True
    carried, known = carried_to_right(disparity, valid)
    assert known[0, 0, 0].nonzero()[:, 0].tolist() == [2]
    assert float(carried[0, 0, 0, 2]) == 4.0


def test_nothing_known_gives_nothing_and_no_gradient_that_is_not_a_number():
    batch = make_batch()
    for name in ("valid", "teacher_valid"):
        empty = {**batch, name: torch.zeros(SIZE, dtype=torch.bool)}
        for settings in ({}, FIXED):
            outputs = predictions(1)
            terms = S2DKD(**settings)({"matcher": FixedMatcher(outputs)}, empty, 0, [])
            slope = torch.autograd.grad(terms["distillation"][0] + terms["sequence"][0], outputs[0])[0]
            assert slope.isfinite().all()
            if name == "teacher_valid" or not settings:
                assert terms["distillation"][0] == 0


def test_senseless_settings_and_data_without_a_teacher_are_refused():
    for settings in (
        {"variant": "vibes"},
        {"where": "somewhere"},
        {"steps": "first"},
        {"views": "right"},
        {"direction": "sideways"},
        {"gradient_target": 0.0},
        {"floor": 0.0},
        {"ramp": 1.5},
        {"weight": -1.0},
        {"sharpen": -1.0},
        {"supervised": {"gamma": 2.0}},
        {"temperature": 0.0},
        {"edge_weight": -1.0},
        {"edge_weight": 1.0},  # kl_spatial has none
        {"variant": "gradient", "window": 32},
        {"options": {"force": 1}},
        {"supervised": {"force": 1}},
        {"minimum": 1},
        {"edge_px": 0},
    ):
        with pytest.raises(REFUSED):
            S2DKD(**settings)
    batch = make_batch()
    del batch["teacher"]
    with pytest.raises(InputError, match="teacher"):
        S2DKD()({"matcher": FixedMatcher(predictions())}, batch, 0, [])
