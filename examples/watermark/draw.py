"""Draws what goes into the recorded run and what comes out, as `watermark.png`."""

import pathlib

import torch
from PIL import Image

from edgewright import tensors

folder = pathlib.Path(__file__).resolve().parent
recorded = tensors.load(folder / "watermark.safetensors")
before, after = recorded["input.0"][0, 0], recorded["output.0"][0, 0]
change = 0.5 + 2 * (after - before)

gap = torch.ones(before.shape[0], 8)
strip = torch.cat([before, gap, after, gap, change.clamp(0, 1)], dim=1)
strip = strip.repeat_interleave(3, 0).repeat_interleave(3, 1)
Image.fromarray((255 * strip).round().to(torch.uint8).numpy()).save(folder / "watermark.png", optimize=True)
