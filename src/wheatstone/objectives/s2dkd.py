"""S2DKD: sparse truth for the numbers, a dense monocular map for what lies between (Mono2Stereo, stage two)."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from wheatstone.errors import InputError
from wheatstone.geometry import ForwardWarper, near_steps, sharpen_disparity
from wheatstone.objectives.alignment import Alignment, align_to_disparity, trusted
from wheatstone.objectives.distillation import Direction, ItemLosses, kl_histogram, kl_spatial, wasserstein
from wheatstone.objectives.distillation_structure import aligned_l1, gradient, patch_ssi, pearson, rank, ssi
from wheatstone.objectives.masked import median_and_deviation
from wheatstone.objectives.sequence import SequenceLoss, run_matcher
from wheatstone.objectives.terms import Terms

__all__ = ["S2DKD", "VARIANTS", "Variant", "carried_to_right"]


class Variant(NamedTuple):
    """A form of distillation.

    Attributes:
        loss: `loss(prediction, teacher, mask, **settings) -> ItemLosses`.
        settings: which of the objective's `temperature`, `direction`, `window`, `generators`, and of the `weights` that it gives
            edges, it takes.
        unit: of the loss: `"px"`, or `"1"` where the maps are divided by a deviation.
    """

    loss: Callable[..., ItemLosses]
    settings: tuple[str, ...] = ()
    unit: Literal["px", "1"] = "px"


VARIANTS: Mapping[str, Variant] = {
    "kl_spatial": Variant(kl_spatial, ("temperature", "direction", "window"), "1"),
    "kl_histogram": Variant(kl_histogram, ("direction",), "1"),
    "wasserstein": Variant(wasserstein),
    "ssi": Variant(ssi, (), "1"),
    "patch_ssi": Variant(patch_ssi, ("window",)),
    "rank": Variant(rank, ("window", "generators")),
    "pearson": Variant(pearson, ("window", "weights"), "1"),
    "gradient": Variant(gradient),
    "aligned_l1": Variant(aligned_l1, ("weights",)),
}
"""Names of the forms of distillation."""


@dataclass(frozen=True)
class S2DKD:
    """Supervised loss on sparse truth, and distillation of a monocular teacher.

    The teacher is aligned with the truth of each image (`align_to_disparity`). Then, for every image b and prediction k that
    is distilled, `w_bk * loss(d_bk, teacher_b, mask_b)` is added to the supervised sum, where

        w_bk = gradient_target * |supervised gradient at d_bk|_1 / max(|distillation gradient at d_bk|_1, floor)

    so that the teacher pulls at each prediction of each image with a fixed share of the force of its truth. Both sums have
    one count, the supervised term's; weights depend on one image alone: so the loss is the same however the batch is split,
    over processes or in time, and in every number format (this part is computed in float32). An image without truth
    pulls nowhere, and nor does its teacher. Weights have no gradient.

    With `gradient_target=None` it is `weight * mean over images of loss(d_b, teacher_b)`, as quoted.

    Attributes:
        supervised: settings of the `SequenceLoss`, which also names the network and its iterations.
        variant: form of distillation, a name of `VARIANTS`.
        weight: factor of the distillation term.
        gradient_target: see above; None weighs by `weight` alone.
        floor: gradient norm below which the teacher's pull fades: without it a student that agrees would be driven by the
            last rounding error. Of a loss in px a gradient norm near 1 is usual; of one in deviations it is divided by them.
        ramp: share of `total_steps` over which the weight rises from 0.
        decay: share of `total_steps`, at the end, over which it falls to 0.
        total_steps: of the training; the trainer fills it in. None: the weight is the same in all steps.
        where: `"unlabelled"` compares where there is no truth, `"everywhere"` all the teacher's pixels.
        steps: `"last"` prediction, or `"all"`, each weighed as the supervised loss weighs it.
        views: `"left"`, or `"both"`: the network also sees the mirrored, swapped pair, and its answer for the right view is
            compared with `teacher_right`, aligned with the truth carried to the right view. Twice the work; each view has
            half the weight.
        temperature: of `kl_spatial`, in deviations of the teacher.
        direction: of the divergences: `"teacher-first"`, `"prediction-first"`, `"both"`.
        window: side of the windows of losses that can be computed in windows, px; None is the variant's own.
        edge_weight: extra weight of pixels near steps of the aligned teacher, for `pearson` and `aligned_l1` (the other forms
            have no weights); 0 is off.
        edge_px: how near, px (`wheatstone.geometry.near_steps`).
        step_px: what a step is, px; less than of the truth, since a teacher's edges are soft.
        options: further settings of the variant.
        minimum: points of truth below which the teacher is aligned with the prediction instead.
        local: width of a local correction of the alignment (`align_to_disparity`), as a share of the image's; 0 is off.
        sharpen: px of disparity a pixel from which on a soft edge of the aligned teacher is made a step
            (`wheatstone.geometry.sharpen_disparity`); 0 leaves soft edges.
        trust: cells of `trust_cell` px in which the aligned teacher is farther from the truth, on the mean, than this many
            times the image's median residual (and 1 px) are not distilled; None trusts all. Cells without truth are trusted.
        trust_cell: px.
        farthest: pixels that the aligned teacher places at or below this disparity are not distilled: sky, and what the
            alignment puts behind infinity. None keeps all. px.

    Source:
        Mono2Stereo (arXiv 2411.09151): published is the aim, that predictions be distributed as the dense monocular depth;
        quoted is `L_sparse + alpha * sum KL(D_out, D_mono)`. All else is ours.
    """

    supervised: Mapping[str, Any] = field(default_factory=dict)
    variant: str = "kl_spatial"
    weight: float = 1.0
    gradient_target: float | None = 0.2
    floor: float = 0.02
    ramp: float = 0.1
    decay: float = 0.0
    total_steps: int | None = None
    where: Literal["unlabelled", "everywhere"] = "unlabelled"
    steps: Literal["last", "all"] = "last"
    views: Literal["left", "both"] = "left"
    temperature: float = 1.0
    direction: Direction = "teacher-first"
    window: int | None = None
    edge_weight: float = 0.0
    edge_px: int = 5
    step_px: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    minimum: int = 32
    local: float = 0.15
    sharpen: float = 0.0
    trust: float | None = None
    trust_cell: int = 32
    farthest: float | None = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense.

        Raises:
            InputError: the setting and what it may be.
        """
        choices = {
            "variant": tuple(VARIANTS),
            "where": ("unlabelled", "everywhere"),
            "steps": ("last", "all"),
            "views": ("left", "both"),
            "direction": ("teacher-first", "prediction-first", "both"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"S2DKD: {name} must be {' or '.join(allowed)}, got {getattr(self, name)!r}")
        for name in (
            "gradient_target",
            "trust",
            "trust_cell",
            "floor",
            "temperature",
            "total_steps",
            "edge_px",
            "step_px",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"S2DKD: {name} must be positive, got {value}")
        least = min(self.weight, self.edge_weight, self.local, self.sharpen)
        if not (least >= 0 and 0 <= self.ramp <= 1 and 0 <= self.decay <= 1 and self.minimum >= 2):
            raise InputError(
                "S2DKD: needs weight, edge_weight, local and sharpen of 0 or more, ramp and decay in 0..1, minimum of 2 or more"
            )
        self._check_variant()
        if unknown := sorted(set(self.supervised) - {entry.name for entry in fields(SequenceLoss)}):
            raise InputError(f"S2DKD: the supervised loss has no setting {', '.join(unknown)}")
        self._sequence()  # refuses its own settings

    def _check_variant(self) -> None:
        """Refuse settings that the chosen form does not have: silently they would do nothing."""
        variant = VARIANTS[self.variant]
        if self.window is not None and "window" not in variant.settings:
            raise InputError(f"S2DKD: {self.variant!r} has no window")
        if self.edge_weight > 0 and "weights" not in variant.settings:
            raise InputError(f"S2DKD: {self.variant!r} has no edge_weight")
        if unknown := sorted(set(self.options) - set(inspect.signature(variant.loss).parameters)):
            raise InputError(f"S2DKD: {self.variant!r} has no setting {', '.join(unknown)}")

    def __call__(
        self,
        modules: Mapping[str, nn.Module],
        batch: Mapping[str, Any],
        step: int,
        generators: Sequence[torch.Generator],
    ) -> Terms:
        """Terms of a batch with `left`, `right`, `disparity`, `valid`, `teacher`, `teacher_valid` (and both for the right).

        Returns:
            Those of the supervised loss, `distillation`, and for the log alone (weight 0) `divergence`, the loss itself, and
            `aligned`, the share of images whose teacher could be aligned with the truth.

        Raises:
            InputError: a batch without a teacher.
        """
        sequence = self._sequence()
        network = modules[sequence.role]
        predictions, start = run_matcher(network, batch, sequence.iterations)
        with torch.autocast(batch["disparity"].device.type, enabled=False):
            terms = sequence.terms(predictions, start, batch)
            pulls = sequence.gradient_norms(predictions, batch)
            total, divergence, ok = self._distilled(predictions, pulls, _left_view(batch), generators)
        if self.views == "both":
            swapped = {"left": batch["right"].flip(-1), "right": batch["left"].flip(-1)}
            mirrored, _ = run_matcher(network, swapped, sequence.iterations)
            with torch.autocast(batch["disparity"].device.type, enabled=False):
                right = [values.flip(-1) for values in mirrored]
                total = (total + self._distilled(right, pulls, _right_view(batch), generators)[0]) / 2
        items = self._items(batch)
        count = items if self.gradient_target is None else terms["sequence"][1]
        terms["distillation"] = (total, count, self.weight * self.factor(step))
        return {**terms, "divergence": (divergence, items, 0.0), "aligned": (ok, items, 0.0)}

    def counts(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Counts of a batch, without the network."""
        counts, items = self._sequence().counts(batch), self._items(batch)
        counts["distillation"] = items if self.gradient_target is None else counts["sequence"]
        return {**counts, "divergence": items, "aligned": items}

    def factor(self, step: int) -> float:
        """Factor of the weight at a step, 0..1: up over `ramp`, down over `decay`."""
        if self.total_steps is None:
            return 1.0
        rise, fall = self.ramp * self.total_steps, self.decay * self.total_steps
        up = step / rise if rise > 0 else 1.0
        down = (self.total_steps - step) / fall if fall > 0 else 1.0
        return max(0.0, min(1.0, up, down))

    def _sequence(self) -> SequenceLoss:
        return SequenceLoss(**self.supervised)

    def _items(self, batch: Mapping[str, Any]) -> Tensor:
        """Number of images with something to distil."""
        return _base_mask(_left_view(batch), self.where).flatten(1).any(1).sum()

    def _distilled(
        self,
        predictions: Sequence[Tensor],
        pulls: Sequence[Tensor],
        view: "_View",
        generators: Sequence[torch.Generator],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The term's sum; of the last prediction, the sum of the plain losses; and how many images were aligned."""
        base = _base_mask(view, self.where)
        alignment = self._aligned(view, predictions[-1].float())
        mask = base & self._believed(alignment, view)
        floor = self._floor(alignment, mask)
        weights = self._weights(alignment.aligned, view.known)
        loss = partial(self._loss, teacher=alignment.aligned, mask=mask, weights=weights, generators=generators)
        total = plain = view.disparity.new_zeros(())
        for index in range(0 if self.steps == "all" else len(predictions) - 1, len(predictions)):
            prediction = predictions[index].float()
            if self.gradient_target is None:
                plain = loss(prediction).values.sum()
                total = total + plain * self._sequence().prediction_weights(len(predictions))[index]
            else:
                values, slopes = _values_and_slopes(loss, prediction)
                norm = slopes.abs().flatten(1).sum(1)
                weight = self.gradient_target * pulls[index] / torch.maximum(norm, floor)
                # this value and this gradient: what `weight * loss(prediction)` has, without computing it again
                total = (
                    total + (weight * values).sum() + ((prediction - prediction.detach()) * slopes * _map(weight)).sum()
                )
                plain = values.sum()
        return total, plain.detach(), (alignment.ok & base.flatten(1).any(1)).sum()

    def _aligned(self, view: "_View", prediction: Tensor) -> Alignment:
        found = align_to_disparity(
            view.teacher,
            view.disparity,
            view.valid,
            view.known,
            prediction=prediction,
            minimum=self.minimum,
            local=self.local,
        )
        if self.sharpen == 0:
            return found
        return replace(found, aligned=sharpen_disparity(found.aligned, view.known, threshold=self.sharpen))

    def _loss(
        self,
        prediction: Tensor,
        teacher: Tensor,
        mask: Tensor,
        weights: Tensor | None,
        generators: Sequence[torch.Generator],
    ) -> ItemLosses:
        variant = VARIANTS[self.variant]
        values = {name: getattr(self, name) for name in ("temperature", "direction", "window")}
        values |= {"generators": generators, "weights": weights}
        settings = {name: values[name] for name in variant.settings if values[name] is not None}
        return variant.loss(prediction, teacher, mask, **{**settings, **self.options})

    def _weights(self, teacher: Tensor, known: Tensor) -> Tensor | None:
        """Of the pixels; the border of what the teacher does not know is no edge."""
        if self.edge_weight == 0:
            return None
        return 1 + self.edge_weight * near_steps(teacher, known, self.step_px, self.edge_px).to(teacher.dtype)

    def _floor(self, alignment: Alignment, mask: Tensor) -> Tensor:
        """Least gradient norm that is scaled fully, for each image."""
        if VARIANTS[self.variant].unit == "px":
            return torch.full_like(alignment.scale, self.floor)
        _, spread = median_and_deviation(alignment.aligned, mask)
        # near agreement the gradient of a divergence falls with the square of its temperature, and the floor with it
        hot = max(1.0, self.temperature) ** 2 if "temperature" in VARIANTS[self.variant].settings else 1.0
        return self.floor / (hot * torch.where(spread > 0, spread, torch.ones_like(spread)))

    def _believed(self, alignment: Alignment, view: "_View") -> Tensor:
        believed = view.known
        if self.farthest is not None:
            believed = believed & (alignment.aligned > self.farthest)
        if self.trust is not None:
            believed = believed & trusted(
                alignment, view.disparity, view.valid & view.known, self.trust, self.trust_cell
            )
        return believed


def _values_and_slopes(loss: Callable[[Tensor], ItemLosses], prediction: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each image, and its gradient with respect to the prediction; both without a history."""
    leaf = prediction.detach().requires_grad_()
    with torch.enable_grad():
        values = loss(leaf).values
        (slopes,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), slopes


def _map(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def carried_to_right(disparity: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Sparse disparity of the left view in the frame of the right one, to the nearest pixel, the nearest surface first.

    Truth of a surface that is hidden there lands where no truth of the surface in front stands: of sparse truth a few
    points are wrong, which a robust fit bears.
    """
    landing = ForwardWarper("nearest").landing(disparity, valid)
    return landing.pick(disparity), ~landing.hole


class _View(NamedTuple):
    """What one view brings."""

    disparity: Tensor
    valid: Tensor
    teacher: Tensor
    known: Tensor


def _left_view(batch: Mapping[str, Any]) -> _View:
    return _View(batch["disparity"].float(), batch["valid"], *_teacher(batch, "teacher"))


def _right_view(batch: Mapping[str, Any]) -> _View:
    carried = carried_to_right(batch["disparity"].float(), batch["valid"])
    return _View(*carried, *_teacher(batch, "teacher_right"))


def _teacher(batch: Mapping[str, Any], name: str) -> tuple[Tensor, Tensor]:
    if name not in batch or f"{name}_valid" not in batch:
        raise InputError(
            f"S2DKD: the data has no {name!r} with {name + '_valid'!r}: it needs a source with teacher maps"
        )
    teacher = batch[name].float()
    return teacher, batch[f"{name}_valid"] & teacher.isfinite()


def _base_mask(view: _View, where: str) -> Tensor:
    return view.known & ~view.valid if where == "unlabelled" else view.known
