"""How close a synthesised view is to the real one: overall, in its holes, in the holes inside the image, outside."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import ShapeError
from wheatstone.geometry import hole_ends

__all__ = [
    "border_holes",
    "gradient_energy",
    "hole_rim",
    "masked_psnr",
    "mixed_colours",
    "pooled_ssim",
    "synthesis_metrics",
]

_GREY = (0.299, 0.587, 0.114)
_SSIM_SIDE = 256


def border_holes(hole: Bool[Tensor, "B 1 H W"]) -> Bool[Tensor, "B 1 H W"]:
    """The holes that reach the left or right border of the image along their row: nothing was ever seen there.

    What a filler paints there is invention; what it paints in the other holes can be judged by its surroundings.
    """
    known = (~hole).int()
    from_left = known.cumsum(-1) == 0
    from_right = known.flip(-1).cumsum(-1).flip(-1) == 0
    return hole & (from_left | from_right)


def hole_rim(hole: Bool[Tensor, "B 1 H W"], radius: int = 5) -> Bool[Tensor, "B 1 H W"]:
    """The pixels on both sides of the outline of the holes inside the image: known ones near a hole, hole pixels near known ones.

    Args:
        hole: frame of the view.
        radius: largest distance from the outline, px, the larger of those along row and column.
    """
    inside = hole & ~border_holes(hole)

    def near(mask: Tensor) -> Tensor:
        rows = functional.max_pool2d(mask.float(), (2 * radius + 1, 1), 1, (radius, 0))
        return functional.max_pool2d(rows, (1, 2 * radius + 1), 1, (0, radius)) > 0

    return near(inside) & near(~hole) & (inside | ~hole)


def mixed_colours(
    view: Float[Tensor, "B 3 H W"],
    truth: Float[Tensor, "B 3 H W"],
    hole: Bool[Tensor, "B 1 H W"],
    disparity_of_view: Float[Tensor, "B 1 H W"],
    *,
    radius: int = 5,
    step: float = 3.0,
    contrast: float = 0.2,
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Count pixels at the far side of disocclusions that show a mixture of foreground and background, where only background is.

    For every run of hole pixels of a row between two known ones whose disparities differ by `step`: F is the mean of the truth
    over 3 px from the third px of the near side on, B that over 3 px from `radius` px beyond the far end on. The run counts where
    those pixels are known, lie on one surface with their end (1 px + 5 %) and |F - B| >= `contrast` (RGB, Euclidean). Judged are
    the `radius` hole pixels at the far end, without the two that touch the near side, whose mixture is real, and the `radius`
    known pixels beyond.
    A pixel of colour c mixes if its share t = (c - B)(F - B) / |F - B|^2 is 0.25 to 0.75, and it lies no farther from the line
    between F and B than a quarter of |F - B|.

    Args:
        view: judged, 0..1.
        truth: the real view, 0..1.
        hole: frame of the view, the same for all methods.
        disparity_of_view: px, of what landed there; positive and negative baselines alike.
        radius: px.
        step: px of disparity.
        contrast: distance of the colours.

    Returns:
        How many pixels mix, and how many were judged: float64 `[B]`, to be divided after all images have been added up.
    """
    maps = (view, truth, hole, disparity_of_view)
    limits = (radius, step, contrast)
    right = _mixed_on_the_right(*maps, limits)
    left = _mixed_on_the_right(view.flip(-1), truth.flip(-1), hole.flip(-1), disparity_of_view.flip(-1), limits)
    return right[0] + left[0], right[1] + left[1]


def _mixed_on_the_right(
    view: Tensor, truth: Tensor, hole: Tensor, disparity: Tensor, limits: tuple[int, float, float]
) -> tuple[Tensor, Tensor]:
    """Runs whose far end is the right one; `limits` are radius, step and contrast of `mixed_colours`."""
    radius, step, contrast = limits
    width = hole.shape[-1]
    batch, _, row, end = (~hole[..., 1:] & hole[..., :-1]).nonzero().unbind(1)
    end = end + 1  # first known column beyond a run
    near = hole_ends(hole).left[batch, 0, row, end - 1]
    end_disparity, near_disparity = disparity[batch, 0, row, end], disparity[batch, 0, row, near.clamp(min=0)]
    usable = (near >= 0) & (near_disparity - end_disparity >= step)

    def mean_of(columns: Tensor, level: Tensor) -> Tensor:
        """Mean truth of three columns `[N,3]`; marks runs without them as not usable."""
        nonlocal usable
        inside = ((columns >= 0) & (columns < width)).all(1)
        at = columns.clamp(0, width - 1)
        place = (batch[:, None], 0, row[:, None], at)
        same = (disparity[place] - level[:, None]).abs() <= 1 + 0.05 * level.abs()[:, None]
        usable = usable & inside & (same & ~hole[place]).all(1)
        return truth[batch[:, None], :, row[:, None], at].double().mean(1)

    steps = torch.arange(3, device=hole.device)
    front = mean_of(near[:, None] - 2 - steps, near_disparity)
    back = mean_of(end[:, None] + radius + steps, end_disparity)
    axis = front - back
    length = axis.square().sum(1)
    usable = usable & (length >= contrast**2)
    mixed, judged = (torch.zeros(hole.shape[0], dtype=torch.float64, device=hole.device) for _ in range(2))
    for k in range(-radius, radius):
        column = end + k
        counts = usable & (column > near + 2) & (column < width)
        colour = view[batch, :, row, column.clamp(0, width - 1)].double().clamp(0, 1) - back
        share = (colour * axis).sum(1) / length.clamp(min=1e-12)
        off = (colour - share[:, None] * axis).square().sum(1)
        mixes = counts & (share >= 0.25) & (share <= 0.75) & (off <= length / 16)
        mixed.index_add_(0, batch, mixes.double())
        judged.index_add_(0, batch, counts.double())
    return mixed, judged


def masked_psnr(
    view: Float[Tensor, "B 3 H W"], truth: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B 1 H W"]
) -> Float[Tensor, " B"]:
    """Peak signal-to-noise ratio in dB (peak 1) over the pixels of a mask; inf where equal, NaN for an empty mask."""
    error = ((view.double().clamp(0, 1) - truth.double()).square() * mask).sum(dim=(1, 2, 3))
    return -10 * (error / (3 * mask.double().sum(dim=(1, 2, 3)))).log10()


def gradient_energy(image: Float[Tensor, "B 3 H W"], mask: Bool[Tensor, "B 1 H W"]) -> Float[Tensor, " B"]:
    """Sum of the squared differences of neighbouring grey values, over neighbours that both lie in the mask.

    Seams between fill and surroundings do not count, so blur cannot hide behind a hard rim.
    """
    weights = torch.tensor(_GREY, dtype=torch.float64, device=image.device)[:, None, None]
    grey = (image.double().clamp(0, 1) * weights).sum(1, keepdim=True)
    across = (grey[..., 1:] - grey[..., :-1]).square() * (mask[..., 1:] & mask[..., :-1])
    down = (grey[..., 1:, :] - grey[..., :-1, :]).square() * (mask[..., 1:, :] & mask[..., :-1, :])
    return across.sum(dim=(1, 2, 3)) + down.sum(dim=(1, 2, 3))


def synthesis_metrics(
    view: Float[Tensor, "B 3 H W"],
    truth: Float[Tensor, "B 3 H W"],
    hole: Bool[Tensor, "B 1 H W"],
    *,
    scored: Bool[Tensor, "B 1 H W"] | None = None,
) -> dict[str, Float[Tensor, " B"]]:
    """Compare a synthesised view with the real one, image by image.

    Args:
        view: the synthesised view, 0..1 (clamped before the comparison).
        truth: the real view.
        hole: pixels that the warp did not reach and the synthesizer had to paint.
        scored: pixels that may count (default all): use it to leave out what the truth cannot say.

    Returns:
        Name to float64 `[B]`. `psnr_inside`: holes that do not touch the left or right border of their row;
        `psnr_holes`: all holes; `psnr_outside`: everything else (the residual a perfect filler keeps: light, noise,
        rounding of the disparity); `psnr`: all scored pixels; `ssim`: mean structural similarity over the scored pixels
        (torchmetrics, Gaussian window 11, sigma 1.5); `ssim_holes`, `ssim_outside`: over the holes and the rest;
        `gradient_inside` and `gradient_holes`: gradient energy of the view divided by that of the truth (below 1 = blurred,
        above 1 = noisy or streaky); `hole_share`, `inside_share`: shares of the scored pixels. Empty areas give NaN.

    Raises:
        ShapeError: view and truth differ in size.
    """
    if view.shape != truth.shape:
        raise ShapeError(f"view {list(view.shape)} and truth {list(truth.shape)} differ in size")
    scored = torch.ones_like(hole) if scored is None else scored
    holes = hole & scored
    inside = holes & ~border_holes(hole)
    ssim_map = _ssim_map(view.float().clamp(0, 1), truth.float())
    count = scored.double().sum(dim=(1, 2, 3))
    figures = {
        "psnr_inside": masked_psnr(view, truth, inside),
        "psnr_holes": masked_psnr(view, truth, holes),
        "psnr_outside": masked_psnr(view, truth, scored & ~hole),
        "psnr": masked_psnr(view, truth, scored),
        "ssim": _masked_mean(ssim_map, scored),
        "ssim_holes": _masked_mean(ssim_map, holes),
        "ssim_outside": _masked_mean(ssim_map, scored & ~hole),
    }
    for name, mask in (("inside", inside), ("holes", holes)):
        figures[f"gradient_{name}"] = gradient_energy(view, mask) / gradient_energy(truth, mask)
    shares = {"hole_share": holes, "inside_share": inside}
    return figures | {name: mask.double().sum(dim=(1, 2, 3)) / count for name, mask in shares.items()}


def pooled_ssim(view: Float[Tensor, "B 3 H W"], truth: Float[Tensor, "B 3 H W"]) -> Float[Tensor, " B"]:
    """Structural similarity as its authors advise for large images: blocks are averaged until about 256 pixels are left a side.

    Only windows that lie inside the image count. Two images of 512 x 512 are compared at 256 x 256.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004, suggested usage;
    the default of the package piq, by which GenStereo's figures were measured.
    """
    block = max(1, round(min(view.shape[-2:]) / _SSIM_SIDE))
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = (functional.avg_pool2d(image.float().clamp(0, 1), block) for image in (view, truth))
    result = structural_similarity_index_measure(first, second, data_range=1.0, reduction="none")
    return result[0] if isinstance(result, tuple) else result


def _ssim_map(view: Tensor, truth: Tensor) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure

    result = structural_similarity_index_measure(view, truth, data_range=1.0, return_full_image=True)
    return result[1].mean(1, keepdim=True)


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values.double() * mask).sum(dim=(1, 2, 3)) / mask.double().sum(dim=(1, 2, 3))
