"""The convolutional trunk that ContentNet and DistortionNet share: an EfficientNet whose convolutions pad as "same"."""

import torch
from torch import nn
from torch.nn import functional

# expand, kernel, stride and output channels of each block, in order.
BLOCKS = [
    (1, 3, 1, 16),
    (6, 3, 2, 24),
    (6, 3, 1, 24),
    (6, 5, 2, 40),
    (6, 5, 1, 40),
    (6, 3, 2, 80),
    (6, 3, 1, 80),
    (6, 3, 1, 80),
    (6, 5, 1, 112),
    (6, 5, 1, 112),
    (6, 5, 1, 112),
    (6, 5, 2, 192),
    (6, 5, 1, 192),
    (6, 5, 1, 192),
    (6, 5, 1, 192),
    (6, 3, 1, 320),
]


def trunk():
    """[N, 3, H, W] in −1…1 → [N, 128, ⌈H/32⌉, ⌈W/32⌉]."""
    layers = [convolution(3, 32, kernel=3, stride=2)]
    inputs = 32
    for expand, kernel, stride, outputs in BLOCKS:
        layers.append(Block(inputs, expand, kernel, stride, outputs))
        inputs = outputs
    layers.append(SameConv2d(inputs, 128, kernel=2))
    return nn.Sequential(*layers)


class SameConv2d(nn.Module):
    """A convolution whose output has ⌈n/stride⌉ places along an axis of n; an odd zero of padding stands at the end.

    The padding is an operation of its own, also where it adds nothing.
    """

    def __init__(self, inputs, outputs, kernel, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        top, bottom = self.padding(x.shape[2])
        left, right = self.padding(x.shape[3])
        return self.conv(functional.pad(x, (left, right, top, bottom)))

    def padding(self, size):
        """The zeros before and after an axis of `size` places."""
        total = max((size - 1) // self.stride * self.stride + self.kernel - size, 0)
        return total // 2, total - total // 2


def convolution(inputs, outputs, kernel, stride=1, groups=1, activation=True):
    """Convolution, batch norm and, unless told otherwise, SiLU."""
    layers = [SameConv2d(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs, eps=1e-3)]
    if activation:
        layers.append(nn.SiLU(inplace=True))
    return nn.Sequential(*layers)


class Block(nn.Module):
    """Channels expanded, filtered one by one, weighed against each other and projected; added to the input if alike."""

    def __init__(self, inputs, expand, kernel, stride, outputs):
        super().__init__()
        width = inputs * expand
        layers = [convolution(inputs, width, kernel=1)] if expand > 1 else []
        layers += [
            convolution(width, width, kernel, stride, groups=width),
            SqueezeExcite(width, max(1, inputs // 4)),
            convolution(width, outputs, kernel=1, activation=False),
        ]
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.block(x)
        if self.residual:
            y += x
        return y


class SqueezeExcite(nn.Module):
    """Every channel times a weight in 0…1 that is computed from the means of all channels."""

    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.SiLU(inplace=True)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        weight = x.mean((2, 3), keepdim=True)
        weight = self.fc2(self.activation(self.fc1(weight)))
        return x * torch.sigmoid(weight)
