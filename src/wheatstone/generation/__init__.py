"""The main job: photos to a stereo data set."""

from wheatstone.generation.discovery import PhotoFile, Photos, find_photos
from wheatstone.generation.generator import CleanUp, StereoGenerator
from wheatstone.generation.pipeline import Summary, Thresholds, default_workers, generate

__all__ = [
    "CleanUp",
    "PhotoFile",
    "Photos",
    "StereoGenerator",
    "Summary",
    "Thresholds",
    "default_workers",
    "find_photos",
    "generate",
]
