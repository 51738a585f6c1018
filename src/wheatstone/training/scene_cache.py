"""Rendered scenes kept on disk, so that epochs do not render again: one uncompressed file a scene, made when first asked for."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheatstone.files import atomic_path
from wheatstone.progress import Clock, ProgressCallback

__all__ = ["SceneCache"]


@dataclass(frozen=True)
class SceneCache:
    """Scenes `first_seed .. first_seed + count - 1` at one size, seen from some baselines.

    A file depends on its seed, the size and the baselines alone, so several processes may fill one folder, and what
    happens to be there already never changes a training.

    Attributes:
        folder: where the files lie; made when missing.
        count: number of scenes.
        size: height and width in pixels.
        baselines: positions of the views along the baseline.
        first_seed: seed of the first scene.
    """

    folder: Path
    count: int
    size: tuple[int, int]
    baselines: tuple[float, ...]
    first_seed: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of one scene: `image` uint8 `[K,H,W,3]`, `inverse_depth` float32 `[K,H,W]` (0 in the sky) and, with
        more than one baseline, `disparity` float32 `[K,H,W]` (pixels a unit of baseline, in each view's own frame).

        Raises:
            OutputError: the folder cannot be written.
        """
        path = self.path_of(index)
        try:
            with np.load(path) as stored:
                return {name: stored[name] for name in stored.files}
        except FileNotFoundError:
            return self._make(index, path)
        except (
            OSError,
            ValueError,
            EOFError,
            zipfile.BadZipFile,
        ):  # torn by a full disk or a crash of the machine: again
            path.unlink(missing_ok=True)
            return self._make(index, path)

    def path_of(self, index: int) -> Path:
        """File of one scene."""
        seed = self.first_seed + index
        views = "-".join(f"{k:g}" for k in self.baselines)
        name = f"{self.size[0]}x{self.size[1]}-k{views}"
        return self.folder / name / f"{seed // 1000:04d}" / f"{seed:07d}.npz"

    def fill(self, indices: Sequence[int] | None = None, progress: ProgressCallback | None = None) -> None:
        """Render what is missing, in order."""
        wanted = list(range(self.count)) if indices is None else list(indices)
        clock = Clock("render scenes", len(wanted))
        for done, index in enumerate(wanted, start=1):
            path = self.path_of(index)
            if not path.is_file():
                self._make(index, path)
            if progress is not None:
                progress(clock.at(done))

    def _make(self, index: int, path: Path) -> dict[str, np.ndarray]:
        arrays = self._render(self.first_seed + index)
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        return arrays

    def _render(self, seed: int) -> dict[str, np.ndarray]:
        from wheatstone.scenes import depth_view, render_scene  # numba is an extra, and slow to import

        if self.baselines == (0.0,):
            view = depth_view(seed, size=self.size)
            return {"image": view.image[None], "inverse_depth": view.inverse_depth[None]}
        scene = render_scene(seed, size=self.size, baselines=self.baselines, visibility=False)
        return {
            "image": scene.images[0],
            "disparity": scene.disparity[0],
            "inverse_depth": (1.0 / scene.depth[0]).astype(np.float32),  # infinite in the sky: 0
        }
