"""The main job, photos to a stereo data set; and pairs to disparity."""

from wheatstone.generation.clean_up import CleanUp
from wheatstone.generation.discovery import PhotoFile, Photos, find_photos
from wheatstone.generation.generator import StereoGenerator
from wheatstone.generation.given import DisparityFolder
from wheatstone.generation.image_pairs import DatasetPairs, FilePairs, find_image_pairs
from wheatstone.generation.labels import LabelCheck, check_labels
from wheatstone.generation.matches import MatchSettings, MatchSummary, match_pairs
from wheatstone.generation.pipeline import Summary, Thresholds, default_workers, generate

__all__ = [
    "CleanUp",
    "DatasetPairs",
    "DisparityFolder",
    "FilePairs",
    "LabelCheck",
    "MatchSettings",
    "MatchSummary",
    "PhotoFile",
    "Photos",
    "StereoGenerator",
    "Summary",
    "Thresholds",
    "check_labels",
    "default_workers",
    "find_image_pairs",
    "find_photos",
    "generate",
    "match_pairs",
]
