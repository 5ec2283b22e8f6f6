"""Layers that several of the networks share: two norms over channels, and enlargement."""

import torch
from torch import nn
from torch.nn import functional


class ChannelNorm(nn.Module):
    """Layer normalization over the channels of each place of an image [N, C, H, W]."""

    def __init__(self, channels, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class ChannelRMSNorm(nn.Module):
    """The channels of each place of an image [N, C, H, W], scaled to a root mean square of gamma."""

    def __init__(self, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x):
        return functional.normalize(x, dim=1) * x.shape[1] ** 0.5 * self.gamma


class Upsample(nn.Module):
    """`factor` times the size: bilinear, reflection pad, convolution, norm over channels, activation."""

    def __init__(self, inputs, outputs, factor, activation):
        super().__init__()
        self.upsample_block = nn.Sequential(
            nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False),
            nn.ReflectionPad2d(1),
            nn.Conv2d(inputs, outputs, 3, bias=False),
            ChannelNorm(outputs),
            activation(),
        )

    def forward(self, x):
        return self.upsample_block(x)
