"""What a program holds besides operators: modes, constants, buffers, several inputs and outputs, core ATen forms."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, integers, randn


def without_gradients(x):
    with torch.no_grad():
        y = x * 2
    return y + 1


def without_autocast(x):
    with torch.autocast("cpu", enabled=False):
        y = F.softmax(x.float(), -1)
    return y * x


class Tied(nn.Module):
    """One weight under two names."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, rows):
        return self.head(self.embedding(rows))


class Strided(nn.Module):
    """Weights that are views of a larger storage: a transposed one, and a slice."""

    def __init__(self):
        super().__init__()
        self.register_buffer("transposed", torch.zeros(3, 4).t())
        self.register_buffer("part", torch.zeros(6, 2)[1:5])

    def forward(self, x):
        return x @ self.transposed, x @ self.part


class Nested(nn.Module):
    def forward(self, x, others):
        y, z = others
        return {"sum": x + y, "both": (x * z["scale"], y)}


class Constants(nn.Module):
    """A buffer that is saved, one that is not, and a tensor made in forward."""

    def __init__(self):
        super().__init__()
        self.register_buffer("saved", torch.zeros(3))
        self.register_buffer("dropped", torch.zeros(3), persistent=False)

    def forward(self, x):
        return x * self.saved + self.dropped - torch.tensor([0.5, 1.0, -2.0])


CASES = [
    Case("no-grad", without_gradients, randn(2, 3)),
    Case("autocast-off", without_autocast, randn(2, 3)),
    Case("tied", Tied(), integers(2, 2, low=0, high=4)),
    Case("strided-weights", Strided(), randn(2, 4)),
    Case("nested", Nested(), randn(2, 3), (randn(2, 3), {"scale": randn(3)})),
    Case("constants", Constants(), randn(2, 3)),
    Case("strict", nn.Sequential(nn.Linear(4, 3), nn.GELU()), randn(2, 4), strict=True),
    Case("core-linear", nn.Sequential(nn.Linear(4, 3), nn.GELU()), randn(2, 4), core=True),
    Case("core-conv", nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()), randn(1, 2, 4, 5), core=True),
    Case("core-upsample", nn.Upsample(scale_factor=2, mode="bilinear"), randn(1, 2, 3, 4), core=True),
    Case("core-reflect", nn.ReflectionPad2d(1), randn(1, 2, 3, 4), core=True),
    Case("core-layer-norm", nn.LayerNorm(6), randn(2, 5, 6), core=True),
    Case("core-softmax", nn.Softmax(-1), randn(2, 5), core=True),
    Case("core-pools", nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1)), randn(1, 2, 8, 6), core=True),
    Case("core-attention", F.scaled_dot_product_attention, *[randn(1, 2, 4, 3)] * 3, core=True),
    Case("core-slices", lambda x: torch.cat([x[:, 1:], x.flip(1)[:, :1]], 1).unbind(1), randn(2, 3, 4), core=True),
    Case("core-unsafe-view", lambda x: torch.ops.aten._unsafe_view(x, [3, 2]) + 1, randn(2, 3)),
]
