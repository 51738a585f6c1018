"""ETH3D low-resolution two-view stereo (Schoeps et al. 2017)."""

from pathlib import Path

from wheatstone.datasets.middlebury import evaluation_scene
from wheatstone.datasets.pairs import PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing
from wheatstone.errors import DatasetError

__all__ = ["load"]

_LICENCE = "ETH3D: CC BY-NC-SA 4.0"
_FOLDERS = {"training": ("two_view_training",), "test": ("two_view_test", "two_view_testing")}


def load(path: Path, split: str = "training") -> PairFolder:
    """ETH3D two-view: 27 training pairs with truth, 20 test pairs without; grey images.

    Scale: `disp0GT.pfm` in pixels. Unknown: inf, and 0 in the mask. Occlusion: `mask0nocc.png`, 255 = seen by both cameras, 128 =
    hidden from the right one but with truth, 0 = no truth (`valid` is False there). Licence: CC BY-NC-SA 4.0.
    Layout: `two_view_training/SCENE/{im0.png,im1.png,calib.txt}` with `two_view_training_gt/SCENE/{disp0GT.pfm,mask0nocc.png}`
    beside it (or the truth in the scene's own folder), and `two_view_test/SCENE/{im0.png,im1.png,calib.txt}`. Where the
    truth's archive is not there at all, pairs are opened without. `calib.txt` goes into the provenance.

    Args:
        path: the folder that holds `two_view_training`, or that folder itself.
        split: `training` or `test`; a `path` that is itself such a folder decides.
    """
    one_of("split", split, tuple(_FOLDERS))
    layout = (
        f"{_FOLDERS[split][0]}/SCENE/{{im0.png,im1.png}} and two_view_training_gt/SCENE/{{disp0GT.pfm,mask0nocc.png}}"
    )
    listing = Listing()
    inside = [path / name for name in _FOLDERS[split] if name in listing.folders(path)]
    known = {name for names in _FOLDERS.values() for name in names}
    root = inside[0] if inside else path if path.name in known else path / _FOLDERS[split][0]
    require_folder(root, "ETH3D two-view", layout)
    scenes = list(listing.holders(root, "im0.png"))
    if not scenes:
        raise DatasetError(f"{root}: no scene found; ETH3D two-view is expected as {layout}")
    beside = root.with_name(f"{root.name}_gt")
    if listing.folders(beside):
        pairs = [evaluation_scene(listing, scene, beside / scene.relative_to(root)) for scene in scenes]
    else:
        with_truth = any(listing.has(scene / "disp0GT.pfm") for scene in scenes)
        pairs = [evaluation_scene(listing, scene, scene if with_truth else None) for scene in scenes]
    return PairFolder("eth3d", find_pairs(pairs, root, "ETH3D two-view", layout, listing), _LICENCE)
