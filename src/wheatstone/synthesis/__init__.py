"""Left view (+ disparity) to a second view: warp what is known, fill what is not."""

from wheatstone.synthesis.base import ViewSynthesizer
from wheatstone.synthesis.registry import load_synthesizer

__all__ = ["ViewSynthesizer", "load_synthesizer"]
