"""GenStereo (ICCV 2025): the second view by two U-Nets, one that looks at the left view and one that denoises the right."""

from wheatstone.synthesis.genstereo.conditions import Conditions, coordinate_embedding, make_conditions
from wheatstone.synthesis.genstereo.fusion import AdaptiveFusion
from wheatstone.synthesis.genstereo.networks import GenStereoNetworks, small_networks
from wheatstone.synthesis.genstereo.pose_guider import PoseGuider
from wheatstone.synthesis.genstereo.synthesizer import GenStereo, load
from wheatstone.synthesis.genstereo.weights import load_networks, save_networks, start_networks

__all__ = [
    "AdaptiveFusion",
    "Conditions",
    "GenStereo",
    "GenStereoNetworks",
    "PoseGuider",
    "coordinate_embedding",
    "load",
    "load_networks",
    "make_conditions",
    "save_networks",
    "small_networks",
    "start_networks",
]
