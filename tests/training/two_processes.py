"""Run by torchrun in a test: trainings of the tiny recipe, one after the other: `OUT {"run": {"changed field": ...}}`."""

import importlib.util
import json
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(spec)
sys.modules["tiny"] = tiny
spec.loader.exec_module(tiny)

from wheatstone.errors import TrainingError  # noqa: E402
from wheatstone.training import Build, train  # noqa: E402

out, runs = Path(sys.argv[1]), json.loads(sys.argv[2])
for name, changes in runs.items():
    changes = dict(changes)
    data = tiny.TinyData(broken_at=changes.pop("broken_at", None))
    if "part" in changes:
        changes["parts"] = {"tiny": Build("tiny:TinyPart", changes.pop("part"))}
    if changes.pop("evaluated", False):
        changes |= {"evaluate": Build("tiny:TinyEvaluation"), "evaluate_every": 2, "decides": "error"}
    try:
        train(tiny.RECIPE, data, out / name, device="cpu", **changes)
    except TrainingError as error:
        print(f"{name}: {error}", file=sys.stderr)
