"""A made network whose weights are gigabytes, to see that memory does not grow with the model."""

import torch
from torch import nn


class Big(nn.Module):
    """image: [1, 3, 16, 16]; tokens: [1, 4] of row numbers. Gives [1, rows].

    scale 1 is 2.8 GB: four convolutions of 302 MB with batch norms to fold, four linear layers of 303 MB, and a table
    of 303 MB that is the embedding and, tied, the last layer. Sizes go with the square of `scale`; the graph stays.
    """

    def __init__(self, scale=1.0):
        super().__init__()
        channels, width = round(2896 * scale), round(8704 * scale)
        self.stem = nn.Sequential(nn.Conv2d(3, channels, 4, stride=4, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.convs = nn.ModuleList([ConvBlock(channels) for _ in range(4)])
        self.widen = nn.Linear(channels, width)
        self.linears = nn.ModuleList([LinearBlock(width) for _ in range(4)])
        self.table = nn.Embedding(width, width)
        self.head = nn.Linear(width, width, bias=False)
        self.head.weight = self.table.weight

    def forward(self, image, tokens):
        x = self.stem(image)
        for conv in self.convs:
            x = conv(x)
        x = self.widen(x.mean((2, 3))) + self.table(tokens).mean(1)
        for linear in self.linears:
            x = linear(x)
        return self.head(x)


class ConvBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return x + torch.relu(self.norm(self.conv(x)))


class LinearBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.relu(self.linear(self.norm(x)))
