"""The row prior."""

import pytest
import torch

from wheatstone import load_depth
from wheatstone.errors import InputError


def test_inverse_depth_grows_downwards_and_nothing_else(tmp_path):
    depth = load_depth("row-prior")(torch.rand(2, 3, 8, 5), confidence=True)
    rows = depth.inverse_depth[:, 0, :, 0]
    assert torch.equal(depth.inverse_depth, rows[:, None, :, None].expand(2, 1, 8, 5))
    torch.testing.assert_close(rows[0].diff(), torch.full((7,), 1 / 8))
    assert (depth.confidence == 1).all()
    assert load_depth("row-prior")(torch.rand(1, 3, 8, 5)).confidence is None
    with pytest.raises(InputError, match="no weights"):
        load_depth("row-prior", weights=tmp_path)
