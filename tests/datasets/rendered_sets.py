"""Data sets of GenStereo's mixture in small: one rendered pair in the layout, the formats and the scales of each."""

import gzip
import json

import numpy as np
from tests.datasets import miniatures as mini

LEFT, RIGHT, OF_LEFT, OF_RIGHT = mini.rendered()
FILM = "009850-3_obj_source"


def dsp5(path, values):
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("disparity", data=values.astype(np.float32), compression="gzip", compression_opts=9)


def spring(root, scene="0001", frame="0001", truth=True):
    place = root / scene
    for side, image, of_view in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
        mini.colours(place / f"frame_{side}" / f"frame_{side}_{frame}.png", image)
        if truth:
            fine = of_view.repeat(2, 0).repeat(2, 1) + np.tile([[0, 0.5], [0.5, 0.5]], OF_LEFT.shape)
            dsp5(place / f"disp1_{side}" / f"disp1_{side}_{frame}.dsp5", fine)
    mini.text(place / "cam_data" / "intrinsics.txt", "1100 1100 960 540\n")


def exr(path, values, names="G"):
    import OpenEXR

    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, dict.fromkeys(names, values.astype(np.float32))).write(str(path))


def irs(root, scene="Home/ArchVizInterior03Data"):
    mini.colours(root / scene / "l_00002.png", LEFT)
    mini.colours(root / scene / "r_00002.png", RIGHT)
    exr(root / scene / "d_00002.exr", OF_LEFT)
    exr(root / scene / "n_00002.exr", OF_LEFT, "RGB")


def unreal(root, scene="00000"):
    for camera, image, truth in ((0, LEFT, OF_LEFT), (1, RIGHT, OF_RIGHT)):
        mini.colours(root / scene / f"Image{camera}/00042.png", image, alpha=0)  # alpha means nothing
        mini.array(root / scene / f"Disp{camera}/00042.npy", truth.astype(np.float32))
        mini.text(root / scene / f"Extrinsics{camera}/00042.txt", "1920 0 960 0 1920 540 0 0 1\n1 0 0 0\n")


def simstereo(root):
    for split in ("training", "test"):
        for side, image, truth in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
            name = f"abstract_bowls_1_{side}"
            mini.colours(root / split / "rgbColormanaged" / f"{name}.jpg", image)
            mini.colours(root / split / "nirColormanaged" / f"{name}.jpg", image // 2)
            mini.pfm(root / split / "pfmDisp" / f"{name}.pfm", truth)


def pltd3(root):
    camera = {"fx": 800.0, "fy": 800.0, "cx": 960.0, "cy": 540.0, "baseline": 0.12, "height": 1080, "width": 1920}
    mini.text(root / "intrinsics.json", camera)
    for split in ("train", "test"):
        mini.colours(root / split / "0001/left/v1_0001_000001.png", LEFT)
        mini.colours(root / split / "0001/right/v1_0001_000001.png", RIGHT)
    depth = (96 / OF_LEFT).astype(np.float32)
    depth[0, :2] = 0, np.inf
    (root / "train/0001/depth").mkdir()
    np.savez_compressed(root / "train/0001/depth/v1_0001_000001.npz", depth)
    return camera


def infinigen(root):
    for split in ("train", "test"):
        frames = root / split / "1a2b3c/frames"
        for camera, image, truth in ((0, LEFT, OF_LEFT), (1, RIGHT, OF_RIGHT)):
            mini.colours(frames / f"Image/camera_{camera}/Image_0_0_0007_{camera}.png", image)
            mini.array(frames / f"Depth/camera_{camera}/Depth_0_0_0007_{camera}.npy", (1111 * 0.075 / truth))
            pose = np.eye(4)
            pose[:3, 3] = 4 + 0.06 * camera, -1 + 0.045 * camera, 2  # 7.5 cm apart, in the axes of the world
            path = frames / f"camview/camera_{camera}/camview_0_0_0007_{camera}.npz"
            path.parent.mkdir(parents=True)
            matrix = np.array([[1111.0, 0, 640], [0, 1111, 360], [0, 0, 1]])
            np.savez(path, K=matrix, T=pose, HW=np.array([720, 1280]))


def dynamic_replica(root, split="train", baseline=0.2, kind="ndc_isotropic"):
    """A film of one frame; its focal length is 2 in PyTorch3D's units, which is 12 px at a height of 12 px."""
    annotations = []
    for side, image, truth in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
        place = root / split / f"{FILM}_{side}"
        mini.colours(place / "images" / f"{FILM}_{side}-0000.png", image, alpha=0)
        mini.text(place / "images" / "done.ok", "")
        depth = (12 * baseline / truth).astype(np.float16)
        mini.codes(place / "depths" / f"{FILM}_{side}_0000.geometric.png", depth.view(np.uint16))
        for number in (0, 1):  # the second frame was not unpacked
            camera = {"R": np.eye(3).tolist(), "T": [0.5 + (side == "right") * baseline, 0, 1]}
            camera |= {"focal_length": [2.0, 2.0], "principal_point": [0.0, 0.0], "intrinsics_format": kind}
            annotations.append(
                {
                    "sequence_name": FILM,
                    "frame_number": number,
                    "camera_name": side,
                    "image": {"path": f"{FILM}_{side}/images/{FILM}_{side}-{number:04}.png", "size": [12, 40]},
                    "viewpoint": camera,
                }
            )
    path = root / split / f"frame_annotations_{split}.jgz"
    path.write_bytes(gzip.compress(json.dumps(annotations).encode()))
    return path


def markers(shift=0.0):
    """Markers 0 to 3 on the rendered pair in four pictures, at sub-pixel places; 2 is invalid and 3 lies on the second layer."""
    places = {0: (5.25, 2.5), 1: (20.75, 6.5), 2: (30.0, 3.0), 3: (33.5, 9.5)}  # column, row
    points = []
    for picture in range(4):
        right = picture % 2
        points.append(
            [
                (number, 0, (column - right * (OF_LEFT[int(row), int(column)] + shift), np.float64(row)))
                for number, (column, row) in places.items()
                if not (picture == 3 and number == 1)  # not found in one picture
            ]
        )
    kinds = {0: (True, "Transparent", 0), 1: (True, "Diffuse", 0), 2: (False, "Diffuse", 0), 3: (True, "Reflective", 1)}
    return {"optical_points": points, "annotations": {(number, 0): kind for number, kind in kinds.items()}}


def tartanair(root, frames):
    place = root / "ocean/Easy/P000"
    for number in range(frames):
        mini.colours(place / f"image_left/{number:06}_left.png", LEFT)
        mini.colours(place / f"image_right/{number:06}_right.png", RIGHT)
        mini.array(place / f"depth_left/{number:06}_left_depth.npy", (80 / OF_LEFT).astype(np.float32))


def fallingthings(root):
    stem = root / "mixed/kitchen_0/000000"
    mini.text(stem.with_name("_camera_settings.json"), {"camera_settings": [{"intrinsic_settings": {"fx": 768.16}}]})
    for side, image, truth in (("left", LEFT, OF_LEFT), ("right", RIGHT, OF_RIGHT)):
        mini.colours(stem.with_name(f"000000.{side}.jpg"), image)
        mini.codes(stem.with_name(f"000000.{side}.depth.png"), np.rint(460896 / truth / 8).astype(np.uint16))


def vkitti2(root, frames):
    place = root / "Scene01/clone/frames"
    for number in range(frames):
        mini.colours(place / f"rgb/Camera_0/rgb_{number:05}.jpg", LEFT)
        mini.colours(place / f"rgb/Camera_1/rgb_{number:05}.jpg", RIGHT)
        depth = np.rint(38623.03 / OF_LEFT).astype(np.uint16)
        depth[0] = 65535
        mini.codes(place / f"depth/Camera_0/depth_{number:05}.png", depth)


def sintel(root):
    name = "alley_1/frame_0001.png"
    mini.colours(root / "training/final_left" / name, LEFT)
    mini.colours(root / "training/final_right" / name, RIGHT)
    coded = np.stack([OF_LEFT // 4, OF_LEFT % 4 * 64, 0 * OF_LEFT], axis=2).astype(np.uint8)
    mini.colours(root / "training/disparities" / name, coded)
    for mask in ("occlusions", "outofframe"):
        mini.codes(root / "training" / mask / name, np.zeros(OF_LEFT.shape, np.uint8))
