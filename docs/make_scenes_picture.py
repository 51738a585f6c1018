"""Make the picture of docs/scenes.md: python docs/make_scenes_picture.py.

Scenes of every family, each above its disparity.
"""

from pathlib import Path

import numpy as np
import torch

from wheatstone.files import write_image
from wheatstone.scenes import depth_view
from wheatstone.viewing import colour_map

SHOWN = (
    ("street", 902), ("room", 903), ("table", 906), ("portrait", 900), ("nature", 904), ("closeup", 904),
    ("street", 907), ("room", 906), ("table", 903), ("portrait", 904), ("nature", 907), ("closeup", 905),
)  # fmt: skip
SIZE, COLUMNS, GAP = (144, 240), 6, 4


def main() -> None:
    """Write docs/images/scenes.jpg."""
    cells = [_cell(family, seed) for family, seed in SHOWN]
    rows = [np.concatenate(cells[k : k + COLUMNS], axis=1) for k in range(0, len(cells), COLUMNS)]
    sheet = np.concatenate(rows)[:-GAP, :-GAP]
    target = Path(__file__).parent / "images" / "scenes.jpg"
    target.parent.mkdir(exist_ok=True)
    write_image(target, sheet, quality=74)
    print(f"{target}: {sheet.shape[1]} x {sheet.shape[0]}, {target.stat().st_size // 1024} kB")


def _cell(family: str, seed: int) -> np.ndarray:
    view = depth_view(seed, size=SIZE, family=family)
    near = np.percentile(view.inverse_depth, 99)
    colours = colour_map(torch.from_numpy(np.minimum(view.inverse_depth, near))[None])
    return np.pad(np.concatenate([view.image, colours]), ((0, GAP), (0, GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
