"""Functions of one element."""

import torch
from torch import nn
from torch.nn import functional as F

from case import Case, booleans, integers, randn, specials, ties, uniform

# Functions that are defined everywhere: each is run on random values and on the special ones.
EVERYWHERE = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky-relu": lambda x: F.leaky_relu(x, 0.1),
    "leaky-relu-slope-over-one": lambda x: F.leaky_relu(x, 1.5),
    "leaky-relu-negative-slope": lambda x: F.leaky_relu(x, -0.2),
    "elu": F.elu,
    "elu-alpha": lambda x: F.elu(x, alpha=0.5),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, alpha=2.0),
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "sigmoid": torch.sigmoid,
    "log-sigmoid": F.logsigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "softplus-beta": lambda x: F.softplus(x, beta=2.0, threshold=3.0),
    "softsign": F.softsign,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 0.75),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardshrink": lambda x: F.hardshrink(x, 0.5),
    "softshrink": lambda x: F.softshrink(x, 0.5),
    "tanhshrink": F.tanhshrink,
    "threshold": lambda x: F.threshold(x, 0.5, -1.0),
    "abs": torch.abs,
    "neg": torch.neg,
    "sign": torch.sign,
    "ceil": torch.ceil,
    "floor": torch.floor,
    "round": torch.round,
    "trunc": torch.trunc,
    "frac": torch.frac,
    "square": torch.square,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
    "reciprocal": torch.reciprocal,
    "is-nan": torch.isnan,
    "is-inf": torch.isinf,
    "is-finite": torch.isfinite,
    "nan-to-num": torch.nan_to_num,
    "nan-to-num-given": lambda x: torch.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-3.0),
    "clamp": lambda x: x.clamp(-0.5, 1.0),
    "clamp-min": lambda x: x.clamp(min=0.25),
    "clamp-max": lambda x: x.clamp(max=0.25),
    "logical-not": torch.logical_not,
}

# Functions that are NaN for negative values.
POSITIVE = {
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
}

# What some functions are not run on. PyTorch's vectorized GELU gives NaN of ∞, where its other one gives ∞, and it and
# hardswish overflow at 3e38 before they halve or divide by six, where LiteRT's do not.
LEFT_OUT = {"gelu": [float("inf"), 3e38], "hardswish": [3e38]}


def specials_for(name):
    """The special values that a function is run on."""
    return specials()[~torch.isin(specials(), torch.tensor(LEFT_OUT.get(name, [])))]


CASES = [
    *(Case(name, function, randn(2, 3, 5, scale=2.0)) for name, function in EVERYWHERE.items()),
    *(Case(f"{name}-specials", function, specials_for(name)) for name, function in EVERYWHERE.items()),
    *(Case(name, function, uniform(2, 3, 5, low=0.01, high=9.0)) for name, function in POSITIVE.items()),
    *(Case(f"{name}-specials", function, specials()) for name, function in POSITIVE.items()),
    Case("expm1-near-zero", torch.expm1, randn(8, scale=1e-5)),
    Case("log1p-near-zero", torch.log1p, randn(8, scale=1e-5)),
    Case("round-ties", torch.round, ties(4, 4)),
    Case("relu-integers", torch.relu, integers(3, 4)),
    Case("abs-integers", torch.abs, integers(3, 4, dtype=torch.int32)),
    Case("neg-integers", torch.neg, integers(3, 4)),
    Case("clamp-integers", lambda x: x.clamp(-3, 4), integers(3, 4)),
    Case("bitwise-not", torch.bitwise_not, integers(3, 4, dtype=torch.int32)),
    Case("not", torch.logical_not, booleans(3, 4)),
    Case("in-place", lambda x: (x + 1).relu_().mul_(2), randn(3, 4)),
    Case("scalar", torch.tanh, torch.tensor(0.7)),
    Case("rank-6", torch.sigmoid, randn(1, 2, 1, 2, 3, 2)),
    Case("prelu-one-slope", nn.PReLU(), randn(2, 3, 4, 4)),
    Case("prelu-slope-per-channel", nn.PReLU(3), randn(2, 3, 4, 4)),
    Case("prelu-specials", nn.PReLU(), specials()),
    Case("glu", lambda x: F.glu(x, dim=1), randn(2, 6, 3)),
    Case("clamp-crossed-bounds", lambda x: x.clamp(1.0, -1.0), randn(2, 5)),
    Case("clamp-integers-by-fraction", lambda x: x.clamp(min=0.5), integers(3, 4)),
    Case("clamp-i32-from-below", lambda x: x.clamp(min=-2), integers(3, 4, dtype=torch.int32)),
    Case("hardtanh-as-relu6", lambda x: F.hardtanh(x, 0.0, 6.0), randn(2, 5, scale=6.0)),
    Case("hardtanh-unit", F.hardtanh, randn(2, 5, scale=2.0)),
    Case("relu-i32", torch.relu, integers(3, 4, dtype=torch.int32)),
    Case("square-integers", torch.square, integers(3, 4)),
    Case("sign-integers", torch.sign, integers(3, 4)),
    Case("sqrt-of-integers", torch.sqrt, integers(3, 4, low=0)),
    Case("sigmoid-of-booleans", torch.sigmoid, booleans(3, 4)),
    Case("floor-of-integers", torch.floor, integers(3, 4)),
    Case("gelu-scalar", F.gelu, torch.tensor(-0.7)),
    Case("leaky-relu-scalar", F.leaky_relu, torch.tensor(-0.7)),
    Case("expm1-steps", torch.expm1, torch.linspace(-20.0, 20.0, 81)),
    Case("log1p-steps", torch.log1p, torch.linspace(-0.99, 3.0, 81)),
    Case("erf-steps", torch.erf, torch.linspace(-5.0, 5.0, 101)),
    Case("softplus-steps", F.softplus, torch.linspace(-25.0, 25.0, 101)),
    Case("mish-steps", F.mish, torch.linspace(-25.0, 25.0, 101)),
    Case("tan", torch.tan, randn(2, 3, 5)),
    Case("arctan", torch.arctan, randn(3, 4)),
    Case("special-erf", torch.special.erf, randn(3, 4)),
]
