"""The public face: every name of the table exists where the table says."""

import subprocess
import sys

import pytest

import wheatstone


@pytest.mark.parametrize("name", wheatstone.__all__)
def test_public_name_resolves(name):
    assert getattr(wheatstone, name) is not None


def test_rooms_are_reached_without_an_import_of_their_own():
    names = [
        "geometry.forward_warp",
        "geometry.backward_warp",
        "evaluation.disparity_metrics",
        "errors.WheatstoneError",
    ]
    names += [f"disparity.{rule}" for rule in ("AdaptiveDisparity", "FixedShare", "UniformPixels", "RigDisparity")]
    names += [
        "matching.StereoMatcher",
        "datasets.load_dataset",
        "files.Calibration",
        "training.recipes",
        "checkpoints.Part",
    ]
    script = "; ".join(["import wheatstone", *(f"wheatstone.{name}" for name in names)])
    subprocess.run([sys.executable, "-c", script], check=True)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        wheatstone.no_such_name  # noqa: B018
    assert "load_depth" in dir(wheatstone)
