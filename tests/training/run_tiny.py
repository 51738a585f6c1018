"""A tiny training in a process of its own, which stands still at the worst moments so that a test can kill it there."""

import io
import time
from unittest import mock

import torch

from wheatstone.training import Build, train

from .tiny import RECIPE, TinyData

SETTINGS = {
    "steps": 12,
    "evaluate": Build("tests.training.tiny:TinyEvaluation"),
    "evaluate_every": 3,
    "decides": "error",
}
PAUSE_S = 60.0


def training(connection, out, moment):
    """Train into `out` with a worker; at the moment of that name tell the connection and wait to be killed."""
    torch.set_num_threads(1)
    seen = {"step": 0, "checkpoint": 0}

    def here(what, count):
        seen[what] += 1
        if what == moment and seen[what] == count:
            connection.send(what)
            time.sleep(PAUSE_S)

    clip, save = torch.nn.utils.clip_grad_norm_, torch.save

    def after_the_gradients(*arguments):
        here("step", 6)
        return clip(*arguments)

    def half_of_a_file(state, stream):
        whole = io.BytesIO()
        save(state, whole)
        written = whole.getvalue()
        stream.write(written[: len(written) // 2])
        stream.flush()
        here("checkpoint", 3)
        stream.write(written[len(written) // 2 :])

    with (
        mock.patch.object(torch.nn.utils, "clip_grad_norm_", after_the_gradients),
        mock.patch.object(torch, "save", half_of_a_file),
    ):
        train(RECIPE, TinyData(), out, device="cpu", workers=1, **SETTINGS)
