"""How close a synthesised view is to the real one: overall, in its holes, in the holes inside the image, outside."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from wheatstone.errors import ShapeError

__all__ = ["border_holes", "gradient_energy", "masked_psnr", "pooled_ssim", "synthesis_metrics"]

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
