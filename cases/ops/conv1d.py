"""Convolution over one axis, and over three."""

from torch import nn

from case import Case, randn

CASES = [
    Case("plain", nn.Conv1d(3, 4, 3), randn(2, 3, 9)),
    Case("padding", nn.Conv1d(3, 4, 5, padding=2), randn(1, 3, 9)),
    Case("stride", nn.Conv1d(3, 4, 3, stride=2, padding=1), randn(1, 3, 8)),
    Case("dilation", nn.Conv1d(3, 4, 3, dilation=2, padding=2), randn(1, 3, 9)),
    Case("depthwise", nn.Conv1d(4, 4, 3, groups=4, padding=1, bias=False), randn(1, 4, 9)),
    Case("transpose", nn.ConvTranspose1d(3, 4, 4, stride=2, padding=1), randn(1, 3, 6)),
    Case("three-axes", nn.Conv3d(2, 3, 3, padding=1), randn(1, 2, 3, 4, 5)),
    Case("three-axes-patches", nn.Conv3d(2, 3, (1, 2, 2), stride=(1, 2, 2)), randn(1, 2, 3, 4, 6)),
    Case("three-axes-stride", nn.Conv3d(2, 4, 3, stride=2, padding=1, dilation=(2, 1, 1), groups=2), randn(1, 2, 7, 5, 6)),
    Case("transpose-output-padding", nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1, groups=1), randn(1, 2, 6)),
    Case("same", nn.Conv1d(2, 3, 4, padding="same"), randn(1, 2, 9)),
    Case("no-batch", nn.Conv1d(2, 3, 3), randn(2, 9)),
]
