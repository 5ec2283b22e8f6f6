"""Values looked up by their indices."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, integers, randn

CASES = [
    Case("embedding", nn.Embedding(7, 4), integers(2, 3, low=0, high=6)),
    Case("embedding-vector", nn.Embedding(7, 4), integers(5, low=0, high=6)),
    Case("embedding-i32", nn.Embedding(7, 4), integers(2, 3, low=0, high=6, dtype=torch.int32)),
    Case("embedding-padding", nn.Embedding(7, 4, padding_idx=0), integers(2, 3, low=0, high=6)),
    Case("embedding-of-float-message", lambda m: bits(m), torch.tensor([[0.0, 1.0, 1.0, 0.0]])),
    Case("index-select", lambda x, i: x.index_select(1, i), randn(2, 5, 3), integers(4, low=0, high=4)),
    Case("index-one-axis", lambda x, i: x[i], randn(5, 3), integers(4, low=0, high=4)),
    Case("index-negative", lambda x, i: x[i], randn(5, 3), torch.tensor([0, -1, -5, 2])),
    Case("index-last-axis", lambda x: x[..., [2, 0, 1]], randn(2, 4, 3)),
    Case("index-constant", lambda x: x[:, torch.tensor([3, 1, 1])], randn(2, 4, 3)),
    Case("index-two-axes", lambda x, i, j: x[i, j], randn(4, 4, 3), *[integers(3, low=0, high=3)] * 2),
    Case("index-matrix", lambda x, i: x[i], randn(5, 3), integers(2, 4, low=0, high=4)),
    Case("gather", lambda x, i: x.gather(1, i), randn(3, 5), integers(3, 2, low=0, high=4)),
    Case("gather-first-axis", lambda x, i: x.gather(0, i), randn(4, 3), integers(2, 3, low=0, high=3)),
    Case("one-hot", lambda i: F.one_hot(i, 5), integers(2, 3, low=0, high=4)),
]


def bits(message):
    """A row of a table for each bit: row 2i for a zero in place i, row 2i + 1 for a one."""
    table = torch.linspace(-1, 1, 24).reshape(8, 3)
    rows = 2 * torch.arange(message.shape[-1]) + message
    return F.embedding(rows.long(), table).sum(dim=1)
