"""Holes painted by latent diffusion: ZeroStereo's StereoGen (Wang et al. 2025) and stock Stable Diffusion 2 inpainting.

The left view is warped, the holes become mid-grey, and a U-Net with nine input channels (noisy latent 4, mask 1, latent of
the masked view 4) denoises a latent whose decoded picture is taken inside the holes only. No text (the embedding of the empty
prompt, computed once), no guidance, no noise drawn by the VAE.

Ours where the published pipeline is weaker: the U-Net runs at a working size, but known pixels are never resampled;
the colours of the fill are matched to a band around the holes. `official=True` reproduces the published pipeline: the photo's own
size (both views at a reduced size, enlarged as a whole, where the shorter side has 2000 pixels or more), no matching, the
published warp.

Shape letters: B batch, H W view, h w latent.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import load_json
from wheatstone.diffusion import (
    DEFAULT_STEPS,
    SCHEDULERS,
    Components,
    Step,
    build_scheduler,
    decode_latents,
    denoise,
    embed_prompt,
    encode_mean,
    latent_factor,
    load_components,
    mask_to_latent,
    resolve_pipeline,
    save_components,
    start_noise,
)
from wheatstone.errors import CheckpointError, InputError, ShapeError
from wheatstone.geometry import ForwardWarper, pad_to_multiple
from wheatstone.samples import View, image_batch
from wheatstone.synthesis.batches import in_batches
from wheatstone.synthesis.colour import match_fill, reduce_known
from wheatstone.synthesis.composition import HoleFiller, WarpedView, warp_left
from wheatstone.synthesis.official_inpainting import half_size_view, reduction_of

__all__ = ["Pooling", "StereoInpainting", "load", "saved_settings"]

Pooling = Literal["nearest", "max"]

# What a released folder, which states no conventions of its own, was trained with.
RELEASED_POOLING: Pooling = "nearest"
DEFAULT_ADDRESS = "stereogen"
WORKING_SIDE = 1024


class _Networks(nn.Module):
    """What runs on the device: U-Net, VAE and the prompt's embedding (the text encoder has done its work before)."""

    def __init__(self, components: Components, mask_pooling: Pooling) -> None:
        super().__init__()
        self.unet = components.unet
        self.vae = components.vae
        self.noise_schedule = components.scheduler  # what a training adds noise by
        self.mask_pooling = mask_pooling  # and how it shows the mask
        self.register_buffer("prompt", embed_prompt(components.tokenizer, components.text_encoder))


class StereoInpainting(HoleFiller):
    """Warp, then let a latent diffusion model paint the holes."""

    name = "inpainting"

    def __init__(
        self,
        components: Components,
        *,
        scheduler: str = "checkpoint",
        steps: int | None = None,
        paint_side: int | None = WORKING_SIDE,
        mask_pooling: Pooling = RELEASED_POOLING,
        colour_match: bool = True,
        official: bool = False,
        max_batch: int = 4,
    ) -> None:
        """Put loaded components together.

        Args:
            components: of a pipeline whose U-Net takes nine channels.
            scheduler: `checkpoint` (its own), `ddim`, `dpm++` or `trailing`.
            steps: denoising steps; by default 50 (`checkpoint`, `ddim`), 20 (`dpm++`) or 4 (`trailing`).
            paint_side: longer side of the working size; None paints at the size of the view.
            mask_pooling: how the mask was reduced to latent size when the U-Net was trained.
            colour_match: match the colours of the fill to a band around the holes.
            official: reproduce the published pipeline; `paint_side` and `colour_match` then have no effect.
            max_batch: views in one call on a GPU (on a CPU always one).

        Raises:
            CheckpointError: a U-Net that does not take nine channels.
            InputError: an unknown scheduler, or numbers that make no sense.
        """
        channels = components.unet.config.in_channels
        if channels != 9:
            raise CheckpointError(
                f"an inpainting U-Net takes 9 channels (noise 4, mask 1, masked view 4), not {channels}"
            )
        if scheduler not in SCHEDULERS:
            raise InputError(f"`scheduler` must be one of {', '.join(SCHEDULERS)}, got {scheduler!r}")
        steps = DEFAULT_STEPS[scheduler] if steps is None else steps
        if steps < 1 or max_batch < 1 or (paint_side is not None and paint_side < 64):
            raise InputError(
                f"`steps` and `max_batch` must be at least 1 and `paint_side` at least 64, got {steps}, {max_batch}, {paint_side}"
            )
        if mask_pooling not in ("nearest", "max"):
            raise InputError(f"`mask_pooling` must be nearest or max, got {mask_pooling!r}")
        self.config: Mapping[str, Any] = {
            "scheduler": scheduler,
            "steps": steps,
            "paint_side": None if official else paint_side,
            "mask_pooling": mask_pooling,
            "colour_match": colour_match and not official,
            "official": official,
            "max_batch": max_batch,
        }
        self.components = components
        self.network: Any = _Networks(components, mask_pooling).eval()
        self.warper = ForwardWarper(official=official)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "StereoInpainting":
        """Move the networks, in place; on a GPU convolutions get the memory order its tensor cores want."""
        super().to(device, dtype)
        if self.device.type == "cuda":
            self.network.to(memory_format=torch.channels_last)
        return self

    def fingerprint(self) -> dict[str, Any]:
        """Name, settings, the noise schedule, and the digest of U-Net, VAE and prompt."""
        return {**super().fingerprint(), "noise_schedule": dict(self.components.scheduler)}

    @torch.no_grad()
    def __call__(
        self,
        left: Any,
        disparity: Float[Tensor, "B 1 H W"] | None = None,
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        *,
        baseline: float = 1.0,
        generators: Sequence[torch.Generator] | None = None,
        latents: Float[Tensor, "B c h w"] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> View:
        """Make the view at `baseline`; arguments as in `ViewSynthesizer`, and two that diffusion parts have.

        Args:
            left: left view.
            disparity: pixels, left is the reference.
            valid: where the disparity is usable.
            baseline: position of the new view.
            generators: one CPU generator an item for the start noise; by default item i draws from the seed i.
            latents: the start noise itself, at latent size of the working view padded to whole cells.
            on_step: called after every evaluation of the U-Net.

        Raises:
            ShapeError: `latents` of another shape.
        """

        def make(left: Any, disparity: Tensor | None, valid: Tensor | None) -> View:
            warped = warp_left(left, disparity, valid, baseline, warper=self.warper)
            fill = self.inpaint(warped.image, warped.hole, generators=generators, latents=latents, on_step=on_step)
            return warped.finish(fill.to(warped.image.device))

        if (
            self.config["official"]
            and disparity is not None
            and reduction_of((disparity.shape[-2], disparity.shape[-1])) > 1
        ):
            return half_size_view(make, image_batch(left, "left"), disparity, valid)
        return make(left, disparity, valid)

    def fill(self, warped: WarpedView, generators: Sequence[torch.Generator] | None = None) -> Float[Tensor, "B 3 H W"]:
        """Paint the holes of a warped view."""
        return self.inpaint(warped.image, warped.hole, generators=generators)

    @torch.no_grad()
    def inpaint(
        self,
        image: Float[Tensor, "B 3 H W"],
        hole: Bool[Tensor, "B 1 H W"],
        *,
        generators: Sequence[torch.Generator] | None = None,
        latents: Float[Tensor, "B c h w"] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> Float[Tensor, "B 3 H W"]:
        """Paint views in 0..1; the result is meant for the holes, its other pixels are the painter's copy of the known ones.

        Steps: 1 reduce to the working size, 2 paint batch by batch (one view at a time on a CPU), 3 match colours,
        4 enlarge.
        """
        size = (image.shape[-2], image.shape[-1])
        working = self._working_size(size)
        small, small_hole = (image, hole) if working == size else reduce_known(image, hole, working)
        small, small_hole = small.to(self.device, torch.float32), small_hole.to(self.device)
        noise = self._noise(small.shape, generators, latents)
        painted = self._in_batches(small, small_hole, noise, generators, on_step)
        if self.config["colour_match"]:
            painted = match_fill(painted, small, small_hole)
        if working != size:
            painted = functional.interpolate(painted, size, mode="bicubic", align_corners=False).clamp(0, 1)
        return painted

    def _in_batches(
        self,
        image: Tensor,
        hole: Tensor,
        noise: Tensor,
        generators: Sequence[torch.Generator] | None,
        on_step: Callable[[Step], None] | None,
    ) -> Tensor:
        """Paint as many views at a time as memory allows; on a CPU one, so that none depends on its neighbours."""

        def paint(part: slice) -> Tensor:
            own = None if generators is None else generators[part]
            return self._paint(image[part], hole[part], noise[part], own, on_step)

        too_large = (
            f"a view of {image.shape[-1]}x{image.shape[-2]} pixels does not fit into memory: "
            "use a smaller `paint_side` (--paint-side), or dtype float16"
        )
        return in_batches(len(image), 1 if self.device.type == "cpu" else self.config["max_batch"], paint, too_large)

    def _working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        paint_side = self.config["paint_side"]
        if paint_side is None or max(size) <= paint_side:
            return size
        ratio = paint_side / max(size)
        return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))

    def _noise(
        self, shape: Sequence[int], generators: Sequence[torch.Generator] | None, latents: Tensor | None
    ) -> Tensor:
        factor, channels = latent_factor(self.network.vae), self.network.vae.config.latent_channels
        wanted = (shape[0], channels, -(-shape[-2] // factor), -(-shape[-1] // factor))
        if latents is None:
            return start_noise(wanted, generators, self.device)
        if tuple(latents.shape) != wanted:
            raise ShapeError(f"`latents` must have shape {list(wanted)}, got {list(latents.shape)}")
        return latents.to(self.device)

    def _paint(
        self,
        image: Tensor,
        hole: Tensor,
        noise: Tensor,
        generators: Sequence[torch.Generator] | None,
        on_step: Callable[[Step], None] | None,
    ) -> Tensor:
        """Paint views `[B,3,H,W]` of working size: mask, encode, denoise, decode, as in ZeroStereo's `generate_stereo.py`."""
        if not bool(hole.any()):
            return image
        factor = latent_factor(self.network.vae)
        # holes become 0, which is mid-grey, and only then is the view padded
        masked, padding = pad_to_multiple((image * 2 - 1) * ~hole, factor)
        mask = mask_to_latent(padding.pad(hole), factor, self.config["mask_pooling"])  # [B,1,h,w]
        condition = torch.cat([mask, encode_mean(self.network.vae, masked)], dim=1)  # [B,5,h,w]
        latents = denoise(
            self.network.unet,
            build_scheduler(self.components.scheduler, self.config["scheduler"]),
            noise,
            self.network.prompt,
            steps=self.config["steps"],
            condition=condition,
            generators=generators,
            on_step=on_step,
        )
        painted = padding.crop(decode_latents(self.network.vae, latents)) / 2 + 0.5  # [B,3,H,W]
        if not bool(painted.isfinite().all()):
            raise InputError(f"the fill is not finite in {self.dtype}: use dtype bfloat16 or float32")
        return painted

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the folder layout of a Stable Diffusion inpainting pipeline, with our conventions in `config.json`."""
        save_components(self.components, folder, "StableDiffusionInpaintPipeline")
        header = {"wheatstone": self.name, **self.config}
        (Path(folder) / "config.json").write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> "StereoInpainting":
        """Load a pipeline folder: ours, StereoGen's, or stock; conventions saved with it hold unless `options` differ.

        Args:
            folder: pipeline folder in diffusers layout.
            options: `base` and `replace` of `load_components`, and arguments of the constructor.
        """
        saved = saved_settings(folder)
        if options.get("scheduler", saved.get("scheduler")) != saved.get("scheduler"):
            saved.pop("steps", None)  # another sampler, another number of steps
        components = load_components(folder, base=options.pop("base", None), replace=options.pop("replace", None))
        return cls(components, **{**saved, **options})


def saved_settings(folder: str | Path) -> dict[str, Any]:
    """Settings of `StereoInpainting` that a folder of ours states; none for others.

    Raises:
        CheckpointError: the folder is another part's.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        return {}
    saved = load_json(path)
    if (found := saved.pop("wheatstone", None)) != StereoInpainting.name:
        raise CheckpointError(f"{path}: holds a {found!r}, not a {StereoInpainting.name!r}")
    return saved


def load(
    name: str,
    weights: str | Path | None = None,
    official: bool = False,
    *,
    base: str | Path | None = None,
    unet: str | Path | None = None,
    vae: str | Path | None = None,
    text_encoder: str | Path | None = None,
    **options: Any,
) -> StereoInpainting:
    """Load the preset `inpainting` (= `stereogen`), `sd2-inpainting`, a folder or a Hub id.

    Args:
        name: preset, folder or Hub id.
        weights: folder or Hub id that replaces the preset's address.
        official: reproduce the published pipeline.
        base: base model, which lends the components the folder has not.
        unet: folder or Hub id of another U-Net.
        vae: of another VAE.
        text_encoder: of another text encoder.
        options: settings of `StereoInpainting`: `scheduler`, `steps`, `paint_side`, `mask_pooling`, `colour_match`, `max_batch`.

    Raises:
        CheckpointError: components that are missing or do not fit.
    """
    entry = DEFAULT_ADDRESS if name == StereoInpainting.name else name
    folder = resolve_pipeline(entry, weights)
    if not (folder / "model_index.json").is_file() and (folder / "StereoGen" / "model_index.json").is_file():
        folder = folder / "StereoGen"  # the released repository keeps its matchers beside it
    chosen = {"unet": unet, "vae": vae, "text_encoder": text_encoder}
    replace = {part: place for part, place in chosen.items() if place is not None}
    if official:
        options["official"] = True
    synthesizer = StereoInpainting.from_pretrained(folder, base=base, replace=replace, **options)
    synthesizer.source = entry if weights is None or name != StereoInpainting.name else str(weights)
    return synthesizer
