import cv2
import numpy as np
import pytest
import torch

from wheatstone.datasets import load_dataset
from wheatstone.errors import InputError, ShapeError
from wheatstone.evaluation import disparity_metrics
from wheatstone.geometry import background_fill
from wheatstone.matching import load_matcher
from wheatstone.matching.sgbm import Sgbm, auto_max_disparity, sgbm_disparity


def textured(height, width, seed=0):
    noise = np.random.default_rng(seed).random((height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return torch.from_numpy((smooth - smooth.min()) / np.ptp(smooth)).permute(2, 0, 1)[None].float()


def shifted_pair(disparity, height=60, width=120, margin=40):
    """left(x) = right(x - disparity) on a wider texture, so that both views hold true content to their borders."""
    wide = textured(height, width + 2 * margin)
    left = wide[..., margin : margin + width]
    right = wide[..., margin + disparity : margin + disparity + width]
    return left.contiguous(), right.contiguous()


@pytest.mark.parametrize(("disparity", "low", "high"), [(7, 0, 16), (-6, -16, 16), (21, 10, 30), (-9, -12, -3)])
def test_finds_a_known_shift_in_any_range(disparity, low, high):
    left, right = shifted_pair(disparity)
    matched = load_matcher("sgbm", min_disparity=low, max_disparity=high)(left, right).disparity
    assert matched.shape == (1, 1, 60, 120)
    assert (matched - disparity).abs().median() < 0.1
    assert ((matched - disparity).abs() < 0.5).float().mean() > 0.97


def test_answers_say_where_they_hold():
    left, right = shifted_pair(7)
    matcher = Sgbm(max_disparity=16)
    disparity, valid = sgbm_disparity(left, right, matcher)
    assert valid.dtype == torch.bool
    assert not valid[..., :6].any()  # these columns are seen by the left camera only
    assert valid[..., 12:].float().mean() > 0.9
    assert (disparity[~valid] == 0).all()
    assert torch.equal(disparity * 16, (disparity * 16).round())
    filled = matcher(left, right).disparity
    assert torch.equal(filled[valid], disparity[valid])
    assert ((filled[..., :6] - 7).abs() < 0.5).all()
    unfilled = Sgbm(max_disparity=16, fill=False)(left, right).disparity
    assert torch.equal(unfilled.isnan(), ~valid)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (37, 5), (24, 24), (41, 67)])
@pytest.mark.parametrize("mode", ["3way", "sgbm", "hh", "hh4"])
def test_any_size_and_mode(size, mode):
    left = textured(*size) if min(size) > 1 else torch.rand(1, 3, *size)
    match = Sgbm(max_disparity="auto", mode=mode)(left, left, all_iterations=True)
    assert match.disparity.shape == (1, 1, *size)
    assert match.disparity.isfinite().all()
    assert len(match.iterations) == 1


def test_auto_range_grows_with_the_width():
    assert [auto_max_disparity(width) for width in (1, 256, 257, 640, 1920)] == [64, 64, 64, 160, 480]


def test_same_answer_for_a_batch_arrays_and_a_folder(tmp_path):
    left, right = shifted_pair(7)
    matcher = Sgbm(max_disparity=16)
    alone = matcher(left, right).disparity
    together = matcher(left.repeat(2, 1, 1, 1), right.repeat(2, 1, 1, 1)).disparity
    assert torch.equal(together[1:], alone)
    matcher.save_pretrained(tmp_path)
    again = load_matcher(str(tmp_path))
    assert again.config == matcher.config
    assert torch.equal(again(left, right).disparity, alone)
    assert load_matcher(str(tmp_path), max_disparity=32).config["max_disparity"] == 32


def test_errors():
    left, right = shifted_pair(3)
    for settings in (
        {"mode": "five-way"},
        {"block_size": 4},
        {"p1": 100, "p2": 50},
        {"max_disparity": 0},
        {"max_disparity": "all"},
        {"window": 5},
    ):
        with pytest.raises(InputError):
            load_matcher("sgbm", **settings)
    with pytest.raises(ShapeError, match="one size"):
        Sgbm()(left, right[..., :-1])
    with pytest.raises(InputError, match="initial"):
        Sgbm()(left, right, initial=torch.zeros(1, 1, 60, 120))
    with pytest.raises(InputError, match="iteration"):
        Sgbm()(left, right, iterations=0)
    with pytest.raises(InputError, match="before it begins"):
        Sgbm(min_disparity=100)(left, right)


def test_background_fill_takes_the_smaller_neighbour():
    nan = torch.nan
    rows = torch.tensor([[[[nan, 5.0, nan, nan, 2.0, nan], [nan] * 6, [nan] * 6, [nan, nan, nan, nan, nan, 9.0]]]])
    filled = background_fill(rows.nan_to_num(-100.0), ~rows.isnan())
    assert filled[0, 0].tolist() == [[5.0, 5.0, 2.0, 2.0, 2.0, 2.0]] * 2 + [[9.0] * 6] * 2
    assert torch.equal(background_fill(rows.nan_to_num(3.0), torch.zeros_like(rows).bool()), torch.zeros(1, 1, 4, 6))


def test_is_a_strong_baseline_on_real_pairs(data):
    pairs = load_dataset(f"stereo-mini={data}")
    figures = []
    for index in range(9):
        sample = pairs[index]
        truth, valid = sample.disparity[None], sample.valid[None]
        matcher = Sgbm(max_disparity=int(truth[valid].max()) + 1)
        match = matcher(sample.views["left"], sample.views["right"])
        scores = disparity_metrics(match.disparity, truth, valid)
        figures.append((float(scores["epe"]), float(scores["bad_2"])))
    epe, bad_2 = np.mean(figures, axis=0)
    assert epe < 1.1  # 1.15 px and 6.8 % with left-neighbour filling and answers beyond the border kept
    assert bad_2 < 0.066
