"""Comparisons and logic: tensors of truth values."""

import torch

from case import Case, booleans, integers, randn, specials, ties

COMPARISONS = {
    "equal": torch.eq,
    "not-equal": torch.ne,
    "less": torch.lt,
    "less-equal": torch.le,
    "greater": torch.gt,
    "greater-equal": torch.ge,
}

CASES = [
    *(Case(name, function, ties(3, 1, 4), ties(2, 1)) for name, function in COMPARISONS.items()),
    *(Case(f"{name}-number", lambda x, f=function: f(x, 0.5), ties(3, 4)) for name, function in COMPARISONS.items()),
    *(
        Case(f"{name}-specials", function, specials().reshape(16, 1), specials())
        for name, function in COMPARISONS.items()
    ),
    Case("less-integers", torch.lt, integers(3, 4), integers(4)),
    Case("equal-mixed", torch.eq, integers(3, 4, low=-1, high=1), ties(3, 4)),
    Case("and", torch.logical_and, booleans(3, 4), booleans(4)),
    Case("or", torch.logical_or, booleans(3, 4), booleans(4)),
    Case("xor", torch.logical_xor, booleans(3, 4), booleans(4)),
    Case("and-of-floats", torch.logical_and, ties(3, 4), ties(4)),
    Case("bitwise-and", torch.bitwise_and, integers(3, 4, dtype=torch.int32), integers(4, dtype=torch.int32)),
    Case("bitwise-or-booleans", torch.bitwise_or, booleans(3, 4), booleans(4)),
    Case("equal-to-fraction", lambda x: x == 0.5, integers(3, 4, low=-1, high=1)),
    Case("less-of-booleans", torch.lt, booleans(3, 4), booleans(4)),
    Case("greater-of-boolean-and-number", lambda x: x > 0, booleans(3, 4)),
    Case("equal-i32-and-number", lambda x: x == 2, integers(3, 4, dtype=torch.int32)),
    Case("bitwise-xor", torch.bitwise_xor, integers(3, 4, dtype=torch.int32), integers(4, dtype=torch.int32)),
    Case("bitwise-not-booleans", lambda x: ~x, booleans(3, 4)),
    Case("or-of-integers", torch.logical_or, integers(3, 4, low=-1, high=1), integers(4, low=-1, high=1)),
]
