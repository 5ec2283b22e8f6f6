"""Bits that look up rows of a table, which are summed."""

import torch
from torch.nn import functional as F

from case import Case, integers


def summed(bits):
    """Row 2i for a zero in place i, row 2i + 1 for a one."""
    table = torch.linspace(-1, 1, 24).reshape(8, 3)
    rows = 2 * torch.arange(bits.shape[-1]).repeat(bits.shape[0], 1) + bits
    return F.embedding(rows.long(), table).sum(dim=-2)


def beyond(bits):
    """The last bit has no row for a one."""
    return F.embedding((2 * torch.arange(4) + 1 + bits).long(), torch.linspace(-1, 1, 24).reshape(8, 3)).sum(dim=-2)


CASES = [
    Case("floats", summed, integers(2, 4, low=0, high=1, dtype=torch.float32)),
    Case("integers", summed, integers(3, 4, low=0, high=1)),
    # What indexes in range need not be bits.
    Case("other-rows", summed, torch.tensor([[7.0, 5.0, 0.0, 1.0], [0.0, -1.0, 2.5, -6.0]])),
    Case("last-row", beyond, torch.tensor([[1.0, 0.0, 1.0, 0.0]])),
]
