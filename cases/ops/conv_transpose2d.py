"""The transpose of a convolution over two axes."""

from torch import nn

from case import Case, randn

CASES = [
    Case("double", nn.ConvTranspose2d(3, 4, 2, stride=2), randn(1, 3, 4, 5)),
    Case("plain", nn.ConvTranspose2d(3, 4, 3), randn(1, 3, 4, 5)),
    Case("padding", nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1), randn(1, 3, 4, 5)),
    Case("output-padding", nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), randn(1, 3, 4, 5)),
    Case("no-bias", nn.ConvTranspose2d(3, 4, 3, stride=2, bias=False), randn(2, 3, 4, 5)),
    Case("stride-uneven", nn.ConvTranspose2d(2, 3, 3, stride=(1, 2), padding=(1, 0)), randn(1, 2, 4, 5)),
    Case("dilation", nn.ConvTranspose2d(2, 3, 3, dilation=2), randn(1, 2, 4, 5)),
    Case("groups", nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), randn(1, 4, 4, 5)),
    Case("depthwise", nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4), randn(1, 4, 4, 5)),
    Case("no-batch", nn.ConvTranspose2d(3, 4, 2, stride=2), randn(3, 4, 5)),
    Case("stride-over-kernel", nn.ConvTranspose2d(3, 4, 2, stride=3, output_padding=2), randn(1, 3, 4, 5)),
    Case("same", nn.ConvTranspose2d(3, 4, 3, padding=1), randn(1, 3, 4, 5)),
]
