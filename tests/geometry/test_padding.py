"""Padding: published split of the margins, round trip, any number type."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from wheatstone.errors import InputError
from wheatstone.geometry import pad_to_multiple


def test_margins_equal_the_published_ones(committed_goldens):
    with np.load(committed_goldens / "input_padder.npz") as golden:
        rows = golden["rows"].tolist()
    assert len(rows) == 36
    for height, width, multiple, sintel, *margins in rows:
        _, padding = pad_to_multiple(torch.zeros(height, width), multiple, "split" if sintel else "bottom")
        assert [padding.left, padding.right, padding.top, padding.bottom] == margins


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 16), st.sampled_from(["split", "bottom"]))
def test_round_trip_and_replication(height, width, multiple, mode):
    image = torch.arange(2.0 * height * width).reshape(1, 2, height, width)
    padded, padding = pad_to_multiple(image, multiple, mode)
    assert padded.shape[-2] % multiple == 0
    assert padded.shape[-1] % multiple == 0
    assert padded.shape[-2] - height < multiple
    assert torch.equal(padding.crop(padded), image)
    margins = (padding.left, padding.right, padding.top, padding.bottom)
    assert torch.equal(padded, functional.pad(image, margins, mode="replicate"))


def test_masks_can_be_padded():
    padded, padding = pad_to_multiple(torch.eye(3, dtype=torch.bool)[None], 4)
    assert padded.dtype == torch.bool
    assert padded[0, 3].tolist() == [False, False, True, True]
    assert torch.equal(padding.crop(padded), torch.eye(3, dtype=torch.bool)[None])


def test_errors():
    with pytest.raises(InputError, match="multiple of 0"):
        pad_to_multiple(torch.zeros(3, 3), 0)
