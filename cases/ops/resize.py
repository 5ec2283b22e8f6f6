"""Images resized: nearest and linear, by size and by factor."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, randn


def resized(**options):
    return lambda x: F.interpolate(x, **options)


LINEAR = {"mode": "bilinear"}
CORNERS = {"mode": "bilinear", "align_corners": True}

CASES = [
    Case("nearest-double", nn.Upsample(scale_factor=2), randn(1, 2, 3, 4)),
    Case("nearest-half", resized(scale_factor=0.5), randn(1, 2, 6, 8)),
    Case("nearest-9x11-to-15x18", resized(size=(15, 18)), randn(1, 2, 9, 11)),
    Case("nearest-9x11-to-3x4", resized(size=(3, 4)), randn(1, 2, 9, 11)),
    # In float32 floor(i * (26 / 64)) differs from the integers' quotient at some places.
    Case("nearest-26-to-64", resized(size=(64, 3)), randn(1, 1, 26, 3)),
    Case("nearest-factor-1.3", resized(scale_factor=1.3), randn(1, 2, 7, 9)),
    Case("nearest-factor-recomputed", resized(scale_factor=1.3, recompute_scale_factor=True), randn(1, 2, 7, 9)),
    Case("nearest-exact", resized(size=(15, 18), mode="nearest-exact"), randn(1, 2, 9, 11)),
    Case("nearest-1d", resized(scale_factor=2), randn(1, 2, 5)),
    Case("nearest-3d", resized(scale_factor=2), randn(1, 1, 2, 2, 3)),
    Case("bilinear-double", nn.Upsample(scale_factor=2, mode="bilinear"), randn(1, 2, 3, 4)),
    Case("bilinear-double-batch", nn.Upsample(scale_factor=2, mode="bilinear"), randn(2, 3, 4, 3)),
    Case("bilinear-half", resized(scale_factor=0.5, **LINEAR), randn(1, 2, 6, 8)),
    Case("bilinear-9x11-to-15x18", resized(size=(15, 18), **LINEAR), randn(1, 2, 9, 11)),
    Case("bilinear-26-to-64", resized(size=(64, 3), **LINEAR), randn(1, 1, 26, 3)),
    Case("bilinear-to-smaller", resized(size=(3, 4), **LINEAR), randn(1, 2, 9, 11)),
    Case("bilinear-factor-1.3", resized(scale_factor=1.3, **LINEAR), randn(1, 2, 7, 9)),
    Case(
        "bilinear-factor-recomputed",
        resized(scale_factor=1.3, recompute_scale_factor=True, **LINEAR),
        randn(1, 2, 7, 9),
    ),
    Case("bilinear-two-factors", resized(scale_factor=(2, 3), **LINEAR), randn(1, 2, 3, 4)),
    Case("bilinear-from-one", resized(size=(3, 4), **LINEAR), randn(1, 2, 1, 1)),
    Case("bilinear-same-size", nn.Upsample(scale_factor=1, mode="bilinear"), randn(1, 2, 3, 4)),
    Case("bilinear-corners", resized(scale_factor=2, **CORNERS), randn(1, 2, 3, 4)),
    Case("bilinear-corners-size", resized(size=(7, 5), **CORNERS), randn(1, 2, 3, 4)),
    Case("bilinear-corners-to-one", resized(size=(1, 5), **CORNERS), randn(1, 2, 3, 4)),
    Case("bilinear-infinity", resized(scale_factor=2, **LINEAR), (1 / torch.eye(3)).reshape(1, 1, 3, 3)),
    Case("bilinear-antialias", resized(size=(3, 4), antialias=True, **LINEAR), randn(1, 2, 9, 11)),
    Case("bicubic-double", resized(scale_factor=2, mode="bicubic"), randn(1, 1, 4, 5)),
    Case("linear-1d", resized(scale_factor=2, mode="linear"), randn(1, 2, 5)),
    Case("pixel-shuffle", nn.PixelShuffle(2), randn(1, 8, 3, 4)),
    Case("pixel-unshuffle", nn.PixelUnshuffle(2), randn(1, 2, 6, 4)),
    Case("bilinear-antialias-larger", resized(size=(7, 9), antialias=True, **LINEAR), randn(1, 2, 5, 4)),
    Case("bicubic-antialias", resized(size=(4, 5), mode="bicubic", antialias=True), randn(1, 1, 9, 11)),
    Case("bicubic-corners", resized(size=(7, 5), mode="bicubic", align_corners=True), randn(1, 1, 4, 3)),
    Case("nearest-exact-factor", resized(scale_factor=1.7, mode="nearest-exact"), randn(1, 2, 7, 9)),
    # One over the factor is not the quotient of the sizes, and PyTorch takes a short cut.
    Case("nearest-factor-near-two", resized(scale_factor=2.1), randn(1, 2, 5, 9)),
    Case("nearest-factor-near-one", resized(scale_factor=1.1), randn(1, 2, 5, 9)),
    Case("trilinear", resized(size=(3, 5, 4), mode="trilinear"), randn(1, 2, 2, 3, 4)),
    Case("pixel-shuffle-after-convolution", nn.Sequential(nn.Conv2d(2, 18, 3), nn.PixelShuffle(3)), randn(1, 2, 5, 4)),
    Case("pixel-shuffle-no-batch", nn.PixelShuffle(2), randn(8, 3, 4)),
    Case("bilinear-antialias-factor", resized(scale_factor=1.3, antialias=True, **LINEAR), randn(1, 2, 5, 7)),
    # Two columns become two: PyTorch leaves them alone.
    Case("bilinear-antialias-factor-keeps", resized(scale_factor=1.3, antialias=True, **LINEAR), randn(1, 2, 5, 2)),
    Case("bicubic-antialias-factor-keeps", resized(scale_factor=1.3, mode="bicubic", antialias=True), randn(1, 2, 2, 5)),
    Case("bilinear-antialias-to-column", resized(size=(7, 1), antialias=True, **LINEAR), randn(1, 2, 5, 3)),
]
