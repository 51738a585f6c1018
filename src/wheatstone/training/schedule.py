"""The learning rate as a pure function of the step, so that a resumed run needs no state for it."""

import math

from wheatstone.training.recipe import Schedule

__all__ = ["learning_rate_factor"]


def learning_rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """Learning rate of a step as a share of the peak.

    `one-cycle` is the linear one of Smith and Topin (2019) with the corners where PyTorch's `OneCycleLR` has them (linear
    annealing, momentum left alone): from `initial` up to the peak at step `warmup * steps - 1`, down to `final` at the last.
    The others rise from 1 / n over n warm-up steps, then stay (`constant`) or follow half a cosine down to `final`.

    Args:
        schedule: shape, warm-up share and ends.
        step: 0 for the first optimiser step.
        steps: optimiser steps in all.
    """
    if schedule.kind == "one-cycle":
        top = schedule.warmup * steps - 1
        if step <= top and top > 0:
            return schedule.initial + (1 - schedule.initial) * step / top
        done = (step - max(top, 0)) / max(1e-9, steps - 1 - max(top, 0))
        return 1 + (schedule.final - 1) * min(1.0, done)
    warm = max(1, round(schedule.warmup * steps))
    if step < warm:
        return (step + 1) / warm
    if schedule.kind == "constant":
        return 1.0
    done = (step - warm) / max(1, steps - 1 - warm)
    return schedule.final + (1 - schedule.final) * (0.5 + 0.5 * math.cos(math.pi * done))
