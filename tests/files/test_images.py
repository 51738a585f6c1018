"""Photos as they come: every container, depth, mode and defect is a real file made here."""

import io
import math
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from wheatstone.errors import FileFormatError, InputError
from wheatstone.files import decode_photo, read_image, read_photo, write_image


def _picture(height=24, width=32, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


PICTURE = _picture()


def _save(path, picture=None, **options):
    (Image.fromarray(PICTURE) if picture is None else picture).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.tiff"])
def test_lossless_containers(tmp_path, name):
    photo = read_photo(_save(tmp_path / name))
    np.testing.assert_array_equal(photo.image, PICTURE)
    assert (photo.mode, photo.focal_px) == ("RGB", None)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_containers(tmp_path, name):
    photo = read_photo(_save(tmp_path / name, quality=95))
    assert np.abs(photo.image.astype(int) - PICTURE).mean() < 4


def test_sha256_is_that_of_the_file(tmp_path):
    from hashlib import sha256

    path = _save(tmp_path / "a.png")
    assert read_photo(path).sha256 == sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """A stored picture with orientation o shows upright: the same transforms as the EXIF standard's table."""
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = _save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(path).image, undo[orientation](PICTURE))


def test_exif_orientation_and_focal_length_of_a_jpeg(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 28
    photo = read_photo(_save(tmp_path / "a.jpg", exif=exif))
    assert photo.image.shape == (32, 24, 3)
    assert photo.focal_px == pytest.approx(28 * math.hypot(24, 32) / math.hypot(24, 36))


def test_sixteen_bit_colour_png_is_rounded_not_cut(tmp_path):
    codes = np.array([[[0, 127, 128], [129, 257, 384], [386, 65407, 65535]]] * 2, np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), codes[..., ::-1])
    photo = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(photo.image, np.rint(codes / 257))
    assert photo.mode == "RGB;16"


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bit_grey(tmp_path, name):
    codes = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
    cv2.imwrite(str(tmp_path / name), codes)
    np.testing.assert_array_equal(read_photo(tmp_path / name).image, np.rint(codes / 257)[..., None].repeat(3, 2))


def test_sixteen_bit_colour_tiff(tmp_path):
    codes = PICTURE.astype(np.uint16) * 257 + 100
    cv2.imwrite(str(tmp_path / "a.tif"), codes[..., ::-1])
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").image, np.rint(codes / 257))


def test_sixteen_bit_alpha_shows_white(tmp_path):
    codes = np.full((4, 5, 4), 65535, np.uint16)
    codes[..., :3] = 0
    codes[:2, :, 3] = 0
    cv2.imwrite(str(tmp_path / "a.png"), codes)
    image = read_photo(tmp_path / "a.png").image
    assert (image[:2] == 255).all()
    assert (image[2:] == 0).all()
    assert (read_photo(tmp_path / "a.png", opaque=True).image == 0).all()


def test_float_tiff(tmp_path):
    values = (PICTURE / 255).astype(np.float32)
    cv2.imwrite(str(tmp_path / "a.tif"), values[..., ::-1])
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").image, PICTURE)
    cv2.imwrite(str(tmp_path / "b.tif"), values[..., 0] * 300)
    with pytest.raises(FileFormatError, match=r"outside 0\.\.1"):
        read_photo(tmp_path / "b.tif")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_grey_is_repeated(tmp_path, name):
    image = read_photo(_save(tmp_path / name, Image.fromarray(PICTURE).convert("L"))).image
    assert image.shape == PICTURE.shape
    assert np.ptp(image, axis=2).max() <= 1


def test_black_and_white(tmp_path):
    image = read_photo(_save(tmp_path / "a.png", Image.fromarray(PICTURE).convert("1"))).image
    assert set(np.unique(image)) == {0, 255}


def test_palette(tmp_path):
    paletted = Image.fromarray(PICTURE).quantize(16)
    np.testing.assert_array_equal(
        read_photo(_save(tmp_path / "a.png", paletted)).image, np.asarray(paletted.convert("RGB"))
    )


def test_palette_with_transparency_shows_white(tmp_path):
    paletted = Image.fromarray(PICTURE).quantize(16)
    image = read_photo(_save(tmp_path / "a.png", paletted, transparency=3)).image
    clear = np.asarray(paletted) == 3
    assert clear.any()
    assert (image[clear] == 255).all()
    np.testing.assert_array_equal(image[~clear], np.asarray(paletted.convert("RGB"))[~clear])


def test_alpha_is_composited_on_white(tmp_path):
    rgba = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    rgba[:5, :, 3] = 0
    rgba[5:9, :, 3] = 128
    image = read_photo(_save(tmp_path / "a.png", Image.fromarray(rgba, "RGBA"))).image
    assert (image[:5] == 255).all()
    half = PICTURE[5:9] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(image[5:9] - half).max() <= 1
    np.testing.assert_array_equal(image[9:], PICTURE[9:])
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png", opaque=True).image, PICTURE)


def test_cmyk_jpeg(tmp_path):
    image = read_photo(_save(tmp_path / "a.jpg", Image.fromarray(PICTURE).convert("CMYK"), quality=95)).image
    assert np.abs(image.astype(int) - PICTURE).mean() < 6


def test_animated_webp_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(_picture(seed=seed)) for seed in (0, 1)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.webp").image, PICTURE)


def test_stereo_camera_mpo_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(_picture(seed=seed)) for seed in (0, 1)]
    frames[0].save(tmp_path / "a.mpo", save_all=True, append_images=frames[1:], quality=95)
    assert np.abs(read_photo(tmp_path / "a.mpo").image.astype(int) - PICTURE).mean() < 4


def _bomb():
    """A 60-byte PNG that claims 40000 x 40000 pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _truncated(name, **options):
    buffer = io.BytesIO()
    Image.fromarray(_picture(200, 300)).save(buffer, name, **options)
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def _truncated_deep_png():
    data = cv2.imencode(".png", _picture(200, 300).astype(np.uint16) * 257)[1].tobytes()
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am no photo", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC or AVIF: convert"),
        (b"\xff\xd8\xff\xe0", "image"),
        (_truncated("JPEG"), "broken or truncated"),
        (_truncated("PNG"), "broken or truncated"),
        (_truncated_deep_png(), "truncated"),
        (_truncated("TIFF"), "broken or truncated"),
        (_truncated("WEBP"), "image"),
        (_truncated("BMP"), "broken or truncated"),
        (b"II*\0" + bytes(50), "broken"),
        (_bomb(), "decompression bomb"),
    ],
)
def test_defects(data, reason):
    with pytest.raises(FileFormatError, match=reason):
        decode_photo(data, "the name")


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_a_single_pixel_row_or_column_is_no_photo(tmp_path, size):
    with pytest.raises(FileFormatError, match="no picture"):
        read_photo(_save(tmp_path / "a.png", Image.new("RGB", size)))


def test_missing_and_folder(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_photo(tmp_path / "a.jpg")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_photo(tmp_path)


def test_read_image_is_the_house_convention(tmp_path):
    image = read_image(_save(tmp_path / "a.png"))
    assert (image.shape, image.dtype) == ((1, 3, 24, 32), torch.float32)
    np.testing.assert_array_equal((image[0] * 255).round().byte().permute(1, 2, 0).numpy(), PICTURE)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.jpg", "a.webp"])
def test_write_image(tmp_path, name):
    write_image(tmp_path / name, PICTURE)
    tolerance = 0 if name[2:] in ("png", "bmp", "tif") else 4
    assert np.abs(read_photo(tmp_path / name).image.astype(int) - PICTURE).mean() <= tolerance


def test_write_image_errors(tmp_path):
    with pytest.raises(InputError, match="no image format"):
        write_image(tmp_path / "a.xyz", PICTURE)
    with pytest.raises(InputError, match="batch of 2"):
        write_image(tmp_path / "a.png", torch.zeros(2, 3, 4, 4))


def test_real_photos_are_read(data):
    paths = sorted(p for p in (data / "photos").rglob("*") if p.suffix in (".jpg", ".png"))[::6]
    assert paths
    for path in paths:
        image = read_photo(path).image
        assert image.dtype == np.uint8
        assert min(image.shape[:2]) > 300
