"""Every network as a program gives the matcher's own answer; a new network adds a line to `MATCHERS`."""

import numpy as np
import pytest
import torch

from wheatstone.errors import InputError
from wheatstone.matching import NetworkMatcher
from wheatstone.matching.embedded import EmbeddedMatcher, sgbm_start
from wheatstone.matching.export import export_onnx, export_program
from wheatstone.matching.igev_stereo import IgevStereo
from wheatstone.matching.psmnet import POOLING, PsmNet
from wheatstone.matching.raft_stereo import RaftStereo
from wheatstone.matching.sgbm import Sgbm

from .weights import fill

TINY = {"widths": (8, 8, 16, 16), "volume": 8, "hidden": (8, 8)}
SMALL = {"hidden_dims": (8, 12, 16), "n_downsample": 3, "corr_levels": 2, "corr_radius": 2}

# what it is -> (makes the matcher, size of the images)
MATCHERS = {
    "raft-stereo": (lambda: RaftStereo(**SMALL, n_gru_layers=3), (20, 40)),
    "raft-stereo-realtime": (
        lambda: RaftStereo(**SMALL, n_gru_layers=1, shared_backbone=True, slow_fast_gru=True, correlation="on-demand"),
        (32, 32),
    ),
    "igev-stereo": (lambda: IgevStereo(hidden_dims=(8, 8, 8), corr_radius=2, max_disparity=32), (32, 40)),
    "psmnet": (lambda: PsmNet(16, "tiny"), (16, 30)),
    "embedded": (lambda: EmbeddedMatcher(**TINY, half_on_cpu=False), (40, 90)),
    "embedded, alone": (lambda: EmbeddedMatcher(**TINY, start="none", half_on_cpu=False), (40, 90)),
}
SLOW = {
    "raft-stereo",
    "igev-stereo",
    "psmnet",
    "embedded, alone",
}  # large graphs: the conversion takes ten seconds and more


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in MATCHERS])
def case(request, monkeypatch) -> tuple[NetworkMatcher, torch.Tensor, torch.Tensor]:
    monkeypatch.setitem(POOLING, "tiny", ((4, 4), (4, 4), (2, 2), (1, 2)))
    build, size = MATCHERS[request.param]
    matcher = build()
    fill(matcher.network)
    images = torch.rand(2, 1, 3, *size, generator=torch.Generator().manual_seed(3))
    return matcher, images[0], images[1]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_program_and_onnx_runtime_give_the_same_answer(case, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    matcher, left, right = case
    size = (left.shape[-2], left.shape[-1])
    steps = 2 if matcher.iterations else None
    expected = matcher(left, right, steps).disparity
    start = sgbm_start(left, right) if matcher.config.get("start") == "sgbm" else {}
    with torch.no_grad():
        program = export_program(matcher, size, steps).module()
        assert torch.allclose(program(left, right, *start.values()), expected, atol=1e-3)

    file = export_onnx(matcher, tmp_path / "matcher.onnx", size, steps)
    assert [entry.name for entry in tmp_path.iterdir()] == ["matcher.onnx"]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = {"left": left, "right": right, **start}
    (found,) = session.run(["disparity"], {name: value.numpy() for name, value in given.items()})
    assert np.abs(found - expected.numpy()).max() < 1e-3


def test_what_cannot_be_exported(tmp_path):
    with pytest.raises(InputError, match="no network"):
        export_program(Sgbm(), (32, 32), 1)
    matcher = RaftStereo(**SMALL)
    with pytest.raises(InputError, match="must be positive"):
        export_program(matcher, (32, 0), 1)
    with pytest.raises(InputError, match="float32"):
        export_onnx(matcher.to(dtype=torch.bfloat16), tmp_path / "x.onnx", (32, 32), 1)
