"""Pooling: maxima and means over windows, and to a given size."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, randn, specials, ties

CASES = [
    Case("max", nn.MaxPool2d(2), randn(1, 3, 6, 8)),
    Case("max-stride", nn.MaxPool2d(3, stride=2), randn(1, 3, 7, 9)),
    Case("max-padding", nn.MaxPool2d(3, stride=2, padding=1), randn(1, 3, 8, 7)),
    Case("max-padding-of-negatives", nn.Sequential(nn.MaxPool2d(3, 2, 1)), randn(1, 2, 6, 6, scale=0.1)),
    Case("max-all-negative", lambda x: F.max_pool2d(-x.abs() - 1, 3, 2, 1), randn(1, 2, 6, 6)),
    Case("max-ceil", nn.MaxPool2d(2, ceil_mode=True), randn(1, 3, 5, 7)),
    Case("max-ceil-padding", nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), randn(1, 3, 6, 8)),
    Case("max-ceil-last-window-in-padding", nn.MaxPool2d(2, stride=3, padding=1, ceil_mode=True), randn(1, 2, 4, 4)),
    Case("max-same", nn.MaxPool2d(3, stride=1, padding=1), randn(1, 3, 5, 6)),
    Case("max-uneven", nn.MaxPool2d((2, 3), stride=(1, 2), padding=(0, 1)), randn(1, 3, 5, 7)),
    Case("max-dilation", nn.MaxPool2d(2, stride=1, dilation=2), randn(1, 3, 6, 7)),
    Case("max-specials", lambda x: F.max_pool2d(x, 2), specials().reshape(1, 1, 4, 4)),
    Case("max-minus-infinity", lambda x: F.max_pool2d(x.log(), 2), torch.eye(4).reshape(1, 1, 4, 4)),
    Case("max-ties", nn.MaxPool2d(2), ties(1, 2, 6, 6)),
    Case("max-no-batch", nn.MaxPool2d(2), randn(3, 6, 8)),
    Case("max-1d", nn.MaxPool1d(3, stride=2, padding=1), randn(1, 3, 9)),
    Case("max-with-indices", nn.MaxPool2d(2, return_indices=True), randn(1, 2, 4, 6)),
    Case("average", nn.AvgPool2d(2), randn(1, 3, 6, 8)),
    Case("average-padding", nn.AvgPool2d(3, stride=2, padding=1), randn(1, 3, 8, 7)),
    Case("average-padding-not-counted", nn.AvgPool2d(3, 2, 1, count_include_pad=False), randn(1, 3, 8, 7)),
    Case("average-same-not-counted", nn.AvgPool2d(3, 1, 1, count_include_pad=False), randn(1, 3, 5, 6)),
    Case("average-ceil", nn.AvgPool2d(2, ceil_mode=True), randn(1, 3, 5, 7)),
    Case("average-ceil-padding", nn.AvgPool2d(3, 2, 1, ceil_mode=True), randn(1, 3, 6, 8)),
    Case("average-ceil-not-counted", nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), randn(1, 3, 6, 8)),
    Case("average-divisor", nn.AvgPool2d(2, divisor_override=3), randn(1, 3, 6, 8)),
    Case("average-uneven", nn.AvgPool2d((2, 3), stride=(1, 2)), randn(1, 3, 5, 7)),
    Case("average-specials", lambda x: F.avg_pool2d(x, 2), specials().reshape(1, 1, 4, 4)),
    Case("average-1d", nn.AvgPool1d(3, stride=2, padding=1), randn(1, 3, 9)),
    Case("adaptive-average-to-one", nn.AdaptiveAvgPool2d(1), randn(2, 3, 5, 7)),
    Case("adaptive-average-divisible", nn.AdaptiveAvgPool2d((2, 3)), randn(1, 3, 4, 9)),
    Case("adaptive-average", nn.AdaptiveAvgPool2d(5), randn(1, 3, 8, 7)),
    Case("adaptive-average-larger", nn.AdaptiveAvgPool2d(5), randn(1, 2, 3, 3)),
    Case("adaptive-average-one-axis-kept", nn.AdaptiveAvgPool2d((None, 1)), randn(1, 3, 4, 5)),
    Case("adaptive-max", nn.AdaptiveMaxPool2d(3), randn(1, 3, 8, 7)),
    Case("max-3d", nn.MaxPool3d(2), randn(1, 2, 4, 4, 6)),
    Case("average-3d", nn.AvgPool3d((1, 2, 2)), randn(1, 2, 3, 4, 6)),
    Case("adaptive-average-3d", nn.AdaptiveAvgPool3d(1), randn(1, 2, 3, 4, 5)),
    Case("adaptive-average-1d", nn.AdaptiveAvgPool1d(1), randn(2, 3, 5)),
]
