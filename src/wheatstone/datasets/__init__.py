"""Data sets: our own format (writer, reader, verifier, exporters) and readers of public ones."""

from wheatstone.datasets.base import StereoDataset, Subset
from wheatstone.datasets.registry import READERS, load_dataset

__all__ = ["READERS", "StereoDataset", "Subset", "load_dataset"]
