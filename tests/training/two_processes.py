"""Run by torchrun in a test: the tiny recipe on two processes."""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
tiny = importlib.util.module_from_spec(spec)
sys.modules["tiny"] = tiny
spec.loader.exec_module(tiny)

from wheatstone.training import train  # noqa: E402

train(tiny.RECIPE, tiny.TinyData(), sys.argv[1], device="cpu")
