"""Middlebury stereo pairs with truth: the editions of 2001, 2003, 2005, 2006 and 2014.

Licence: free for research, cite the papers (Scharstein and Szeliski 2002, 2003; Scharstein and Pal 2007; Hirschmueller and
Scharstein 2007; Scharstein et al. 2014); the site states no formal licence.
"""

from collections.abc import Mapping
from pathlib import Path

from wheatstone.datasets.pairs import Coded, PairFiles, PairFolder, Pfm, find_pairs, read_codes, require_folder
from wheatstone.errors import DatasetError

__all__ = ["load_2001", "load_2003", "load_2005", "load_2006", "load_2014"]

_LICENCE = "Middlebury: free for research, cite the papers; no formal licence"


def load_2001(path: Path) -> PairFolder:
    """Scenes of 2001 (tsukuba, venus, sawtooth, ...).

    Scale: disparity = code / 8, tsukuba code / 16. Unknown: 0 (tsukuba has a border of 18 pixels without truth). Occlusion:
    `nonocc.png` where present. Layouts: the data folder's `SCENE/{im2.ppm,im6.ppm,disp2.pgm,disp6.pgm}`, or the stereo
    evaluation's `SCENE/{imL.png,imR.png,groundtruth.png[,nonocc.png]}`.
    """
    layout = "SCENE/{im2.ppm,im6.ppm,disp2.pgm,disp6.pgm} or SCENE/{imL.png,imR.png,groundtruth.png}"
    pairs = []
    for scene in _scenes(path, "Middlebury 2001", layout, ("imL.png", "im2.ppm")):
        decode = Coded(16 if scene.name == "tsukuba" else 8)
        if (scene / "imL.png").is_file():
            pairs.append(_pair(scene, ("imL.png", "imR.png", "groundtruth.png", None), decode))
        else:
            pairs.append(_pair(scene, ("im2.ppm", "im6.ppm", "disp2.pgm", "disp6.pgm"), decode))
    return PairFolder("middlebury-2001", find_pairs(pairs, path, "Middlebury 2001", layout), _LICENCE)


def load_2003(path: Path) -> PairFolder:
    """Scenes of 2003 (cones, teddy).

    Scale: disparity = code / 4 at quarter size (450 x 375), / 2 at half size, / 1 at full size (told apart by width).
    Unknown: 0. Occlusion: `nonocc.png` where present. Layout: `SCENE/{im2,im6,disp2,disp6}.png` (or .ppm and .pgm).
    """
    layout = "SCENE/{im2,im6,disp2,disp6}.png"
    pairs = []
    for scene in _scenes(path, "Middlebury 2003", layout, ("im2.png", "im2.ppm")):
        image, code = (".png", ".png") if (scene / "im2.png").is_file() else (".ppm", ".pgm")
        names = (f"im2{image}", f"im6{image}", f"disp2{code}", f"disp6{code}")
        _require(scene / names[2], "Middlebury 2003", layout)
        width = read_codes(scene / names[2]).shape[1]
        pairs.append(_pair(scene, names, Coded(4 if width < 700 else 2 if width < 1400 else 1)))
    return PairFolder("middlebury-2003", find_pairs(pairs, path, "Middlebury 2003", layout), _LICENCE)


def load_2005(path: Path) -> PairFolder:
    """Scenes of 2005 (Art, Books, Dolls, Laundry, Moebius, Reindeer); the same rules as `load_2006`."""
    return _load_views(path, "2005")


def load_2006(path: Path) -> PairFolder:
    """Scenes of 2006 (Aloe, Cloth3, Wood2, ...).

    Scale: the code is the disparity at full size, so disparity = code / 1 at full size (about 1300 pixels wide), / 2 at
    half size, / 3 at third size (told apart by width). Unknown: 0. Occlusion: no mask. `dmin.txt` is not needed for
    disparity. Layout: `[FullSize|HalfSize|ThirdSize/]SCENE/{view1,view5,disp1,disp5}.png`.
    """
    return _load_views(path, "2006")


def _load_views(path: Path, edition: str) -> PairFolder:
    layout = "[FullSize|HalfSize|ThirdSize/]SCENE/{view1,view5,disp1,disp5}.png"
    title = f"Middlebury {edition}"
    pairs = []
    for scene in _scenes(path, title, layout, ("view1.png",)):
        _require(scene / "disp1.png", title, layout)
        width = read_codes(scene / "disp1.png").shape[1]
        scale = 1 if width > 1000 else 2 if width > 550 else 3
        pairs.append(_pair(scene, ("view1.png", "view5.png", "disp1.png", "disp5.png"), Coded(scale)))
    return PairFolder(f"middlebury-{edition}", find_pairs(pairs, path, title, layout), _LICENCE)


def load_2014(path: Path) -> PairFolder:
    """Scenes of 2014 (Adirondack, Motorcycle, ...).

    Scale: PFM in pixels of the file's own size; unknown: inf. Occlusion: no mask in the scene folders. Some mirrors carry
    an 8-bit `disp0.png` instead, rounded down to whole pixels: it is read (unknown: 0) and marked in the provenance
    (`truth_step_px: 1`), good for bad-2 and coarser, not for end-point errors. `calib.txt` is kept in the provenance
    as it stands. Layout: `SCENE/{im0.png,im1.png,disp0.pfm[,disp1.pfm,calib.txt]}`.
    """
    layout = "SCENE/{im0.png,im1.png,disp0.pfm}"
    pairs = []
    for scene in _scenes(path, "Middlebury 2014", layout, ("im0.png",)):
        calibration = scene / "calib.txt"
        notes: dict[str, object] = {"calib": calibration.read_text()} if calibration.is_file() else {}
        if (scene / "disp0.pfm").is_file() or not (scene / "disp0.png").is_file():
            pairs.append(_pair(scene, ("im0.png", "im1.png", "disp0.pfm", "disp1.pfm"), Pfm(), notes))
        else:
            notes = {**notes, "truth_step_px": 1, "truth_note": "8-bit, rounded down to whole pixels"}
            pairs.append(_pair(scene, ("im0.png", "im1.png", "disp0.png", None), Coded(1), notes))
    return PairFolder("middlebury-2014", find_pairs(pairs, path, "Middlebury 2014", layout), _LICENCE)


def _pair(
    scene: Path,
    names: tuple[str, str, str, str | None],
    decode: Coded | Pfm,
    notes: Mapping[str, object] | None = None,
) -> PairFiles:
    left, right, truth, truth_right = names
    other = scene / truth_right if truth_right is not None and (scene / truth_right).is_file() else None
    mask = scene / "nonocc.png"
    return PairFiles(
        key=scene.name,
        left=scene / left,
        right=scene / right,
        truth=scene / truth,
        truth_right=other,
        decode=decode,
        non_occluded=mask if mask.is_file() else None,
        notes=notes or {},
    )


def _scenes(path: Path, dataset: str, layout: str, marks: tuple[str, ...]) -> list[Path]:
    """Scene folders below `path` (or `path` itself), known by the file that each must hold."""
    require_folder(path, dataset, layout)
    folders = {file.parent for mark in marks for file in path.rglob(mark)}
    if not folders:
        raise DatasetError(f"{path}: no scene found; {dataset} is expected as {layout}")
    return sorted(folders, key=lambda folder: folder.as_posix())


def _require(path: Path, dataset: str, layout: str) -> None:
    if not path.is_file():
        raise DatasetError(f"{path}: missing; {dataset} is expected as {layout}")
