"""Calls that change a tensor in place, and tensors changed through a view of them."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, randn


def zeroed(x):
    y = x * 1
    y[:, 1].zero_()
    return y


def filled(x):
    y = x.clone()
    y[..., -1:].fill_(0.5)
    return y + x


def written_while_read(x):
    """The view taken before the write sees it too."""
    y = x.clone()
    row = y[0]
    y.add_(1)
    return row * 2, y


def of_transposed(x):
    y = x.clone()
    y.t().mul_(torch.arange(1.0, 4.0))
    return y


def of_flattened(x):
    y = x.clone()
    y.view(-1)[2:5] = -1.0
    return y


def twice(x):
    y = F.relu(x, inplace=True)
    y += 1
    y *= 0.5
    return y


def neighbours(x):
    """Each element is written while its neighbour is read: PyTorch leaves open what comes out."""
    y = x.clone()
    y[:, 1:] += y[:, :-1]
    return y


def halves(x):
    """One half is written while the other is read: they share memory and no element."""
    y = x.clone()
    y[:, ::2] += y[:, 1::2]
    y[:, 2:].copy_(y[:, :2])
    return y


def by_itself(x):
    y = x.clone()
    y.add_(y * 2).mul_(y)
    y[1:].sub_(y[1:])
    return y


CASES = [
    Case("silu", nn.Sequential(nn.Linear(4, 3), nn.SiLU(inplace=True)), randn(2, 4)),
    Case("relu", nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True)), randn(2, 4)),
    Case("leaky-relu", nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.1, inplace=True)), randn(2, 4)),
    Case("hardswish", nn.Sequential(nn.Linear(4, 3), nn.Hardswish(inplace=True)), randn(2, 4)),
    Case("relu6", nn.Sequential(nn.Linear(4, 3), nn.ReLU6(inplace=True)), randn(2, 4)),
    Case("dropout", nn.Sequential(nn.Linear(4, 3), nn.Dropout(inplace=True)), randn(2, 4)),
    Case("add", lambda x, y: (x * 2).add_(y), randn(2, 3), randn(3)),
    Case("zeroed", zeroed, randn(2, 3)),
    Case("filled", filled, randn(2, 3)),
    Case("written-while-read", written_while_read, randn(2, 3)),
    Case("of-transposed", of_transposed, randn(3, 2)),
    Case("of-flattened", of_flattened, randn(2, 4)),
    Case("twice", lambda x: twice(x + 0), randn(2, 3)),
    Case("clamped", lambda x: (x + 0).clamp_(-0.5, 0.5), randn(2, 3)),
    Case("masked-fill", lambda x: (x + 0).masked_fill_(x > 0, 7.0), randn(2, 3)),
    Case("neighbours", neighbours, randn(3, 5)),
    Case("halves", halves, randn(3, 4)),
    Case("by-itself", by_itself, randn(3, 3)),
]
