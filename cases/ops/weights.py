"""Weights that are read in parts."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, randn


class Parts(nn.Module):
    """One weight, read in two parts and as a whole: each part is large enough to stay an expression."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(130, 64))

    def forward(self, x):
        upper, lower = self.weight[:65], self.weight[65:]
        return F.linear(x, upper) + F.linear(x, lower), F.linear(x, self.weight)


CASES = [
    Case("parts", Parts(), randn(2, 64)),
]
