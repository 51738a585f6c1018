"""What is measured: the pairs, and the figures of a matcher on them."""

import argparse
import json
import statistics
from collections.abc import Mapping
from typing import Any

import torch
from rows import MATCHERS

from wheatstone.datasets import load_dataset
from wheatstone.datasets.base import Subset
from wheatstone.evaluation import MatcherProtocol
from wheatstone.evaluation.controls import matcher_control
from wheatstone.files import write_bytes
from wheatstone.scenes import HELD_OUT
from wheatstone.training.validation import MatcherEvaluation

FIGURES = {"epe": ("EPE px", 1.0, 2), "bad_2": ("bad-2 %", 100.0, 1), "bad_3": ("bad-3 %", 100.0, 1)}
"""Figure to heading, unit and decimals."""

CONTROLS = ("untrained", "constant", "sgbm")
TEST_SIZE = (240, 320)


def test_pairs(options: argparse.Namespace) -> dict[str, Any]:
    """Pairs to score, by name. `stereo-mini` without its rendered pairs: those are no photos."""
    real = load_dataset(options.real)
    chosen = [index for index, key in enumerate(real.keys) if not key.startswith("things/")]
    held_out = load_dataset(f"scenes={HELD_OUT + 500}:{options.tests}", size=TEST_SIZE)
    return {"real": Subset(real, chosen), "scenes": [held_out[index] for index in range(len(held_out))]}


def keys_of(samples: Any) -> list[str]:
    return list(samples.keys) if hasattr(samples, "keys") else [sample.key for sample in samples]


def scores_of(matcher: Any, tests: Mapping[str, Any], resolution: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Means over the pairs of every test, each pair the same, and the figures of each pair."""
    protocol = MatcherProtocol(regions=("all",), thresholds=(2, 3), edge_radius=0, resolution=resolution)
    items: dict[str, dict[str, dict[str, float]]] = {}
    for name, samples in tests.items():
        score = MatcherEvaluation(samples, protocol=protocol)
        rows = [score({"matcher": matcher}, index) for index in range(len(score))]
        items[name] = {
            key: {figure: row[figure] for figure in FIGURES} for key, row in zip(keys_of(samples), rows, strict=True)
        }
    means = {
        name: {figure: statistics.fmean(row[figure] for row in rows.values()) for figure in FIGURES}
        for name, rows in items.items()
    }
    return means, items


def control_figures(options: argparse.Namespace, tests: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of the answers that need no training."""
    found = {}
    for name in CONTROLS:
        file = options.out / "results" / f"control-{name}{'-' + options.matcher if name == 'untrained' else ''}.json"
        if not file.is_file():
            if name == "untrained":
                with torch.random.fork_rng():
                    torch.manual_seed(0)
                    matcher = MATCHERS[options.matcher][0]()
            else:
                matcher = matcher_control(name)
            figures, items = scores_of(matcher, tests, options.resolution)
            write_bytes(file, (json.dumps({"figures": figures, "items": items}, indent=1) + "\n").encode())
        found[name] = json.loads(file.read_text())["figures"]
    return found
