"""Convolution over two axes, with its paddings, strides, dilations and groups, and its transpose."""

from torch import nn
from torch.nn import functional as F

from case import Case, randn

CASES = [
    Case("plain", nn.Conv2d(3, 4, 3), randn(1, 3, 6, 7)),
    Case("one-by-one", nn.Conv2d(3, 4, 1), randn(2, 3, 5, 4)),
    Case("same", nn.Conv2d(3, 4, 3, padding=1), randn(1, 3, 6, 7)),
    Case("no-bias", nn.Conv2d(3, 4, 3, padding=1, bias=False), randn(1, 3, 6, 7)),
    Case("padding-string-same", nn.Conv2d(2, 3, (3, 4), padding="same"), randn(1, 2, 6, 7)),
    Case("padding-string-valid", nn.Conv2d(2, 3, 3, padding="valid"), randn(1, 2, 6, 7)),
    Case("padding-uneven", nn.Conv2d(2, 3, 3, padding=(2, 0)), randn(1, 2, 6, 7)),
    Case("padding-wide", nn.Conv2d(2, 3, 3, padding=3), randn(1, 2, 4, 4)),
    # TFLite's SAME would put the odd element of padding at the other end here.
    Case("stride-2-even-size", nn.Conv2d(3, 4, 3, stride=2, padding=1), randn(1, 3, 8, 8)),
    Case("stride-2-odd-size", nn.Conv2d(3, 4, 3, stride=2, padding=1), randn(1, 3, 7, 9)),
    Case("stride-2-no-padding", nn.Conv2d(3, 4, 2, stride=2), randn(1, 3, 7, 8)),
    Case("stride-uneven", nn.Conv2d(2, 3, 3, stride=(1, 2), padding=1), randn(1, 2, 6, 7)),
    Case("stride-over-kernel", nn.Conv2d(2, 3, 2, stride=3), randn(1, 2, 8, 7)),
    Case("dilation", nn.Conv2d(2, 3, 3, dilation=2, padding=2), randn(1, 2, 8, 7)),
    Case("dilation-uneven", nn.Conv2d(2, 3, 3, dilation=(1, 3), padding=(1, 3)), randn(1, 2, 6, 9)),
    Case("dilation-and-stride", nn.Conv2d(2, 3, 3, dilation=2, stride=2, padding=2), randn(1, 2, 9, 8)),
    Case("groups", nn.Conv2d(4, 6, 3, groups=2, padding=1), randn(1, 4, 5, 6)),
    Case("depthwise", nn.Conv2d(4, 4, 3, groups=4, padding=1), randn(1, 4, 5, 6)),
    Case("depthwise-7", nn.Conv2d(4, 4, 7, groups=4, padding=3), randn(1, 4, 8, 9)),
    Case("depthwise-stride-2", nn.Conv2d(4, 4, 3, stride=2, groups=4, padding=1), randn(1, 4, 6, 8)),
    Case("depthwise-multiplier", nn.Conv2d(3, 6, 3, groups=3, padding=1), randn(1, 3, 5, 6)),
    Case("depthwise-dilation", nn.Conv2d(4, 4, 3, groups=4, padding=2, dilation=2), randn(1, 4, 7, 6)),
    Case("one-channel", nn.Conv2d(1, 1, 5, padding=2, bias=False), randn(1, 1, 7, 8)),
    Case("batch", nn.Conv2d(3, 4, 3, padding=1), randn(3, 3, 5, 6)),
    Case("no-batch", nn.Conv2d(3, 4, 3, padding=1), randn(3, 5, 6)),
    Case("kernel-covers-all", nn.Conv2d(3, 4, (5, 6)), randn(2, 3, 5, 6)),
    Case("pad-reflect", nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), randn(1, 2, 6, 7)),
    Case("pad-circular", nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), randn(1, 2, 6, 7)),
    Case("weight-is-an-input", F.conv2d, randn(1, 2, 6, 7), randn(3, 2, 3, 3)),
    Case("then-relu", nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), randn(1, 3, 6, 7)),
    Case("then-batch-norm", nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)), randn(1, 3, 6, 7)),
]
