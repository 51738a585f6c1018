"""Rendered scenes with exact truth: `render_scene`, `depth_view`, `scene_sample`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int32, UInt8

from wheatstone.errors import InputError
from wheatstone.samples import Origin, StereoSample
from wheatstone.scenes.draw import Rendered, RenderedView, at_frame, build_scene, develop, exposure_of
from wheatstone.scenes.families import FAMILIES
from wheatstone.scenes.world import Camera, Scene

__all__ = ["DepthView", "SceneRender", "depth_view", "render_scene", "scene_sample", "view_name"]


@contextmanager
def _interruptible() -> Iterator[None]:
    """Give Ctrl-C its own name back: numba reports one that falls into a compiled function as a SystemError."""
    try:
        yield
    except SystemError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            cause = cause.__cause__
        raise


@dataclass(frozen=True)
class DepthView:
    """One rendered view for training depth.

    Attributes:
        image: uint8 `[H,W,3]`.
        inverse_depth: float32 `[H,W]`, 1/m along the optical axis, 0 in the sky.
        sky: bool `[H,W]`.
        family: name of the scene's family.
    """

    image: UInt8[np.ndarray, "H W 3"]
    inverse_depth: Float32[np.ndarray, "H W"]
    sky: Bool[np.ndarray, "H W"]
    family: str


@dataclass(frozen=True)
class SceneRender:
    """A rendered scene: F frames of a moving camera, K positions along its x axis, with truth.

    Depth, disparity, ids and masks belong to pixel centres; only the image is anti-aliased.

    Attributes:
        images: uint8 `[F,K,H,W,3]`.
        depth: float32 `[F,K,H,W]`, metres along the optical axis, inf in the sky.
        disparity: float32 `[F,K,H,W]`, pixels a unit of baseline (`focal_px * baseline_m / depth`) in that view's own
            frame, 0 in the sky: a point at x in view k is at `x - (j - k) * disparity` in view j.
        sky: bool `[F,K,H,W]`.
        moving: bool `[F,K,H,W]`, objects that move between frames.
        instance: int32 `[F,K,H,W]`, number of the object, 0 for surroundings, -1 for the sky.
        visible: bool `[F,K,K,H,W]`, `visible[f, i, j]` lives in view i: that pixel's surface point projects into the
            frame of view j (half a pixel of margin) and nothing stands on the line between it and camera j
            (tolerance 0.1 % of its depth). Exact, by one ray a pixel. Empty (K axes 0) if not asked for.
        flow: float32 `[F-1,H,W,2]`, first baseline: where each point of frame f lies in frame f+1, minus where it was.
        flow_visible: bool `[F-1,H,W]`, and whether it is seen there.
        baselines: the positions k.
        baseline_m: metres of one unit of baseline.
        intrinsics: float64 `[3,3]`.
        poses: float64 `[F,K,4,4]`, camera to world, camera axes right, down, forward; world axes right, up, forward.
        family: name of the scene's family.
        seed: the seed.
    """

    images: UInt8[np.ndarray, "F K H W 3"]
    depth: Float32[np.ndarray, "F K H W"]
    disparity: Float32[np.ndarray, "F K H W"]
    sky: Bool[np.ndarray, "F K H W"]
    moving: Bool[np.ndarray, "F K H W"]
    instance: Int32[np.ndarray, "F K H W"]
    visible: Bool[np.ndarray, "F V V H W"]
    flow: Float32[np.ndarray, "F-1 H W 2"]
    flow_visible: Bool[np.ndarray, "F-1 H W"]
    baselines: tuple[float, ...]
    baseline_m: float
    intrinsics: Float64[np.ndarray, "3 3"]
    poses: Float64[np.ndarray, "F K 4 4"]
    family: str
    seed: int

    def hole(self, view: int, reference: int = 0, frame: int = 0) -> Bool[np.ndarray, "H W"]:
        """Tell, in the frame of `view`, which of its points `reference` does not see (hidden or out of its frame).

        Raises:
            InputError: rendered with `visibility=False`.
        """
        if self.visible.shape[1] == 0:
            raise InputError("holes need visibility: render with visibility=True")
        return ~self.visible[frame, view, reference]


def _check(seed: int, size: tuple[int, int], family: str | None) -> None:
    if seed < 0:
        raise InputError(f"`seed` must not be negative, got {seed}")
    if min(size) < 16 or max(size) > 8192:
        raise InputError(f"`size` is (height, width), each 16 to 8192 pixels, got {tuple(size)}")
    if family is not None and family not in FAMILIES:
        raise InputError(f"unknown scene family {family!r}: use one of {', '.join(FAMILIES)}")


@_interruptible()
def depth_view(
    seed: int, *, size: tuple[int, int] = (192, 320), family: str | None = None, antialias: bool = True
) -> DepthView:
    """Render the reference view of a scene with its inverse depth and sky, nothing else (the fast path)."""
    _check(seed, size, family)
    scene, textures, _, picture = build_scene(seed, size, family)
    view = RenderedView(scene, textures, scene.camera, size, antialias)
    sky = view.ids < 0
    inverse = np.where(sky, 0.0, 1.0 / view.z).astype(np.float32)
    return DepthView(develop(view.radiance, exposure_of(view.radiance, picture), picture), inverse, sky, scene.family)


def _views(
    scene: Scene,
    drawn: RenderedView,
    render: Callable[..., RenderedView],
    offsets_m: Sequence[float],
    count: int,
    poses: np.ndarray | None,
) -> Rendered:
    """A row of views a frame; the drawn view is not rendered again where it is asked for."""
    views: Rendered = []
    for frame in range(count):
        now = at_frame(scene, frame)
        camera = now.camera if poses is None else _posed(scene.camera, poses[frame])
        fresh = frame > 0 or poses is not None
        row = [drawn if m == 0 and not fresh else render(now, camera=camera.moved_right(m)) for m in offsets_m]
        views.append(row)
    return views


@_interruptible()
def render_scene(
    seed: int,
    *,
    size: tuple[int, int] = (192, 320),
    baselines: tuple[float, ...] = (0.0, 1.0),
    family: str | None = None,
    frames: int | None = None,
    poses: Float64[np.ndarray, "F 4 4"] | None = None,
    visibility: bool = True,
    antialias: bool = True,
) -> SceneRender:
    """Render a scene from positions along the camera's x axis and, with `frames` > 1, along the path of a moving camera.

    Args:
        seed: which scene; not negative. Seeds from `HELD_OUT` on are for tests and evaluation.
        size: (height, width) in pixels.
        baselines: positions k in units of the drawn baseline: 0 left, 1 right, -1, 0.5, 2, ... The 98th percentile of the
            disparity at k = 0 is drawn log-uniformly from 8..80 px at width 320 and scales with the width.
        family: one of `FAMILIES`; None draws by weight.
        frames: how many frames (1); camera and some objects move between them.
        poses: a camera path of your own instead of the drawn one, a frame each: camera to reference camera (that of the
            scene as drawn), axes right, down, forward, metres; the identity is the drawn view. Objects move as before.
        visibility: work out which pixels every other view sees.
        antialias: four samples where objects meet.

    Raises:
        InputError: a negative seed, a size out of range, an unknown family, no baseline, no frame, poses that are none.
        MissingExtraError: numba is not installed.
    """
    _check(seed, size, family)
    count = _frame_count(frames, poses)
    if not baselines:
        raise InputError("`baselines` must name at least one position")
    scene, textures, baseline_m, picture = build_scene(seed, size, family)
    render = partial(RenderedView, textures=textures, size=size, antialias=antialias)
    drawn = render(scene, camera=scene.camera)
    gain = exposure_of(drawn.radiance, picture)
    views = _views(scene, drawn, render, [k * baseline_m for k in baselines], count, poses)
    ids, z = (np.stack([[getattr(view, name) for view in row] for row in views]) for name in ("ids", "z"))
    sky = ids < 0
    instance = np.where(sky, -1, scene.group[ids]).astype(np.int32)
    flow, flow_visible = _flow(views, size)
    camera = scene.camera
    return SceneRender(
        images=np.stack([[develop(view.radiance, gain, picture) for view in row] for row in views]),
        depth=np.where(sky, np.inf, z).astype(np.float32),
        disparity=np.where(sky, 0.0, camera.focal_px * baseline_m / z).astype(np.float32),
        sky=sky,
        moving=np.isin(instance, list(scene.motion)),
        instance=instance,
        visible=_visibility(views, size) if visibility else np.zeros((count, 0, 0, *size), bool),
        flow=flow,
        flow_visible=flow_visible,
        baselines=tuple(float(k) for k in baselines),
        baseline_m=float(baseline_m),
        intrinsics=camera.intrinsics,
        poses=np.stack([[view.camera.pose for view in row] for row in views]),
        family=scene.family,
        seed=seed,
    )


def _frame_count(frames: int | None, poses: np.ndarray | None) -> int:
    """How many frames are asked for."""
    if poses is None:
        if frames is not None and frames < 1:
            raise InputError(f"`frames` must be at least 1, got {frames}")
        return frames or 1
    if frames not in (None, len(poses)) or len(poses) == 0:
        raise InputError(f"`poses` has {len(poses)} frames: leave `frames` away or give the same number, at least 1")
    turns = poses[:, :3, :3]
    if not np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-4) or (np.linalg.det(turns) < 0).any():
        raise InputError("`poses` must be rigid: [R | t] with a rotation R, in metres")
    return len(poses)


def _posed(reference: Camera, pose: np.ndarray) -> Camera:
    """The camera at `pose`, which maps its axes to those of the reference camera."""
    position = np.asarray(reference.position) + reference.rotation.T @ pose[:3, 3]
    rotation = (reference.rotation.T @ pose[:3, :3]).T
    return Camera(tuple(position.tolist()), rotation, reference.focal_px, reference.centre_px)


def _visibility(views: Rendered, size: tuple[int, int]) -> np.ndarray:
    """For every frame and pair of views, which pixels of the first the second sees."""
    visible = np.ones((len(views), len(views[0]), len(views[0]), *size), bool)
    for f, row in enumerate(views):
        for i, view in enumerate(row):
            for j, other in enumerate(row):
                if i != j:
                    visible[f, i, j] = view.seen_from(other)[0]
    return visible


def _flow(views: Rendered, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    height, width = size
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    flow = np.zeros((len(views) - 1, height, width, 2), np.float32)
    seen = np.zeros((len(views) - 1, height, width), bool)
    for f in range(len(views) - 1):
        seen[f], target = views[f][0].seen_from(views[f + 1][0])
        flow[f] = target - grid
    return flow, seen


def view_name(k: float) -> str:
    """Name of the view at position k: left, right, left-left, right-right, centre, else `k` and the number (`k0p25`)."""
    names = {0.0: "left", 1.0: "right", -1.0: "left-left", 2.0: "right-right", 0.5: "centre"}
    return names.get(float(k)) or f"k{float(k):g}".replace(".", "p").replace("-", "m").replace("+", "")


def scene_sample(
    seed: int,
    *,
    size: tuple[int, int] = (192, 320),
    baselines: tuple[float, ...] = (0.0, 1.0),
    family: str | None = None,
) -> StereoSample:
    """Render a scene as a `StereoSample`: rendered views, disparity, visibility, holes and sky of the left view.

    The views at 0 and 1 are always there; `view_name` names the others. `hole` and `origin` describe the right view: what
    the left view does not see because something hides it or because it lies outside. Extras: `disparity_right` and
    `disparity_NAME` of further views, each in its own frame and in pixels a unit of baseline; `sky` and `moving` of the
    left view. Errors are those of `render_scene`.
    """
    order = (0.0, 1.0, *dict.fromkeys(float(k) for k in baselines if k not in (0, 1)))
    render = render_scene(seed, size=size, baselines=order, family=family)
    names = [view_name(k) for k in order]

    def plane(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))[None]

    hole = render.hole(1)
    outside = np.arange(size[1], dtype=np.float32)[None] + render.disparity[0, 1] > size[1] - 0.5
    origin = np.where(hole, np.where(outside, Origin.BORDER, Origin.DISOCCLUSION), Origin.WARPED).astype(np.uint8)
    disparities = {f"disparity_{name}": plane(render.disparity[0, k]) for k, name in enumerate(names) if k > 0}
    return StereoSample(
        key=f"scene-{seed:08d}",
        views={n: torch.from_numpy(render.images[0, k]).permute(2, 0, 1).float() / 255 for k, n in enumerate(names)},
        baselines=dict(zip(names, order, strict=True)),
        disparity=plane(render.disparity[0, 0]),
        valid=torch.ones(1, *size, dtype=torch.bool),
        confidence=torch.ones(1, *size),
        visible=plane(render.visible[0, 0, 1]),
        hole=plane(hole),
        origin=plane(origin),
        extras={**disparities, "sky": plane(render.sky[0, 0]), "moving": plane(render.moving[0, 0])},
        provenance={
            "source": "rendered", "seed": seed, "family": render.family, "baseline_m": render.baseline_m,
            "focal_px": float(render.intrinsics[0, 0]), "intrinsics": render.intrinsics.tolist(),
        },
    )  # fmt: skip
