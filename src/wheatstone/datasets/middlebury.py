"""Middlebury stereo pairs: the data sets of 2001, 2003, 2005, 2006, 2014 and 2021, and the third stereo evaluation.

Licence: free for research, cite the papers (Scharstein and Szeliski 2002, 2003; Scharstein and Pal 2007; Hirschmueller and
Scharstein 2007; Scharstein et al. 2014); the site states no formal licence.
"""

from collections.abc import Mapping
from pathlib import Path

from wheatstone.datasets.decoding import Coded, CodedByWidth, Mask, Pfm, is_full, is_set
from wheatstone.datasets.pairs import PairFiles, PairFolder, find_pairs, one_of, require_folder
from wheatstone.datasets.tree import Listing
from wheatstone.errors import DatasetError, InputError

__all__ = [
    "evaluation_scene",
    "load_2001",
    "load_2003",
    "load_2005",
    "load_2006",
    "load_2014",
    "load_2021",
    "load_evaluation",
]

_LICENCE = "Middlebury: free for research, cite the papers; no formal licence"
_RESOLUTIONS = ("F", "H", "Q")
_NAMES_2001 = (  # left, right, truth, truth of the right view
    ("imL.png", "imR.png", "groundtruth.png", None),
    ("im2.ppm", "im6.ppm", "disp2.pgm", "disp6.pgm"),
    ("scene1.row3.col3.ppm", "scene1.row3.col4.ppm", "truedisp.row3.col3.pgm", None),
    ("im0.pgm", "im1.pgm", "disp0.pgm", "disp1.pgm"),
)


def load_2001(path: Path, left_right: bool = False) -> PairFolder:
    """Scenes of 2001 (tsukuba, venus, sawtooth, map, ...).

    Scale: disparity = 8-bit code / 8, tsukuba code / 16. Unknown: 0 (tsukuba has a border of 18 pixels without truth).
    Occlusion: `nonocc.png` where present (255 = seen by both and counted). Licence: free for research, no formal licence.
    Layout: the data folder's `SCENE/{im2.ppm,im6.ppm,disp2.pgm,disp6.pgm}`, `map/{im0,im1,disp0,disp1}.pgm` and
    `tsukuba/{scene1.row3.col3.ppm,scene1.row3.col4.ppm,truedisp.row3.col3.pgm}`, or the stereo evaluation's
    `SCENE/{imL.png,imR.png,groundtruth.png[,nonocc.png]}`.
    """
    layout = "SCENE/{im2.ppm,im6.ppm,disp2.pgm,disp6.pgm} or SCENE/{imL.png,imR.png,groundtruth.png}"
    listing = Listing()
    pairs = []
    for scene in _scenes(listing, path, "Middlebury 2001", layout, tuple(names[0] for names in _NAMES_2001)):
        names = next(names for names in _NAMES_2001 if listing.has(scene / names[0]))
        pairs.append(_pair(listing, scene, names, Coded(16 if scene.name == "tsukuba" else 8, bits=8)))
    found = find_pairs(pairs, path, "Middlebury 2001", layout, listing)
    return PairFolder("middlebury-2001", found, _LICENCE, left_right)


def load_2003(path: Path, left_right: bool = False) -> PairFolder:
    """Scenes of 2003 (cones, teddy).

    Scale: disparity = 8-bit code / 4 at quarter size (450 x 375), / 2 at half size, / 1 at full size (told apart by width).
    Unknown: 0. Occlusion: `nonocc.png` where present (255 = seen by both and counted). Licence: free for research, no formal
    licence. Layout: `SCENE/{im2,im6,disp2,disp6}.png` (or .ppm and .pgm).
    """
    layout = "SCENE/{im2,im6,disp2,disp6}.png"
    listing = Listing()
    pairs = []
    for scene in _scenes(listing, path, "Middlebury 2003", layout, ("im2.png", "im2.ppm")):
        image, code = (".png", ".png") if listing.has(scene / "im2.png") else (".ppm", ".pgm")
        names = (f"im2{image}", f"im6{image}", f"disp2{code}", f"disp6{code}")
        pairs.append(_pair(listing, scene, names, CodedByWidth(((1400, 1), (700, 2), (0, 4)))))
    found = find_pairs(pairs, path, "Middlebury 2003", layout, listing)
    return PairFolder("middlebury-2003", found, _LICENCE, left_right)


def load_2005(path: Path, left_right: bool = False) -> PairFolder:
    """Scenes of 2005 (Art, Books, Dolls, Laundry, Moebius, Reindeer).

    Scale: the 8-bit code is the disparity at full size, so disparity = code / 1 at full size (about 1300 pixels wide), / 2 at
    half size, / 3 at third size (told apart by width). Unknown: 0. Occlusion: no mask. Licence: free for research, no formal
    licence. Layout: `[FullSize|HalfSize|ThirdSize/]SCENE/{view1,view5,disp1,disp5}.png`; `dmin.txt` is not needed for disparity.
    """
    return _load_views(path, "2005", left_right)


def load_2006(path: Path, left_right: bool = False) -> PairFolder:
    """Scenes of 2006 (Aloe, Cloth3, Wood2, ...).

    Scale: the 8-bit code is the disparity at full size, so disparity = code / 1 at full size (about 1300 pixels wide), / 2 at
    half size, / 3 at third size (told apart by width). Unknown: 0. Occlusion: no mask. Licence: free for research, no formal
    licence. Layout: `[FullSize|HalfSize|ThirdSize/]SCENE/{view1,view5,disp1,disp5}.png`; `dmin.txt` is not needed for disparity.
    """
    return _load_views(path, "2006", left_right)


def _load_views(path: Path, edition: str, left_right: bool) -> PairFolder:
    layout = "[FullSize|HalfSize|ThirdSize/]SCENE/{view1,view5,disp1,disp5}.png"
    title = f"Middlebury {edition}"
    listing = Listing()
    decode = CodedByWidth(((1001, 1), (551, 2), (0, 3)))
    names = ("view1.png", "view5.png", "disp1.png", "disp5.png")
    scenes = _scenes(listing, path, title, layout, ("view1.png",))
    found = find_pairs([_pair(listing, scene, names, decode) for scene in scenes], path, title, layout, listing)
    return PairFolder(f"middlebury-{edition}", found, _LICENCE, left_right)


def load_2014(path: Path, left_right: bool = False) -> PairFolder:
    """Scenes of 2014 (Adirondack, Motorcycle, ...).

    Scale: PFM in pixels of the file's own size. Unknown: inf. Occlusion: no mask in the scene folders. Licence: free for
    research, no formal licence. Some mirrors carry an 8-bit `disp0.png` instead, rounded down to whole pixels: it is read
    (unknown: 0) and marked in the provenance (`truth_step_px: 1`), good for bad-2 and coarser, not for end-point errors.
    `calib.txt` is kept in the provenance as it stands.
    Layout: `SCENE/{im0.png,im1.png,disp0.pfm[,disp1.pfm,calib.txt]}`, the official folders being `SCENE-perfect` and
    `SCENE-imperfect`.
    """
    return _load_pfm(path, "2014", left_right)


def load_2021(path: Path, left_right: bool = False) -> PairFolder:
    """Scenes of 2021, taken with a mobile device on a robot arm (artroom1, chess1, ...; 24 scenes).

    Scale: PFM in pixels. Unknown: inf. Occlusion: the release has no mask (some mirrors add a `mask0nocc.png` of their own
    making; it is not read). Licence: the site states none that could be established. `calib.txt` is kept in the provenance.
    Layout: `[data/]SCENE/{im0.png,im1.png,disp0.pfm,disp1.pfm,calib.txt}`; the exposures in `ambient/` are not used.
    """
    return _load_pfm(path, "2021", left_right)


def _load_pfm(path: Path, edition: str, left_right: bool) -> PairFolder:
    title, layout = f"Middlebury {edition}", "SCENE/{im0.png,im1.png,disp0.pfm}"
    listing = Listing()
    pairs = []
    for scene in _scenes(listing, path, title, layout, ("im0.png",)):
        if edition == "2014" and listing.has(scene / "disp0.png") and not listing.has(scene / "disp0.pfm"):
            notes = {"truth_step_px": 1, "truth_note": "8-bit, rounded down to whole pixels"}
            names = ("im0.png", "im1.png", "disp0.png", None)
            pairs.append(_pair(listing, scene, names, Coded(1, bits=8), notes))
        else:
            pairs.append(_pair(listing, scene, ("im0.png", "im1.png", "disp0.pfm", "disp1.pfm"), Pfm()))
    found = find_pairs(pairs, path, title, layout, listing)
    return PairFolder(f"middlebury-{edition}", found, _LICENCE, left_right)


def load_evaluation(path: Path, split: str = "training", resolution: str | None = None) -> PairFolder:
    """Middlebury stereo evaluation v3 (MiddEval3): 15 training scenes with truth, 15 test scenes without.

    Scale: `disp0GT.pfm` in pixels of that very resolution. Unknown: inf, and 0 in the mask. Occlusion: `mask0nocc.png`, 255 =
    seen by both cameras, 128 = hidden from the right one but with truth, 0 = no truth (`valid` is False there). Licence: free
    for research, no formal licence. Layout: `training{F,H,Q}/SCENE/{im0.png,im1.png,calib.txt}` with the truth's archive
    unpacked over it, `training{F,H,Q}/SCENE/{disp0GT.pfm,mask0nocc.png}`; `test{F,H,Q}/SCENE/{im0.png,im1.png,calib.txt}`.
    Where the whole folder has no truth, pairs are opened without.

    Args:
        path: the folder that holds `trainingH` and the like, or one of them.
        split: `training` or `test`; a `path` that is itself such a folder decides.
        resolution: `F`, `H` or `Q` (full, half, quarter); may be left out where only one is there.

    Raises:
        InputError: several resolutions are there and none is named.
    """
    title, layout = "MiddEval3", "{training,test}{F,H,Q}/SCENE/{im0.png,im1.png[,disp0GT.pfm,mask0nocc.png,calib.txt]}"
    one_of("split", split, ("training", "test"))
    require_folder(path, title, layout)
    listing = Listing()
    names = [f"{s}{r}" for s in ("training", "test") for r in _RESOLUTIONS]
    root, wanted = path, [f"{split}{r}" for r in _RESOLUTIONS if resolution in (None, r)]
    if resolution is not None:
        one_of("resolution", resolution, _RESOLUTIONS)
    if path.name not in names or (resolution is not None and path.name[-1] != resolution):
        if "MiddEval3" in listing.folders(path):
            root = path / "MiddEval3"
        there = [name for name in wanted if name in listing.folders(root)]
        if len(there) > 1:
            raise InputError(f"{root}: holds {', '.join(there)}: say which with resolution, for example resolution=H")
        if not there:
            raise DatasetError(f"{root}: no folder {' or '.join(wanted)}; {title} is expected as {layout}")
        root = root / there[0]
    scenes = _scenes(listing, root, title, layout, ("im0.png",))
    with_truth = any(listing.has(scene / "disp0GT.pfm") for scene in scenes)
    pairs = [evaluation_scene(listing, scene, scene if with_truth else None) for scene in scenes]
    return PairFolder(f"middeval3-{root.name}", find_pairs(pairs, root, title, layout, listing), _LICENCE)


def evaluation_scene(listing: Listing, scene: Path, truth: Path | None) -> PairFiles:
    """Files of a scene in the format of MiddEval3, which ETH3D took over.

    Args:
        listing: answers what is there.
        scene: folder with `im0.png`, `im1.png` and, if present, `calib.txt`.
        truth: folder with `disp0GT.pfm` and `mask0nocc.png`, or None.
    """
    masks: tuple[Mask, ...] = ()
    if truth is not None:
        seen = truth / "mask0nocc.png"
        masks = (Mask(seen, "visible", is_full), Mask(seen, "valid", is_set))
    calibration = scene / "calib.txt"
    return PairFiles(
        key=scene.name,
        left=scene / "im0.png",
        right=scene / "im1.png",
        truth=truth / "disp0GT.pfm" if truth is not None else None,
        masks=masks,
        texts={"calib": calibration} if listing.has(calibration) else {},
    )


def _pair(
    listing: Listing,
    scene: Path,
    names: tuple[str, str, str, str | None],
    decode: Coded | CodedByWidth | Pfm,
    notes: Mapping[str, object] | None = None,
) -> PairFiles:
    left, right, truth, truth_right = names
    seen, calibration = scene / "nonocc.png", scene / "calib.txt"
    return PairFiles(
        key=scene.name,
        left=scene / left,
        right=scene / right,
        truth=scene / truth,
        truth_right=scene / truth_right if truth_right is not None and listing.has(scene / truth_right) else None,
        decode=decode,
        masks=(Mask(seen, "visible", is_full),) if listing.has(seen) else (),
        texts={"calib": calibration} if listing.has(calibration) else {},
        notes=notes or {},
    )


def _scenes(listing: Listing, path: Path, dataset: str, layout: str, marks: tuple[str, ...]) -> list[Path]:
    """Scene folders below `path` (or `path` itself), known by the file that each must hold."""
    require_folder(path, dataset, layout)
    if not (folders := list(listing.holders(path, *marks))):
        raise DatasetError(f"{path}: no scene found; {dataset} is expected as {layout}")
    return folders
