"""Making data visible: colour maps, anaglyphs, side-by-side pictures, wiggles and the report page of a data set."""

from wheatstone.viewing.colours import ORIGIN_COLOURS, colour_map, colour_origins
from wheatstone.viewing.report import write_report, write_welcome
from wheatstone.viewing.stereo import anaglyph, converge, side_by_side, wiggle
from wheatstone.viewing.thumbnails import contact_sheet, data_uri, encode_jpeg, encode_webp, thumbnail

__all__ = [
    "ORIGIN_COLOURS",
    "anaglyph",
    "colour_map",
    "colour_origins",
    "contact_sheet",
    "converge",
    "data_uri",
    "encode_jpeg",
    "encode_webp",
    "side_by_side",
    "thumbnail",
    "wiggle",
    "write_report",
    "write_welcome",
]
