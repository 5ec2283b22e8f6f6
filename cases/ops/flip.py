"""Elements in the opposite order, turned, and moved round the end."""

import torch

from case import Case, booleans, integers, randn, specials

CASES = [
    Case("last", lambda x: x.flip(-1), randn(2, 3, 4)),
    Case("apart", lambda x: x.flip(0, 2), randn(2, 3, 4)),
    Case("image", lambda x: x.flip(2, 3), randn(1, 2, 3, 4)),
    Case("none", lambda x: x.flip(()), randn(2, 3)),
    Case("left-right", torch.fliplr, randn(3, 4)),
    Case("up-down", torch.flipud, integers(3, 4)),
    Case("twice", lambda x: x.flip(1).flip(1) + x, randn(2, 3)),
    Case("booleans", lambda x: x.flip(0), booleans(5)),
    Case("specials", lambda x: x.flip(0), specials()),
    Case("quarter", lambda x: torch.rot90(x), randn(3, 4)),
    Case("half", lambda x: torch.rot90(x, 2, (1, 2)), randn(2, 3, 4)),
    Case("quarter-back", lambda x: torch.rot90(x, -1, (0, 2)), randn(2, 3, 4)),
    Case("roll", lambda x: x.roll(2, 0), randn(5, 2)),
    Case("roll-back", lambda x: x.roll(-7, 1), randn(2, 5)),
    Case("roll-flat", lambda x: x.roll(1), randn(2, 3)),
    Case("roll-windows", lambda x: x.roll((-1, -2), (1, 2)), randn(1, 4, 4, 2)),
    Case("roll-all-the-way", lambda x: x.roll(6, 1), randn(2, 3)),
]
