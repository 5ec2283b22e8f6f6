"""Single blocks of networks that are hard to convert."""

import pathlib
import sys

from torch import nn

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "examples"))

from videoseal.convnext import Block  # noqa: E402
from videoseal.layers import ChannelNorm, Upsample  # noqa: E402


class UpsampleBlock(nn.Module):
    """Upsample(×2, bilinear) → ReflectionPad2d(1) → Conv2d → norm over channels → SiLU, on [1, 16, 32, 32]."""

    def __init__(self, inputs=16, outputs=8):
        super().__init__()
        self.up = Upsample(inputs, outputs, 2, nn.SiLU)

    def forward(self, x):
        return self.up(x)


class ConvNeXtBlocks(nn.Module):
    """A stem and two ConvNeXt-V2 blocks, on [1, 3, 32, 32]: exact GELU, permutes and response norms."""

    def __init__(self, channels=24):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 4, stride=4), ChannelNorm(channels))
        self.blocks = nn.Sequential(Block(channels), Block(channels))
        self.head = nn.Linear(channels, 10)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))
