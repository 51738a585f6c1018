"""Scene Flow data sets (Mayer et al. 2016): FlyingThings3D, Monkaa, Driving, and the FlyingThings3D subset.

Licence: research use only, cite the paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wheatstone.datasets.decoding import Mask, Pfm, is_set
from wheatstone.datasets.pairs import LazyPairs, PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing
from wheatstone.errors import DatasetError

__all__ = ["load", "load_driving", "load_flyingthings", "load_monkaa"]

_LICENCE = "Scene Flow data sets: research use only, cite Mayer et al. 2016"
_RENDERS = ("cleanpass", "finalpass")
_SPLITS = {"TRAIN": "train", "TEST": "val"}  # of the full release, and what the subset calls them


def load_flyingthings(
    path: Path, split: str | None = None, render: str = "cleanpass", left_right: bool = False
) -> PairFolder:
    """FlyingThings3D, rendered pairs with dense truth: the full release (22390 TRAIN, 4370 TEST) or the subset.

    Scale: PFM in pixels; the full release stores the left disparity positive, the subset negative, both come out positive.
    Unknown: inf and NaN (the releases hold none). Occlusion: the full release has no stereo mask; the subset has
    `disparity_occlusions` (not 0 = hidden), used where present. Licence: research use only. Layout: full release
    `frames_{cleanpass,finalpass}[_webp]/{TRAIN,TEST}/{A,B,C}/NNNN/{left,right}/NNNN.{png,webp}` and
    `disparity/{TRAIN,TEST}/{A,B,C}/NNNN/{left,right}/NNNN.pfm`; subset `{train,val}/image_{clean,final}/{left,right}/N.png`,
    `{train,val}/disparity/{left,right}/N.pfm` and `{train,val}/disparity_occlusions/{left,right}/N.png`, N of seven digits.

    Args:
        path: folder that holds `frames_cleanpass` and `disparity`, or `train` and `val`.
        split: `TRAIN` or `TEST` (the subset's `val`); both by default.
        render: `cleanpass` or `finalpass` (with motion blur and defocus).
        left_right: compute `visible` from both truths where there is no mask; see `PairFolder`.
    """
    listing = Listing()
    require_folder(path, "FlyingThings3D", _layout(render, "TRAIN/A/0000"))
    if split is not None:
        one_of("split", split, tuple(_SPLITS))
    wanted = [name for name in _SPLITS if split in (None, name)]
    if not listing.folders(path / _frames(listing, path, render)):
        roots = [path / _SPLITS[name] for name in wanted if _SPLITS[name] in listing.folders(path)]
        if roots:
            return _folder("flyingthings3d", path, _subset(listing, path, roots, render), render, listing, left_right)
    tree = _tree(listing, path, render, [(name,) for name in wanted])
    return _folder("flyingthings3d", path, tree, render, listing, left_right)


def load_monkaa(path: Path, render: str = "cleanpass", left_right: bool = False) -> PairFolder:
    """Monkaa, rendered pairs with dense truth (8591 of 24 scenes).

    Scale: PFM in pixels. Unknown: inf and NaN (the release holds none). Occlusion: no stereo mask. Licence: research use only.
    Layout: `frames_{cleanpass,finalpass}[_webp]/SCENE/{left,right}/NNNN.{png,webp}` and `disparity/SCENE/{left,right}/NNNN.pfm`.

    Args:
        path: folder that holds `frames_cleanpass` and `disparity`.
        render: `cleanpass` or `finalpass`.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    listing = Listing()
    return _folder("monkaa", path, _tree(listing, path, render, [()]), render, listing, left_right)


def load_driving(
    path: Path,
    render: str = "cleanpass",
    focal: str | None = None,
    direction: str | None = None,
    speed: str | None = None,
    left_right: bool = False,
) -> PairFolder:
    """Driving, rendered pairs with dense truth (4400): two focal lengths, two directions, two speeds.

    Scale: PFM in pixels. Unknown: inf and NaN (the release holds none). Occlusion: no stereo mask. Licence: research use only.
    Layout: `frames_{cleanpass,finalpass}[_webp]/SCENE/{left,right}/NNNN.{png,webp}` and `disparity/SCENE/{left,right}/NNNN.pfm`:
    SCENE is `{15mm,35mm}_focallength/scene_{forwards,backwards}/{fast,slow}`.

    Args:
        path: folder that holds `frames_cleanpass` and `disparity`.
        render: `cleanpass` or `finalpass`.
        focal: `15mm` or `35mm`; both by default.
        direction: `forwards` or `backwards`; both by default.
        speed: `fast` or `slow`; both by default.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    wanted = (
        f"{one_of('focal', focal, ('15mm', '35mm'))}_focallength" if focal else None,
        f"scene_{one_of('direction', direction, ('forwards', 'backwards'))}" if direction else None,
        one_of("speed", speed, ("fast", "slow")) if speed else None,
    )
    listing = Listing()
    return _folder("driving", path, _tree(listing, path, render, [wanted]), render, listing, left_right)


def load(path: Path, split: str = "TRAIN", render: str = "finalpass", left_right: bool = False) -> PairFolder:
    """Scene Flow as stereo networks train on it: FlyingThings3D, Monkaa and Driving together (35 454 pairs), or its TEST.

    Scale: PFM in pixels. Unknown: inf and NaN (the releases hold none). Occlusion: no stereo mask. Licence: research use only.
    Layout: `{FlyingThings3D,Monkaa,Driving}/` each as its own reader wants it; or all merged, `frames_finalpass/TRAIN/` holding
    the folders of the three, with `disparity/TRAIN/` likewise, as ZeroStereo's training code expects.

    Args:
        path: folder that holds the three, or the merged `frames_finalpass` and `disparity`.
        split: `TRAIN`: everything but FlyingThings3D's TEST; `TEST`: only that.
        render: `cleanpass` or `finalpass`.
        left_right: compute `visible` from both truths; see `PairFolder`.
    """
    one_of("split", split, tuple(_SPLITS))
    layout = (
        f"FlyingThings3D/, Monkaa/ and Driving/ with {_layout(render, '...')}, or frames_{render}/TRAIN of all three"
    )
    require_folder(path, "Scene Flow", layout)
    listing = Listing()
    if listing.folders(path / _frames(listing, path, render)):
        merged = _tree(listing, path, render, [(split,)])
        return _folder("sceneflow", path, merged, render, listing, left_right)
    tree = _Tree(path, {}, {})
    for name, start in (("FlyingThings3D", (split,)), ("Monkaa", ()), ("Driving", ())):
        if split == "TRAIN" or name == "FlyingThings3D":
            if name not in listing.folders(path):
                raise DatasetError(f"{path / name}: no such folder; Scene Flow is expected as {layout}")
            tree.add(name, _tree(listing, path / name, render, [start]))
    return _folder("sceneflow", path, tree, render, listing, left_right)


@dataclass(frozen=True)
class _Scene:
    """Folders of one scene and how its files end."""

    left: Path
    right: Path
    truth: Path
    truth_right: Path | None
    suffix: str
    occlusion: Path | None = None


@dataclass(frozen=True)
class _Tree:
    """Scenes by the folder part of their keys, and the frames of each; names the files of a frame."""

    root: Path
    scenes: dict[str, _Scene]
    frames: dict[str, list[str]]

    def add(self, prefix: str, other: "_Tree") -> None:
        """Take in the scenes of another tree under `prefix`."""
        self.scenes.update({f"{prefix}/{name}": scene for name, scene in other.scenes.items()})
        self.frames.update({f"{prefix}/{name}": frames for name, frames in other.frames.items()})

    def keys(self) -> list[str]:
        """Keys of all frames."""
        return [f"{name}/{frame}" for name in self.scenes for frame in self.frames[name]]

    def __call__(self, key: str) -> PairFiles:
        """The files of a frame."""
        name, _, frame = key.rpartition("/")
        scene = self.scenes[name]
        image, truth = f"{frame}{scene.suffix}", f"{frame}.pfm"
        masks = () if scene.occlusion is None else (Mask(scene.occlusion / f"{frame}.png", "occluded", is_set),)
        return PairFiles(
            key=key,
            left=scene.left / image,
            right=scene.right / image,
            truth=scene.truth / truth,
            truth_right=None if scene.truth_right is None else scene.truth_right / truth,
            decode=Pfm(either_sign=True),
            masks=masks,
        )


def _tree(listing: Listing, path: Path, render: str, starts: Sequence[tuple[str | None, ...]]) -> _Tree:
    """Every folder with `left` below `frames_RENDER` whose first folders are those of one of `starts` (None: any)."""
    tree = _Tree(path, {}, {})
    frames = path / _frames(listing, path, render)
    for folder in listing.holders(frames, "left"):
        parts = folder.relative_to(frames).parts
        if any(all(w in (None, p) for w, p in zip(start, parts, strict=False)) for start in starts):
            truth = path / "disparity" / folder.relative_to(frames)
            _add(listing, tree, "/".join(parts), (folder / "left", folder / "right"), truth)
    return tree


def _subset(listing: Listing, path: Path, roots: Sequence[Path], render: str) -> _Tree:
    tree = _Tree(path, {}, {})
    for root in roots:
        images = root / f"image_{render.removesuffix('pass')}"
        occlusion = root / "disparity_occlusions" / "left"
        sides = (images / "left", images / "right")
        _add(listing, tree, root.name, sides, root / "disparity", occlusion if listing.files(occlusion) else None)
    return tree


def _add(
    listing: Listing, tree: _Tree, name: str, sides: tuple[Path, Path], truth: Path, occlusion: Path | None = None
) -> None:
    images = sorted(file for file in listing.files(sides[0]) if file.endswith((".png", ".webp")))
    if images:
        other = truth / "right" if listing.files(truth / "right") else None
        tree.scenes[name] = _Scene(*sides, truth / "left", other, Path(images[0]).suffix, occlusion)
        tree.frames[name] = [Path(image).stem for image in images]


def _frames(listing: Listing, path: Path, render: str) -> str:
    """Name of the folder of images; the site offers them as PNG and, in a folder of its own name, as WebP."""
    one_of("render", render, _RENDERS)
    webp = f"frames_{render}_webp"
    return webp if webp in listing.folders(path) and f"frames_{render}" not in listing.folders(path) else webp[:-5]


def _folder(name: str, path: Path, tree: _Tree, render: str, listing: Listing, left_right: bool) -> PairFolder:
    layout = _layout(render, "TRAIN/A/0000" if name == "flyingthings3d" else "...")
    pairs = find_pairs(LazyPairs(tree.keys(), tree), path, name, layout, listing)
    return PairFolder(name, pairs, _LICENCE, left_right)


def _layout(render: str, example: str) -> str:
    one_of("render", render, _RENDERS)
    return f"frames_{render}/{example}/{{left,right}}/0006.png and disparity/{example}/{{left,right}}/0006.pfm"
