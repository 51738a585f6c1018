"""Textbook inpainting behind the same interface."""

import pytest
import torch

from wheatstone import load_synthesizer
from wheatstone.errors import InputError
from wheatstone.geometry import forward_warp


@pytest.mark.parametrize("method", ["telea", "navier-stokes"])
def test_holes_are_painted_and_nothing_else_is_touched(method):
    ramp = torch.linspace(0.2, 0.8, 48).expand(2, 3, 32, 48).contiguous()
    disparity = torch.full((2, 1, 32, 48), 2.0)
    disparity[:, :, 8:24, 20:34] = 7.0
    view = load_synthesizer("classical", method=method)(ramp, disparity)
    warp = forward_warp(ramp, disparity)
    painted = warp.hole.expand_as(warp.image)
    assert painted.any()
    assert torch.equal(view.image[~painted], warp.image[~painted])
    assert view.image[painted].min() > 0.15
    assert torch.equal(view.image[0], view.image[1])


def test_an_image_without_known_pixels_is_grey():
    nowhere = torch.zeros(1, 1, 8, 9, dtype=torch.bool)
    view = load_synthesizer("classical")(torch.rand(1, 3, 8, 9), torch.zeros(1, 1, 8, 9), nowhere)
    torch.testing.assert_close(view.image, torch.full((1, 3, 8, 9), 128 / 255))


def test_config_round_trip_and_errors(tmp_path):
    synthesizer = load_synthesizer("classical", method="navier-stokes", radius=5.0)
    synthesizer.save_pretrained(tmp_path)
    assert type(synthesizer).from_pretrained(tmp_path).config == synthesizer.config
    with pytest.raises(InputError, match="telea or navier-stokes"):
        load_synthesizer("classical", method="criminisi")
    with pytest.raises(InputError, match="radius"):
        load_synthesizer("classical", radius=0.0)
    with pytest.raises(InputError, match="no weights"):
        load_synthesizer("classical", weights=tmp_path)
