"""Saves a PyTorch model for the Edgewright compiler, and converts it to LiteRT."""

from .archive import export
from .conversion import ConversionError, Converted, convert, find_program

__all__ = ["ConversionError", "Converted", "convert", "export", "find_program"]
