"""Softmax along any axis."""

import torch
from torch import nn

from case import Case, randn, specials, ties

CASES = [
    Case("last-axis", nn.Softmax(dim=-1), randn(2, 3, 5)),
    Case("channels", lambda x: x.softmax(1), randn(1, 4, 3, 2)),
    Case("first-axis", lambda x: torch.softmax(x, 0), randn(5, 3)),
    Case("vector", lambda x: torch.softmax(x, 0), randn(7)),
    Case("large-logits", lambda x: x.softmax(-1), randn(3, 6, scale=200.0)),
    Case("ties", lambda x: x.softmax(-1), ties(4, 8)),
    Case("specials", lambda x: x.softmax(-1), specials().reshape(8, 2)),
    Case("rank-5", lambda x: x.softmax(2), randn(2, 1, 3, 2, 2)),
]
