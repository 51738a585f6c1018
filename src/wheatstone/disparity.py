"""Disparity rules: relative inverse depth to disparity in pixels, at a scale drawn for each image.

A rule is a frozen dataclass, so it can be compared, printed and kept in a configuration. All of them bring the inverse depth
of an image to a known range, multiply by a scale, and add `far_px`: min-max normalisation pins the farthest pixel to zero,
and an offset puts the far plane where a real rig sees it.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wheatstone.errors import InputError
from wheatstone.geometry import quantiles
from wheatstone.samples import Disparity

__all__ = [
    "RULES",
    "AdaptiveDisparity",
    "DisparityRule",
    "FixedShare",
    "RigDisparity",
    "UniformPixels",
    "parse_rule",
    "rule_from_config",
]

Generators = torch.Generator | Sequence[torch.Generator]


@dataclass(frozen=True, kw_only=True)
class DisparityRule:
    """What all rules share.

    Attributes:
        far_px: disparity of the farthest pixel, px; added to every pixel.
    """

    name: ClassVar[str] = ""
    far_px: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float:  # 50 and 50.0 are the same configuration and have the same hash
                object.__setattr__(self, field.name, float(value))
            if not math.isfinite(value):
                raise InputError(f"rule {self.name!r}: {field.name} must be a finite number, got {value}")
        if self.far_px < 0:
            raise InputError(f"rule {self.name!r}: far_px must not be negative, got {self.far_px}")

    @property
    def config(self) -> dict[str, Any]:
        """Name and settings as plain values; `rule_from_config` is the way back."""
        return {"rule": self.name, **asdict(self)}

    def __call__(self, inverse_depth: Float[Tensor, "B 1 H W"], generator: Generators | None = None) -> Disparity:
        """Turn inverse depth into disparity.

        Args:
            inverse_depth: larger = nearer; NaN and infinite values become invalid.
            generator: the CPU generator of the item, or one an item for a batch; two numbers are drawn from it for each
                image, whether the rule uses them or not. May be left out for rules that draw nothing.

        Returns:
            Disparity in pixels of this width (0 where invalid), its validity, and the scale of each image in pixels.
        """
        valid = inverse_depth.isfinite()
        usable = inverse_depth.masked_fill(~valid, 0)
        scale = torch.tensor(
            [self.scale_px(inverse_depth.shape[-1], u, v) for u, v in self._draws(generator, len(inverse_depth))],
            dtype=torch.float64,
        )
        share = self.normalise(usable, valid)
        shift = scale.to(share)[:, None, None, None] * share + self.far_px
        return Disparity(shift.masked_fill(~valid, 0), valid, scale.float().to(share.device))

    def scale_px(self, width: int, u: float, v: float) -> float:
        """Scale of an image in pixels, from its width and two uniform draws of [0, 1)."""
        raise NotImplementedError

    def normalise(
        self, inverse_depth: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"]
    ) -> Float[Tensor, "B 1 H W"]:
        """Bring every image to 0..1 by the extremes of its valid pixels; a constant image becomes 0."""
        low, high = _extremes(inverse_depth, valid)
        return (inverse_depth - low) / torch.where(high > low, high - low, 1)

    def max_px(self, width: int) -> float:
        """Largest disparity the rule can give an image of this width, px."""
        raise NotImplementedError

    @property
    def draws(self) -> bool:
        """Whether the scale is random, so that a generator is needed."""
        return True

    def _draws(self, generator: Generators | None, count: int) -> list[tuple[float, float]]:
        if generator is None:
            if self.draws:
                raise InputError(f"rule {self.name!r} draws random numbers and needs the generator of the item")
            return [(0.5, 0.5)] * count
        generators = [generator] * count if isinstance(generator, torch.Generator) else list(generator)
        if len(generators) != count:
            raise InputError(f"{len(generators)} generators for {count} images: give one, or one an image")
        pairs = [torch.rand(2, generator=each, dtype=torch.float64).tolist() for each in generators]
        return [(u, v) for u, v in pairs]


@dataclass(frozen=True)
class AdaptiveDisparity(DisparityRule):
    """ZeroStereo's adaptive disparity selection: a scale around a share of the image width, with rarer tails.

    With probability 0.8 the scale is uniform in [center - radius, center + radius] times the width, with 0.1 each in the
    ranges of one radius below and above.

    Attributes:
        center: middle of the central range, share of the width.
        radius: half of its width.
        floor: no scale below this share of the width; without it almost identical views are drawn.
        official: reproduce the published lower end, which is 0 because it takes min(center - 2 radius, 0.01), not the
            maximum.

    Source:
        ZeroStereo, adaptive disparity selection; `generate_disparity` of the published code.
    """

    name: ClassVar[str] = "adaptive"
    center: float = 0.1
    radius: float = 0.05
    floor: float = 0.01
    official: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.center > 0 and 0 <= self.radius <= self.center and 0 <= self.floor <= self.center):
            raise InputError(
                f"rule 'adaptive': needs center > 0 and radius, floor between 0 and center, "
                f"got center {self.center}, radius {self.radius}, floor {self.floor}"
            )

    def scale_px(self, width: int, u: float, v: float) -> float:
        """See `DisparityRule`; `u` chooses the range, `v` the place in it."""
        center, radius = self.center, self.radius
        if u < 0.1:
            low, high = center - 2 * radius, center - radius
        elif u > 0.9:
            low, high = center + radius, center + 2 * radius
        else:
            low, high = center - radius, center + radius
        if self.official:
            low = min(low, 0.01) if u < 0.1 else low
        else:
            low, high = max(low, self.floor), max(high, self.floor)
        return (low + v * (high - low)) * width

    def max_px(self, width: int) -> float:
        """(center + 2 radius) of the width, and the far plane."""
        return (self.center + 2 * self.radius) * width + self.far_px


@dataclass(frozen=True)
class UniformPixels(DisparityRule):
    """Stereo from mono (MfS): a scale uniform in pixels, whatever the width.

    Attributes:
        low_px: smallest scale.
        high_px: largest scale.
        official: divide by the maximum without subtracting the minimum (negative maps are lifted to 0 first), and let 1 % of
            the images overshoot `high_px` by 5 to 15 %, so that a network learns where its range ends.

    Source:
        Stereo from mono (ECCV 2020), `process_disparity`.
    """

    name: ClassVar[str] = "uniform"
    low_px: float = 50.0
    high_px: float = 192.0
    official: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.low_px <= self.high_px:
            raise InputError(f"rule 'uniform': needs 0 < low_px <= high_px, got {self.low_px} and {self.high_px}")

    def scale_px(self, width: int, u: float, v: float) -> float:  # noqa: ARG002 (pixels, whatever the width)
        """See `DisparityRule`; `u` decides whether to overshoot, `v` the place in the range."""
        low, high = self.low_px, self.high_px
        if self.official and u < 0.01:
            low, high = 1.05 * self.high_px, 1.15 * self.high_px
        return low + v * (high - low)

    def normalise(
        self, inverse_depth: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"]
    ) -> Float[Tensor, "B 1 H W"]:
        """By the extremes; `official`: by the maximum alone."""
        if not self.official:
            return super().normalise(inverse_depth, valid)
        low, high = _extremes(inverse_depth, valid)
        lift = (-low).clamp(min=0)
        high = high + lift
        return (inverse_depth + lift) / torch.where(high > 0, high, 1)

    def max_px(self, width: int) -> float:  # noqa: ARG002 (pixels, whatever the width)
        """`high_px` (115 % of it when official), and the far plane."""
        return self.high_px * (1.15 if self.official else 1.0) + self.far_px


@dataclass(frozen=True)
class FixedShare(DisparityRule):
    """GenStereo: the nearest pixel moves by a fixed share of the image width.

    Attributes:
        share: of the width.

    Source:
        GenStereo (ICCV 2025), disparity of the published demos.
    """

    name: ClassVar[str] = "fixed"
    share: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.share > 0:
            raise InputError(f"rule 'fixed': share must be positive, got {self.share}")

    @property
    def draws(self) -> bool:
        """Nothing is random."""
        return False

    def scale_px(self, width: int, u: float, v: float) -> float:  # noqa: ARG002 (nothing is random)
        """See `DisparityRule`."""
        return self.share * width

    def max_px(self, width: int) -> float:
        """The share of the width, and the far plane."""
        return self.share * width + self.far_px


@dataclass(frozen=True)
class RigDisparity(DisparityRule):
    """The disparity a real rig would see: focal length times baseline over depth.

    Relative inverse depth is matched to the rig by quantiles: the share `quantile` of the pixels that is farthest begins at
    `far_m` metres, the share that is nearest at `near_m`, linearly in inverse depth. Metric inverse depth (1/m) is taken as
    it is, and what is nearer than `near_m` / 2 is invalid.

    Attributes:
        focal_px: focal length in pixels.
        baseline_m: distance of the two cameras, metres.
        near_m: where the near quantile of relative depth lies, metres.
        far_m: where the far quantile lies.
        quantile: share of pixels beyond each end, 0 <= quantile < 0.5.
        metric: the inverse depth is 1 / metres.
        width_px: image width that `focal_px` belongs to; 0 = every image's own, else the focal length follows the width.
    """

    name: ClassVar[str] = "rig"
    focal_px: float
    baseline_m: float
    near_m: float = 1.0
    far_m: float = 100.0
    quantile: float = 0.02
    metric: bool = False
    width_px: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.focal_px > 0 and self.baseline_m > 0 and self.width_px >= 0):
            raise InputError("rule 'rig': focal_px and baseline_m must be positive, width_px not negative")
        if not (0 < self.near_m < self.far_m and 0 <= self.quantile < 0.5):
            raise InputError("rule 'rig': needs 0 < near_m < far_m and 0 <= quantile < 0.5")

    @property
    def draws(self) -> bool:
        """Nothing is random."""
        return False

    def scale_px(self, width: int, u: float, v: float) -> float:  # noqa: ARG002 (nothing is random)
        """Disparity at `near_m`."""
        return self._focal(width) * self.baseline_m / self.near_m

    def normalise(
        self, inverse_depth: Float[Tensor, "B 1 H W"], valid: Bool[Tensor, "B 1 H W"]
    ) -> Float[Tensor, "B 1 H W"]:
        """Inverse depth in units of 1 / `near_m`, limited to 0..2."""
        if self.metric:
            return (inverse_depth * self.near_m).clamp(min=0)
        low, high = _valid_quantiles(inverse_depth, valid, self.quantile, 1 - self.quantile)
        far = self.near_m / self.far_m
        share = (inverse_depth - low) / torch.where(high > low, high - low, 1)
        return (far + share * (1 - far)).clamp(0, 2)

    def __call__(self, inverse_depth: Float[Tensor, "B 1 H W"], generator: Generators | None = None) -> Disparity:
        """See `DisparityRule`; metric depth nearer than half of `near_m` is invalid."""
        made = super().__call__(inverse_depth, generator)
        limit = self.max_px(inverse_depth.shape[-1]) * (1 + 1e-6)  # float32 rounding
        valid = made.valid & (made.disparity <= limit)
        return Disparity(made.disparity.masked_fill(~valid, 0), valid, made.scale_px)

    def max_px(self, width: int) -> float:
        """Disparity at half of `near_m`, and the far plane."""
        return 2 * self._focal(width) * self.baseline_m / self.near_m + self.far_px

    def _focal(self, width: int) -> float:
        return self.focal_px * (width / self.width_px if self.width_px else 1.0)


RULES: dict[str, type[DisparityRule]] = {
    rule.name: rule for rule in (AdaptiveDisparity, UniformPixels, FixedShare, RigDisparity)
}


def rule_from_config(config: dict[str, Any]) -> DisparityRule:
    """Rebuild a rule from its `config`.

    Raises:
        InputError: no such rule, or a setting that is unknown, missing or out of range.
    """
    settings = dict(config)
    name = settings.pop("rule", None)
    if name not in RULES:
        raise InputError(f"unknown disparity rule {name!r}: use one of {', '.join(RULES)}")
    known = [field.name for field in fields(RULES[name])]
    if unknown := [key for key in settings if key not in known]:
        raise InputError(f"rule {name!r} has no setting {unknown[0]!r}: it has {', '.join(known)}")
    try:
        return RULES[name](**settings)
    except TypeError as error:  # a required setting is missing
        needed = [field for field in ("focal_px", "baseline_m") if field in known and field not in settings]
        raise InputError(
            f"rule {name!r} needs {' and '.join(needed)}, for example rig:focal_px=700,baseline_m=0.12"
        ) from error


def parse_rule(text: str) -> DisparityRule:
    """Read a rule as typed on the command line: `NAME` or `NAME:setting=value,setting=value`.

    Raises:
        InputError: see `rule_from_config`; or a value of the wrong type.

    Example:
        >>> parse_rule("fixed:share=0.05")
        FixedShare(far_px=0.0, share=0.05)
    """
    name, _, rest = text.strip().partition(":")
    if name not in RULES:
        raise InputError(f"unknown disparity rule {name!r}: use one of {', '.join(RULES)}")
    settings: dict[str, Any] = {"rule": name}
    kinds = {field.name: field.type for field in fields(RULES[name])}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or key not in kinds:
            raise InputError(
                f"rule {text!r}: cannot read {item!r}; settings of {name!r}: {', '.join(kinds)}, as setting=value"
            )
        settings[key] = _parse_value(text, key, value, kinds[key])
    return rule_from_config(settings)


def _parse_value(text: str, key: str, value: str, kind: Any) -> bool | int | float:
    if kind is bool:
        if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise InputError(f"rule {text!r}: {key} must be true or false, got {value!r}")
        return value.lower() in ("true", "1", "yes")
    try:
        return int(value) if kind is int else float(value)
    except ValueError as error:
        wanted = "a whole number" if kind is int else "a number"
        raise InputError(f"rule {text!r}: {key} must be {wanted}, got {value!r}") from error


def _extremes(values: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest valid value of every image, `[B,1,1,1]`; both 0 where nothing is valid."""
    low = values.masked_fill(~valid, math.inf).flatten(1).amin(1)
    high = values.masked_fill(~valid, -math.inf).flatten(1).amax(1)
    some = valid.flatten(1).any(1)
    return tuple(torch.where(some, end, 0)[:, None, None, None] for end in (low, high))  # type: ignore[return-value]


def _valid_quantiles(values: Tensor, valid: Tensor, *shares: float) -> tuple[Tensor, ...]:
    """Quantiles of the valid pixels of every image, `[B,1,1,1]` each; 0 where nothing is valid."""
    nothing = values.new_zeros(1)
    found = [
        quantiles(image[mask] if bool(mask.any()) else nothing, *shares)
        for image, mask in zip(values, valid, strict=True)
    ]
    return tuple(torch.stack(ends)[:, None, None, None] for ends in zip(*found, strict=True))
