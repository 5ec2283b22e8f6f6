"""Softmax along any axis."""

import torch
from torch import nn

from case import Case, integers, randn, specials, ties

CASES = [
    Case("last-axis", nn.Softmax(dim=-1), randn(2, 3, 5)),
    Case("channels", lambda x: x.softmax(1), randn(1, 4, 3, 2)),
    Case("first-axis", lambda x: torch.softmax(x, 0), randn(5, 3)),
    Case("vector", lambda x: torch.softmax(x, 0), randn(7)),
    Case("large-logits", lambda x: x.softmax(-1), randn(3, 6, scale=200.0)),
    Case("ties", lambda x: x.softmax(-1), ties(4, 8)),
    Case("specials", lambda x: x.softmax(-1), specials().reshape(8, 2)),
    Case("rank-5", lambda x: x.softmax(2), randn(2, 1, 3, 2, 2)),
    Case("log-last-axis", lambda x: x.log_softmax(-1), randn(2, 3, 5)),
    Case("log-channels", lambda x: x.log_softmax(1), randn(1, 4, 3, 2)),
    Case("log-first-axis", lambda x: x.log_softmax(0), randn(5, 3)),
    Case("log-specials", lambda x: x.log_softmax(-1), specials().reshape(8, 2)),
    Case("of-integers", lambda x: x.softmax(-1, dtype=torch.float32), integers(2, 5)),
    Case("scalar", lambda x: x.softmax(0), torch.tensor(0.7)),
    Case("batch-of-convolution", nn.Sequential(nn.Conv2d(3, 2, 1), nn.Softmax(0), nn.Conv2d(2, 3, 1)), randn(2, 3, 4, 5)),
    Case("log-rows-of-convolution", nn.Sequential(nn.Conv2d(3, 2, 1), nn.LogSoftmax(2)), randn(2, 3, 4, 5)),
    Case("special", lambda x: torch.special.softmax(x, 1), randn(2, 3, 4)),
    Case("special-log", lambda x: torch.special.log_softmax(x, 1), randn(2, 3, 4)),
]
