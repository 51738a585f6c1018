import io

import cv2
import numpy as np
import pytest
from PIL import Image

from wheatstone.errors import FileFormatError, ShapeError
from wheatstone.files import decode_png, encode_png, png_text
from wheatstone.files.png import png_header


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
def test_round_trip(dtype, shape):
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    data = encode_png(array)
    np.testing.assert_array_equal(decode_png(data), array)
    assert png_header(data)[:3] == (shape[1], shape[0], 8 * np.dtype(dtype).itemsize)
    assert encode_png(array) == data


def test_channels_are_in_rgb_order_for_pillow_too():
    array = np.zeros((2, 2, 3), np.uint8)
    array[..., 0] = 200
    assert Image.open(io.BytesIO(encode_png(array))).getpixel((0, 0)) == (200, 0, 0)


def test_text_is_what_pillow_reads():
    data = encode_png(np.ones((4, 4), np.uint16), {"wheatstone:scale": "256", "Comment": "äb"})
    assert png_text(data) == {"wheatstone:scale": "256", "Comment": "äb"}
    picture = Image.open(io.BytesIO(data))
    assert picture.text == png_text(data)
    np.testing.assert_array_equal(np.asarray(picture), np.ones((4, 4)))


def test_text_that_pillow_wrote():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("wheatstone:scale", "64")
    buffer = io.BytesIO()
    Image.new("L", (3, 3)).save(buffer, "PNG", pnginfo=info)
    assert png_text(buffer.getvalue()) == {"wheatstone:scale": "64"}


def test_truncated_and_flipped_bits_are_noticed():
    data = encode_png(np.random.default_rng(0).integers(0, 255, (40, 40), np.uint8))
    with pytest.raises(FileFormatError, match="truncated"):
        decode_png(data[:-20])
    with pytest.raises(FileFormatError, match="checksum"):
        decode_png(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(FileFormatError, match="not a PNG"):
        decode_png(b"GIF89a" + bytes(100))


@pytest.mark.parametrize("array", [np.zeros((3, 3)), np.zeros((3, 3, 2), np.uint8), np.zeros(3, np.uint8)])
def test_what_no_png_holds(array):
    with pytest.raises(ShapeError):
        encode_png(array)


def test_alpha_is_dropped():
    rgba = np.random.default_rng(0).integers(0, 255, (3, 4, 4), np.uint8)
    data = cv2.imencode(".png", rgba)[1].tobytes()
    np.testing.assert_array_equal(decode_png(data), rgba[..., 2::-1])
