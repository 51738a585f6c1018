"""Small samples made in the test; every promise of the format holds for them."""

import torch

from wheatstone.datasets import layout
from wheatstone.datasets.quality import quality_figures
from wheatstone.geometry import forward_warp
from wheatstone.samples import StereoSample


def synthetic_sample(key, seed=0, height=24, width=40, top=6.0, scale=256, **changes):
    """A random left view, smooth disparity on the file's grid, its warp with random paint in the holes."""
    random = torch.Generator().manual_seed(seed)
    left = torch.randint(0, 256, (3, height, width), generator=random) / 255
    coarse = torch.rand(1, 1, 3, 5, generator=random) * top
    disparity = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    valid = torch.rand(1, 1, height, width, generator=random) > 0.02
    disparity = torch.where(valid, (disparity * scale).round().clamp(min=1) / scale, 0)
    warp = forward_warp(left[None], disparity, valid)
    paint = torch.randint(0, 256, (3, height, width), generator=random) / 255
    right = torch.where(warp.hole[0], paint, (warp.image[0] * 255).round() / 255)
    fields = {
        "key": key,
        "views": {"left": left, "right": right},
        "baselines": {"left": 0.0, "right": 1.0},
        "disparity": disparity[0],
        "valid": valid[0],
        "confidence": torch.rand(1, height, width, generator=random),
        "visible": warp.visible[0],
        "hole": warp.hole[0],
        "origin": warp.hole[0].to(torch.uint8) * 2,
        "provenance": {"synthetic_views": ["right"], "source_sha256": "ab" * 32, "scale_px": top, "focal_px": 31.5},
    }
    return StereoSample(**{**fields, **changes})


def write_dataset(out, keys=("a.jpg", "b/c.png", "b/d.x.jpg"), config=None, **changes):
    """A finished data set of synthetic samples."""
    from wheatstone.datasets.writer import DatasetWriter

    with DatasetWriter(out, config or {"warp": {"method": "two-tap", "official": False}}, seed=3) as writer:
        for number, key in enumerate(keys):
            sample = synthetic_sample(key, number, **changes)
            stored = torch.from_numpy(layout.decode_unit(layout.encode_unit(sample.confidence.numpy())))
            writer.write(sample, quality_figures(StereoSample(**{**sample.__dict__, "confidence": stored})))
        writer.finish()
    return out


def tree(folder):
    """Relative path to bytes of every file."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
