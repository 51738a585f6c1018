"""Left-right consistency on disparity made by hand, and the right view's disparity by mirroring."""

import pytest
import torch

from wheatstone.errors import InputError
from wheatstone.matching.consistency import left_right_consistency, right_disparity


def steps(width=12):
    """A wall at 1 px with a box at 3 px in the columns 5 to 7 of the left view, and what the right view sees of it."""
    left = torch.ones(1, 1, 1, width)
    left[..., 5:8] = 3
    right = torch.ones(1, 1, 1, width)
    right[..., 2:5] = 3
    return left, right


def test_hidden_pixels_and_pixels_out_of_frame_fail():
    left, right = steps()
    seen = left_right_consistency(left, right)[0, 0, 0].tolist()
    # column 0 leaves the frame; 3 and 4 of the wall land at 2 and 3, behind the box
    assert seen == [False, True, True, False, False, *[True] * 7]


def test_the_threshold_is_inclusive_and_the_sign_is_free():
    left = torch.full((1, 1, 1, 6), -2.0)
    right = torch.full((1, 1, 1, 6), -2.5)
    assert left_right_consistency(left, right, 0.5)[0, 0, 0].tolist() == [True] * 4 + [False] * 2
    assert not left_right_consistency(left, right, 0.49).any()


def test_unanswered_pixels_are_never_consistent():
    left, right = steps()
    left[..., 9], right[..., 9] = torch.nan, torch.inf
    seen = left_right_consistency(left, right)[0, 0, 0].tolist()
    assert seen[8:] == [True, False, False, True]  # 9 has no answer, 10 lands on 9


def test_a_negative_threshold_is_refused():
    with pytest.raises(InputError, match="threshold"):
        left_right_consistency(*steps(), -1)


def test_the_right_map_is_the_left_map_of_the_mirrored_pair():
    left, right = torch.rand(1, 3, 4, 9), torch.rand(1, 3, 4, 9)
    calls = []

    def match(first, second):
        calls.append((first, second))
        return first[:, :1]

    found = right_disparity(match, left, right)
    assert torch.equal(calls[0][0], right.flip(-1))
    assert torch.equal(calls[0][1], left.flip(-1))
    assert torch.equal(found, right[:, :1])
