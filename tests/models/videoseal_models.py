"""The archives of VideoSeal, PixelSeal and ChunkySeal: the variants of the example, with its seeded weights."""

import dataclasses
import pathlib
import sys

import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "examples"))

from videoseal import variants  # noqa: E402
from videoseal.cards import CARDS, proportional  # noqa: E402

CHUNKY = CARDS["chunkyseal"]
# ChunkySeal with its structure, a few hundredths of its size.
CHUNKY_MINI_EMBEDDER = dataclasses.replace(CHUNKY, bits=64, hidden=128, widths=(16, 32, 64, 128), blocks=2)
CHUNKY_MINI_DETECTOR = dataclasses.replace(CHUNKY, bits=32, depths=(1, 1, 3, 1), dims=proportional(32))

VARIANTS = {
    "vs10_embedder": variants.embedder(CARDS["1.0"]),
    "vs10_embedder_core": variants.embedder_core(CARDS["1.0"]),
    "vs10_embedder_nhwc": variants.embedder(CARDS["1.0"], pixels=True),
    "vs10_detector": variants.detector(CARDS["1.0"]),
    "vs10_detector_nhwc": variants.detector(CARDS["1.0"], pixels=True),
    "vs00_embedder": variants.embedder(CARDS["0.0"]),
    "vs00_embedder_nhwc": variants.embedder(CARDS["0.0"], pixels=True),
    "vs00_detector": variants.detector(CARDS["0.0"]),
    "vs00_detector_nhwc": variants.detector(CARDS["0.0"], pixels=True),
    "pixelseal_embedder": variants.embedder(CARDS["pixelseal"]),
    "chunky_embedder": variants.embedder(CHUNKY, examples=2),
    "chunky_embedder_mini": variants.embedder(CHUNKY_MINI_EMBEDDER),
    "chunky_detector": variants.detector(CHUNKY),
    "chunky_detector_mini": variants.detector(CHUNKY_MINI_DETECTOR),
    "jnd_heatmap": variants.heat_map(),
}
ROWS = {name: (variant.build, variant.inputs) for name, variant in VARIANTS.items()}

# The network of the 1.0 embedder for any batch and any size that is a multiple of 8.
CORE = VARIANTS["vs10_embedder_core"]


def core_shapes():
    batch, rows, columns = (torch.export.Dim(name, min=2, max=512) for name in ("batch", "rows", "columns"))
    return {"imgs_y": {0: batch, 2: 8 * rows, 3: 8 * columns}, "msgs": {0: batch}}


def core_example():
    imgs, msgs = CORE.inputs(0)
    return imgs[:, :, :64, :72].repeat(2, 1, 1, 1), msgs.repeat(2, 1)
