"""Bytes to arrays and back: images, disparity files, atomic writing. Knows no data sets."""

from wheatstone.files.arrays import read_map
from wheatstone.files.atomic import atomic_path, write_bytes
from wheatstone.files.calibration import Calibration, parse_calibration, read_calibration
from wheatstone.files.disparity import read_disparity, write_disparity
from wheatstone.files.exr import read_exr
from wheatstone.files.hdf5 import read_hdf5
from wheatstone.files.images import MAX_PIXELS, Photo, decode_photo, read_image, read_photo, write_image
from wheatstone.files.inverse_depth import read_inverse_depth, write_inverse_depth
from wheatstone.files.pfm import read_pfm, write_pfm
from wheatstone.files.png import decode_png, encode_png, png_text
from wheatstone.files.reading import read_bytes

__all__ = [
    "MAX_PIXELS",
    "Calibration",
    "Photo",
    "atomic_path",
    "decode_photo",
    "decode_png",
    "encode_png",
    "parse_calibration",
    "png_text",
    "read_bytes",
    "read_calibration",
    "read_disparity",
    "read_exr",
    "read_hdf5",
    "read_image",
    "read_inverse_depth",
    "read_map",
    "read_pfm",
    "read_photo",
    "write_bytes",
    "write_disparity",
    "write_image",
    "write_inverse_depth",
    "write_pfm",
]
