"""The nouns and the conversion of what users hold into the house convention."""

import numpy as np
import pytest
import torch
from PIL import Image

from wheatstone.errors import ShapeError
from wheatstone.samples import image_batch, to_uint8


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_image_batch_of_array_pil_and_tensor_agree(photo):
    expected = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(image_batch(photo), expected)
    assert torch.equal(image_batch(Image.fromarray(photo)), expected)
    assert torch.equal(image_batch(expected), expected)
    assert torch.equal(image_batch(expected[0]), expected)
    assert torch.equal(image_batch(photo[None]), expected)
    assert image_batch(expected.double()).dtype == torch.float32


def test_image_batch_repeats_grey_and_drops_alpha(photo):
    grey = image_batch(photo[..., 0])
    assert grey.shape == (1, 3, 5, 7)
    assert torch.equal(grey[:, 0], grey[:, 2])
    alpha = Image.fromarray(np.dstack([photo, photo[..., :1]]), "RGBA")
    assert torch.equal(image_batch(alpha), image_batch(photo))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "divide 8-bit values"),
        (torch.zeros(1, 4, 4, 4), r"\[B,3,H,W\]"),
        (np.zeros((4, 4, 3), np.float32), "array of float32"),
        (np.zeros((4, 4, 2), np.uint8), r"\[4, 4, 2\]"),
        ("photo.jpg", "got str"),
        (255 * torch.ones(3, 4, 4), r"values in 0\.\.1, got 255"),
        (torch.full((3, 4, 4), torch.nan), "got NaN"),
        (torch.zeros(3, 0, 4), "no pixels"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (Image.fromarray(np.full((4, 4), 30_000, np.uint16)), "mode 'I;16'"),
    ],
)
def test_image_batch_names_what_is_wrong(image, words):
    with pytest.raises(ShapeError, match=words):
        image_batch(image, "left")


def test_to_uint8_inverts_image_batch_and_clips(photo):
    assert np.array_equal(to_uint8(image_batch(photo)[0]), photo)
    assert to_uint8(torch.tensor([[[-0.5, 0.5, 1.5]]])).tolist() == [[0, 128, 255]]
