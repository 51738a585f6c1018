"""Run by tests in a process of its own, to be killed: the tiny recipe with running mean, evaluation and a worker: `OUT`."""

import sys
import time

from tests.training.test_interruption import SETTINGS
from tests.training.tiny import RECIPE, TinyData

from wheatstone.training import train


def show(state):
    time.sleep(0.05)  # time to be killed in
    print(state.done, flush=True)


train(RECIPE, TinyData(), sys.argv[1], device="cpu", workers=1, progress=show, **SETTINGS)
