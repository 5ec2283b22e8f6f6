"""Functions of two elements: broadcasting, mixed dtypes, numbers in place of tensors."""

import torch

from case import Case, booleans, integers, randn, specials, ties, uniform

ARITHMETIC = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}


def pairs():
    """All pairs of special values: [16, 1] against [16]."""
    return specials().reshape(16, 1), specials()


CASES = [
    *(Case(name, function, randn(2, 3, 4), randn(2, 3, 4)) for name, function in ARITHMETIC.items()),
    *(Case(f"{name}-broadcast", function, randn(2, 1, 4), randn(3, 1)) for name, function in ARITHMETIC.items()),
    *(Case(f"{name}-specials", function, *pairs()) for name, function in ARITHMETIC.items()),
    Case("add-to-scalar-tensor", torch.add, randn(2, 3), torch.tensor(0.5)),
    Case("add-rank-5-to-rank-1", torch.add, randn(2, 1, 3, 1, 2), randn(2)),
    Case("add-alpha", lambda x, y: torch.add(x, y, alpha=0.3), randn(2, 3), randn(3)),
    Case("add-number", lambda x: x + 2, randn(2, 3)),
    Case("add-itself", lambda x: x + x, randn(2, 3)),
    Case("add-constant", lambda x: x + torch.tensor([1.0, -2.0, 0.5]), randn(2, 3)),
    Case("add-integer-and-float", torch.add, integers(2, 3), randn(2, 3)),
    Case("add-i32-and-i64", torch.add, integers(2, 3, dtype=torch.int32), integers(2, 3)),
    Case("add-integer-and-fraction", lambda x: x + 0.5, integers(2, 3)),
    Case("add-boolean-and-float", torch.add, booleans(2, 3), randn(2, 3)),
    Case("add-integers", torch.add, integers(2, 3), integers(3)),
    Case("add-large-integer", lambda x: x + 3_000_000_000, integers(2, 3)),
    Case("sub-alpha", lambda x, y: torch.sub(x, y, alpha=2), randn(2, 3), randn(3)),
    Case("sub-from-number", lambda x: 1 - x, randn(2, 3)),
    Case("rsub-alpha", lambda x: torch.rsub(x, 1.0, alpha=0.5), randn(2, 3)),
    Case("mul-number", lambda x: x * 2**-0.5, randn(2, 3)),
    Case("mul-integers", torch.mul, integers(2, 3), integers(2, 3)),
    Case("div-integers", torch.div, integers(2, 3), integers(2, 3, low=1)),
    Case("div-number", lambda x: x / 3, randn(2, 3)),
    Case("div-number-by-tensor", lambda x: 3 / x, randn(2, 3)),
    Case("div-floor", lambda x, y: torch.div(x, y, rounding_mode="floor"), randn(4, 5, scale=5.0), randn(5)),
    Case("div-trunc", lambda x, y: torch.div(x, y, rounding_mode="trunc"), randn(4, 5, scale=5.0), randn(5)),
    Case("div-floor-integers", lambda x: x // 3, integers(4, 5)),
    Case("floor-divide-both-signs", torch.floor_divide, integers(4, 5), torch.tensor([3, -3, 7, -2, 1])),
    Case("remainder", torch.remainder, randn(4, 5, scale=5.0), randn(5)),
    Case("remainder-integers", torch.remainder, integers(4, 5), torch.tensor([3, -3, 7, -2, 1])),
    Case("fmod", torch.fmod, randn(4, 5, scale=5.0), randn(5)),
    Case("pow-square", lambda x: x**2, randn(2, 3)),
    Case("pow-cube", lambda x: x**3, randn(2, 3)),
    Case("pow-half", lambda x: x**0.5, uniform(2, 3, high=4.0)),
    Case("pow-fraction", lambda x: x**2.4, uniform(2, 3, high=4.0)),
    Case("pow-negative", lambda x: x**-1.5, uniform(2, 3, low=0.1)),
    Case("pow-tensor", torch.pow, uniform(2, 3, low=0.1), randn(2, 3)),
    Case("pow-of-number", lambda x: 2.0**x, randn(2, 3)),
    Case("pow-specials", lambda x: x**2.4, specials()),
    Case("atan2", torch.atan2, randn(4, 4), randn(4, 4)),
    Case("maximum-ties", torch.maximum, ties(4, 4), ties(4, 4)),
    Case("maximum-integers", torch.maximum, integers(2, 3), integers(3)),
    Case("clamp-tensor", torch.clamp, randn(4, 4), randn(4, scale=0.1), uniform(4)),
    Case("min-of-two", lambda x, y: torch.min(x, y), randn(2, 3), randn(3)),
    Case("addcmul", torch.addcmul, randn(2, 3), randn(2, 3), randn(3)),
    Case("addcmul-factor", lambda x, y, z: torch.addcmul(x, y, z, value=0.5), randn(2, 3), randn(2, 3), randn(3)),
    Case("addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=0.5), randn(2, 3), randn(2, 3), uniform(3, low=0.5)),
    Case("lerp", lambda x, y: torch.lerp(x, y, 0.3), randn(2, 3), randn(2, 3)),
]
