"""Trainings of the tiny recipe, one after the other, in each of the processes that torchrun or its launcher starts.

As a program: `OUT {"run": {"changed field": ...}}`.
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # torchrun knows the folder of the program only

import torch
from tests.training.tiny import RECIPE, TinyData

from wheatstone.errors import TrainingError
from wheatstone.training import Build, train


def changes_of(changes):
    """Fields of the recipe from plain values."""
    changes = dict(changes)
    if "part" in changes:
        changes["parts"] = {"tiny": Build("tests.training.tiny:TinyPart", changes.pop("part"))}
    if changes.pop("evaluated", False):
        build = Build("tests.training.tiny:TinyEvaluation")
        changes |= {"evaluate": build, "evaluate_every": 2, "decides": "error"}
    return changes


def trainings(out, runs):
    """Run all of them; returns what went wrong, by run."""
    torch.set_num_threads(1)
    errors = {}
    for name, changes in runs.items():
        changes = changes_of(changes)
        data = TinyData(broken_at=changes.pop("broken_at", None))
        try:
            train(RECIPE, data, Path(out) / name, device="cpu", **changes)
        except TrainingError as error:
            errors[name] = str(error)
    torch.distributed.destroy_process_group()
    return errors


if __name__ == "__main__":
    trainings(sys.argv[1], json.loads(sys.argv[2]))
