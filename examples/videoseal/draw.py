"""Draws what goes into an embedder and comes out, as `videoseal.png`: `python draw.py RECORDED.safetensors`."""

import pathlib
import sys

import torch
from PIL import Image
from torch.nn import functional

from edgewright import tensors

STRONGER = 40
SIDE = 176

folder = pathlib.Path(__file__).resolve().parent
recorded = tensors.load(sys.argv[1])
before, after = recorded["input.0"][0], recorded["output.0"][0]
change = (0.5 + STRONGER * (after - before)).clamp(0, 1)

pictures = functional.interpolate(torch.stack([before, after, change]), (SIDE, SIDE), mode="area")
gap = torch.ones(3, SIDE, 8)
strip = torch.cat([pictures[0], gap, pictures[1], gap, pictures[2]], dim=2)
image = Image.fromarray((255 * strip).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy())
# 160 colours keep the file small.
image.quantize(160, dither=Image.Dither.NONE).save(folder / "videoseal.png", optimize=True)
