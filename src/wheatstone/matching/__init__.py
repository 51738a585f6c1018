"""Pair to disparity: RAFT-Stereo, IGEV-Stereo, PSMNet, semi-global matching and a small network that ships."""

from wheatstone.matching.base import MatcherOutput, NetworkMatcher, StereoMatcher
from wheatstone.matching.registry import load_matcher

__all__ = ["MatcherOutput", "NetworkMatcher", "StereoMatcher", "load_matcher"]
