"""Preset `genstereo`: the whole second view by diffusion, its known pixels from the moved left view at full resolution.

Shape letters: B batch, H W view, h w working size or latent.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from wheatstone.checkpoints import load_json, resolve_weights
from wheatstone.diffusion import ZERO_SNR_V, Step, build_scheduler, latent_factor, run_sampler, start_noise
from wheatstone.errors import CheckpointError, InputError, ShapeError
from wheatstone.geometry import ForwardWarper
from wheatstone.samples import Origin, View, image_batch
from wheatstone.synthesis.base import ViewSynthesizer, check_generators
from wheatstone.synthesis.batches import in_batches
from wheatstone.synthesis.colour import match_fill
from wheatstone.synthesis.composition import WarpedView, warp_left
from wheatstone.synthesis.genstereo.conditions import Conditions, make_conditions
from wheatstone.synthesis.genstereo.fusion import Polarity
from wheatstone.synthesis.genstereo.networks import GenStereoNetworks
from wheatstone.synthesis.genstereo.sampling import prepare
from wheatstone.synthesis.genstereo.tiling import WindowPlan, decode_windows, plan_windows, prepare_windows
from wheatstone.synthesis.genstereo.weights import load_networks, save_networks
from wheatstone.synthesis.genstereo.working import checked_opening, open_mask, resize_picture, to_working, working_size

__all__ = ["Composite", "GenStereo", "Generated", "load"]

Composite = Literal["known", "fusion", "generated"]
HALF_STEP = 0.5 / 255
# settings whose default depends on `official`
_FOLLOWING = ("composite", "mask_opening", "colour_match")


@dataclass(frozen=True)
class Generated:
    """A second view at working size: what was generated, 0..1, and the moved left view beside it, 0 in holes."""

    image: Float[Tensor, "B 3 h w"]
    warped: Float[Tensor, "B 3 h w"]
    hole: Bool[Tensor, "B 1 h w"]

    def mirror(self) -> "Generated":
        """Swap left and right."""
        return Generated(self.image.flip(-1), self.warped.flip(-1), self.hole.flip(-1))


class GenStereo(ViewSynthesizer):
    """Two U-Nets that denoise the second view at a working size, composed with what is known at full size."""

    name = "genstereo"
    takes_sparse = True

    def __init__(
        self,
        networks: GenStereoNetworks,
        *,
        steps: int = 50,
        guidance: float = 1.5,
        working_side: int | None = None,
        window_side: int | None = None,
        composite: str | None = None,
        mask_opening: int | Sequence[int] | None = None,
        colour_match: bool = True,
        official: bool = False,
        max_batch: int = 4,
    ) -> None:
        """Put networks and settings together.

        Args:
            networks: from `load_networks` or `small_networks`.
            steps: denoising steps, trailing; 50 as published, few work too.
            guidance: 1 is off and halves the work.
            working_side: pictures are brought to as many pixels as a square of this side, in their own aspect; by default the
                side that the U-Nets were made for.
            window_side: where `working_side` is larger than this, the picture is generated in overlapping windows of this side
                (`tiling`); by default the side that the U-Nets were made for. Has no effect under `official`.
            composite: what the known pixels of the result are: `known` (default) the moved left view, bit by bit; `fusion`
                (default of `official`) weighed by the fusion layer against the generated ones; `generated` these alone.
            mask_opening: known pixels in stripes narrower than this many pixels, or that a rectangle (height, width) does not
                fit into, are not fused but generated; 0 keeps all. The default of `official` is 7, as in the published
                script for pictures; the published evaluation has (1, 3).
            colour_match: match the colours of the generated view to the known pixels around the holes.
            official: reproduce the published call: everything squeezed to a square of `working_side`, unknown disparity
                moved by 0, the bank in float16; `colour_match` then has no effect.
            max_batch: views in one call on a GPU (on a CPU always one).

        Raises:
            InputError: numbers that make no sense.
        """
        composite = composite or ("fusion" if official else "known")
        if composite not in get_args(Composite):
            raise InputError(f"`composite` must be one of {', '.join(get_args(Composite))}, got {composite!r}")
        opening = checked_opening((7 if official else 0) if mask_opening is None else mask_opening)
        side, window = (networks.side if given is None else given for given in (working_side, window_side))
        if min(steps, max_batch, side, window) < 1 or not guidance >= 1:
            raise InputError(
                "`steps`, `max_batch`, `working_side`, `window_side` and `guidance` must be at least 1, "
                f"got {steps}, {max_batch}, {side}, {window}, {guidance}"
            )
        self.config: Mapping[str, Any] = {
            "steps": steps,
            "guidance": float(guidance),
            "working_side": max(1, round(side / networks.multiple)) * networks.multiple,
            "window_side": max(1, round(window / networks.multiple)) * networks.multiple,
            "composite": composite,
            "mask_opening": opening,
            "colour_match": colour_match and not official,
            "fusion_polarity": networks.fusion.polarity,
            "official": official,
            "max_batch": max_batch,
        }
        self.network: Any = networks.eval()
        self.warper = ForwardWarper("nearest" if official else "two-tap")

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "GenStereo":
        """Move the networks, in place, the 64 weights of the fusion in float32 always; on a GPU in its tensor cores' order."""
        for name, network in self.network.named_children():
            # torch's own `to`: that of diffusers warns whenever a number format is named, even none
            nn.Module.to(network, device=device, dtype=None if name == "fusion" else dtype)
        if self.device.type == "cuda":
            self.network.to(memory_format=torch.channels_last)
        return self

    @torch.no_grad()
    def __call__(
        self,
        left: Any,
        disparity: Float[Tensor, "B 1 H W"] | None = None,
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        *,
        baseline: float = 1.0,
        generators: Sequence[torch.Generator] | None = None,
        latents: Float[Tensor, "B 4 h w"] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> View:
        """Make the view at `baseline`; arguments as in `ViewSynthesizer`, and two that diffusion parts have.

        Args:
            left: left view.
            disparity: pixels, left is the reference.
            valid: where the disparity is known; what is not known is generated, not moved by 0.
            baseline: position of the new view; negative ones are made in the mirror, where they are positive.
            generators: one CPU generator an item for the start noise; by default item i draws from the seed i.
            latents: the start noise itself, at 1/8 of the working size.
            on_step: called after every step of the sampler; its prediction is the guided one.

        Raises:
            InputError: no disparity, no single item fits into memory, or the result is not finite in the number format.
            ShapeError: `latents` of another shape.
        """
        image = image_batch(left, "left")
        if self.config["official"] and disparity is not None and valid is not None:
            disparity, valid = torch.where(valid, disparity, 0.0), None
        warped = warp_left(image, disparity, valid, baseline, warper=self.warper)
        check_generators(generators, len(image))
        if self.config["composite"] == "known" and not bool(warped.hole.any()):
            return warped.finish(warped.image)  # nothing to paint
        shift = cast(Tensor, disparity) * abs(baseline)  # `warp_left` has refused None
        known = torch.ones_like(shift, dtype=torch.bool) if valid is None else valid
        mirrored = baseline < 0
        maps = [values.flip(-1) for values in (image, shift, known)] if mirrored else [image, shift, known]
        made = self.generate(*maps, generators=generators, latents=latents, on_step=on_step)
        made = made.mirror() if mirrored else made
        return self._official_view(made, warped) if self.config["official"] else self._compose(made, warped)

    @torch.no_grad()
    def generate(
        self,
        left01: Float[Tensor, "B 3 H W"],
        disparity_px: Float[Tensor, "B 1 H W"],
        valid: Bool[Tensor, "B 1 H W"] | None = None,
        *,
        generators: Sequence[torch.Generator] | None = None,
        latents: Float[Tensor, "B 4 h w"] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> Generated:
        """Generate the whole second view at working size, nothing composed; arguments as in the call, positive baseline.

        Steps: 1 resize, 2 conditions, 3 start noise, 4 denoise batch by batch (one view at a time on a CPU), 5 match colours.
        """
        official = self.config["official"]
        size = self.working_size((left01.shape[-2], left01.shape[-1]))
        view = to_working(left01, disparity_px, valid, size, official=official)
        small = make_conditions(view.left, view.disparity, view.valid, official=official)
        noise = self._noise((len(left01), *size), generators, latents)

        plan = self._windows(size)
        reach = torch.where(view.valid & view.disparity.isfinite(), view.disparity, 0)

        def run(part: slice) -> Tensor:
            conditions = Conditions(*(values[part].to(self.device) for values in vars(small).values()))
            picture, photo = (values[part].to(self.device) for values in (view.left, left01))
            if plan is None:
                return self._denoise(picture, photo, conditions, noise[part], on_step).to(left01.device)
            reach_px = (float(reach[part].min()), float(reach[part].max()))
            return self._denoise_windows(picture, photo, conditions, noise[part], plan, reach_px, on_step).to(
                left01.device
            )

        too_large = (
            f"a view of {size[1]}x{size[0]} pixels does not fit into memory: "
            "use a smaller `working_side`, or dtype bfloat16 or float16"
        )
        image = in_batches(len(left01), 1 if plan is not None else self._together, run, too_large)
        if self.config["colour_match"]:
            image = match_fill(image, small.warped, small.hole)
        return Generated(image=image, warped=small.warped, hole=small.hole)

    def working_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width the U-Nets work at for a photo of this height and width."""
        side = self.config["working_side"]
        return (side, side) if self.config["official"] else working_size(size, side, self.network.multiple)

    @property
    def _together(self) -> int:
        """Views in one call; on a CPU one, so that none depends on its neighbours."""
        return 1 if self.device.type == "cpu" else int(self.config["max_batch"])

    def _windows(self, size: tuple[int, int]) -> WindowPlan | None:
        """Where windows lie on a picture of working size; None where it is generated whole."""
        side = self.config["window_side"]
        if self.config["official"] or self.config["working_side"] <= side:
            return None
        cell = latent_factor(self.network.vae)
        plan = plan_windows(size, side, multiple=self.network.multiple, cell=cell)
        return None if plan.single else plan

    def _denoise_windows(
        self,
        picture: Tensor,
        photo: Tensor,
        conditions: Conditions,
        noise: Tensor,
        plan: WindowPlan,
        reach_px: tuple[float, float],
        on_step: Callable[[Step], None] | None,
    ) -> Tensor:
        """Noise to one picture `[1,3,h,w]` in 0..1, as many windows at a time as views."""
        predict = prepare_windows(
            self.network,
            picture,
            conditions,
            plan,
            reach_px=reach_px,
            guidance=self.config["guidance"],
            tokens=self.network.image_tokens(photo),
            together=self._together,
        )
        latents = run_sampler(predict, build_scheduler(ZERO_SNR_V), noise, steps=self.config["steps"], on_step=on_step)
        return self._finite(decode_windows(self.network, latents, plan)).clamp(0, 1)

    def _finite(self, image: Tensor) -> Tensor:
        """The picture, if its numbers are numbers."""
        if not bool(image.isfinite().all()):
            raise InputError(f"the generated view is not finite in {self.dtype}: use dtype bfloat16 or float32")
        return image

    def _denoise(
        self,
        picture: Tensor,
        photo: Tensor,
        conditions: Conditions,
        noise: Tensor,
        on_step: Callable[[Step], None] | None,
    ) -> Tensor:
        """Noise to pictures `[B,3,h,w]` in 0..1."""
        official = self.config["official"]
        predict = prepare(
            self.network,
            picture,
            conditions,
            guidance=self.config["guidance"],
            tokens=self.network.image_tokens(photo, eight_bit=official),
            official=official,
        )
        scheduler = build_scheduler(ZERO_SNR_V)
        latents = run_sampler(predict, scheduler, noise, steps=self.config["steps"], on_step=on_step)
        return self._finite(self.network.decode(latents)).clamp(0, 1)

    def _noise(
        self, shape: tuple[int, int, int], generators: Sequence[torch.Generator] | None, latents: Tensor | None
    ) -> Tensor:
        factor, channels = latent_factor(self.network.vae), self.network.vae.config.latent_channels
        wanted = (shape[0], channels, shape[1] // factor, shape[2] // factor)
        if latents is None:
            return start_noise(wanted, generators, self.device)
        if tuple(latents.shape) != wanted:
            raise ShapeError(f"`latents` must have shape {list(wanted)}, got {list(latents.shape)}")
        return latents.to(self.device)

    def _mix(self, generated: Tensor, warped: Tensor, hole: Tensor) -> Tensor:
        """One picture of the generated and the moved one, as `composite` says."""
        if self.config["composite"] == "generated":
            return generated
        if self.config["composite"] == "known":
            return torch.where(hole, generated, warped)
        fusion, device = self.network.fusion, self.device
        known = open_mask(~hole, self.config["mask_opening"])
        return fusion(generated.to(device), warped.to(device), known.to(device))[0].clamp(0, 1).to(hole.device)

    def _compose(self, made: Generated, warped: WarpedView) -> View:
        """Enlarge what was generated and mix it with the moved left view at full size, which is not resampled."""
        generated = resize_picture(made.image, (warped.image.shape[-2], warped.image.shape[-1]))
        image = self._mix(generated, warped.image, warped.hole)
        changed = (image - warped.image).abs().amax(1, keepdim=True) > HALF_STEP
        origin = torch.where(changed & ~warped.hole, int(Origin.GENERATED), warped.origin.int()).to(torch.uint8)
        image = torch.where(origin == Origin.WARPED, warped.image, image)  # what counts as moved is it, bit by bit
        return View(image=image, hole=warped.hole, visible=warped.visible, origin=origin)

    def _official_view(self, made: Generated, warped: WarpedView) -> View:
        """Mix at working size and stretch the square back to the photo's shape: every pixel counts as generated."""
        size = (warped.image.shape[-2], warped.image.shape[-1])
        hole = functional.interpolate(made.hole.float(), size, mode="nearest") > 0.5
        image = resize_picture(self._mix(made.image, made.warped, made.hole), size)
        origin = torch.where(hole & warped.hole, warped.origin.int(), int(Origin.GENERATED)).to(torch.uint8)
        return View(image=image, hole=hole, visible=warped.visible, origin=origin)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write one sub-folder a network (`save_networks`), and the settings in `config.json`."""
        save_networks(self.network, folder)
        header = {"wheatstone": self.name, **self.config}
        (Path(folder) / "config.json").write_text(json.dumps(header, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        vae: str | Path | None = None,
        image_encoder: str | Path | None = None,
        fusion_polarity: Polarity | None = None,
        online: bool = False,
        **options: Any,
    ) -> "GenStereo":
        """Load the released file set or our own folder, whose saved settings hold unless `options` differ.

        Args:
            folder: released or ours.
            vae: see `load_networks`.
            image_encoder: likewise.
            fusion_polarity: what the fusion layer was trained with; by default what the folder says, else `known`.
            online: see `load_networks`.
            options: settings of the constructor.

        Raises:
            CheckpointError: files that are missing or do not fit.
        """
        folder = Path(folder)
        saved: dict[str, Any] = {}
        if (folder / "config.json").is_file():
            config = load_json(folder / "config.json")  # of a released folder it is that of the U-Nets
            if (found := config.pop("wheatstone", None)) not in (None, cls.name):
                raise CheckpointError(f"{folder}/config.json: holds a {found!r}, not a {cls.name!r}")
            saved = config if found is not None else {}
        polarity = fusion_polarity or saved.pop("fusion_polarity", "known")
        networks = load_networks(folder, vae=vae, image_encoder=image_encoder, polarity=polarity, online=online)
        saved.pop("fusion_polarity", None)
        if options.get("official", saved.get("official")) != saved.get("official"):
            saved = {key: value for key, value in saved.items() if key not in _FOLLOWING}
        try:
            return cls(networks, **{**saved, **options})
        except TypeError as error:
            raise InputError(f"{cls.name!r} does not take these settings: {error}") from error


def load(name: str, weights: str | Path | None = None, official: bool = False, **options: Any) -> GenStereo:
    """Load the preset `genstereo` or `genstereo-v1.5`: released folders, our own, or their addresses.

    Args:
        name: preset.
        weights: folder or Hub id that replaces the preset's address. A local folder stays local: stock parts that are
            neither in it nor beside it must be named.
        official: reproduce the published call.
        options: of `GenStereo.from_pretrained`: `vae`, `image_encoder`, `steps`, `guidance`, `working_side`, `composite`, ...

    Raises:
        CheckpointError: files that are missing or do not fit.
    """
    local = weights is not None and Path(weights).exists()
    folder = resolve_weights(name, weights, allow_patterns=("*.json", "*.pth", "*.safetensors"))
    if official:
        options["official"] = True
    synthesizer = GenStereo.from_pretrained(folder, online=not local, **options)
    synthesizer.source = name if weights is None else str(weights)
    return synthesizer
