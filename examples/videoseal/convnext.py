"""ConvNeXt-V2, the image encoder of the 1.0, PixelSeal and ChunkySeal detectors."""

import torch
from torch import nn

from .layers import ChannelNorm


class ConvNeXt(nn.Module):
    """imgs [N, 3, H, W] in −1…1 → latents [N, dims[3], h, w].

    h is (H − 4) / stem_stride + 1, then halved three times, each rounded down.
    """

    def __init__(self, depths, dims, stem_stride=4):
        super().__init__()
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, dims[0], 4, stride=stem_stride), ChannelNorm(dims[0]))]
        )
        for narrow, wide in zip(dims, dims[1:]):
            self.downsample_layers.append(nn.Sequential(ChannelNorm(narrow), nn.Conv2d(narrow, wide, 2, stride=2)))
        self.stages = nn.ModuleList(
            [nn.Sequential(*[Block(channels) for _ in range(depth)]) for depth, channels in zip(depths, dims)]
        )

    def forward(self, x):
        for downsample, stage in zip(self.downsample_layers, self.stages):
            x = stage(downsample(x))
        return x


class Block(nn.Module):
    """Depthwise convolution, then two linear layers over channels, and the sum with what came in."""

    def __init__(self, channels):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.grn = GlobalResponseNorm(4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1).contiguous()
        y = self.grn(self.act(self.pwconv1(self.norm(y))))
        return x + self.pwconv2(y).permute(0, 3, 1, 2).contiguous()


class GlobalResponseNorm(nn.Module):
    """Each channel of [N, H, W, C] weighed by its share of the image's energy."""

    def __init__(self, channels, eps=1e-6):
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, channels))
        self.eps = eps

    def forward(self, x):
        energy = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        share = energy / (energy.mean(dim=-1, keepdim=True) + self.eps)
        return self.gamma * (x * share) + self.beta + x
