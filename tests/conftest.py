"""Fixtures shared by all tests: reference outputs and real data, skipped with a reason when they are not at hand."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def _folder_from(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set: it names the folder of {what}")
    return Path(value)


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Outputs of the original implementations."""
    return _folder_from("WHEATSTONE_GOLDENS", "reference outputs")


@pytest.fixture(scope="session")
def committed_goldens() -> Path:
    """The small outputs of MIT-licensed originals that lie beside the tests (`tests/goldens/README.md`)."""
    return Path(__file__).parent / "goldens"


@pytest.fixture(scope="session")
def data() -> Path:
    """Real stereo pairs, RGB-D frames and photos."""
    return _folder_from("WHEATSTONE_DATA", "real stereo pairs, RGB-D frames and photos")
