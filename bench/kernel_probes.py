"""The probes of LiteRT's kernels: each a model of one operator, its inputs, and PyTorch's function of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

NAN, INF = math.nan, math.inf
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 6.0, 7.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5]
SPECIAL += [3e38, -3e38, 2e-38, -2e-38, 88.0, -88.0, 100.0, -100.0]
MAGNITUDES = np.geomspace(1.2e-38, 3.4e38, 2001).astype(np.float32)
GRID = np.concatenate([np.linspace(-12, 12, 4001), np.linspace(-0.01, 0.01, 301)]).astype(np.float32)


@dataclass
class Row:
    """One probe: a model of one operator, the inputs, and PyTorch's function of the same inputs."""

    operator: str
    probe: str
    model: Callable  # (Model, inputs' values) -> output value
    inputs: list
    torch: Callable
    pointwise: bool = True


def array(values, shape=None, dtype=np.float32):
    made = np.array(values, dtype)
    return made if shape is None else made.reshape(shape)


def const(model, values, dtype=np.int32):
    return model.constant(np.array(values, dtype))


def same(name, options=None, **fields):
    """An operator whose output has the first input's type."""

    def make(model, values):
        tensor = model.graph.tensors[values[0]]
        return model.operator(name, values, [("float32", tensor.shape)], options, **fields)

    return make


def out(name, shape, options=None, dtype="float32", extra=(), **fields):
    """An operator with an output of this type; `extra` are constant inputs after the others."""

    def make(model, values):
        values = values + [model.constant(c) for c in extra]
        return model.operator(name, values, [(dtype, list(shape))], options, **fields)

    return make


def unary_rows():
    # 23 special values at every lane of a vector and in its tail, then a grid.
    lanes = np.concatenate([np.roll(array(SPECIAL), k) for k in range(8)])
    x = [np.concatenate([lanes, GRID, array(SPECIAL[:5])])]
    tiny = [array([1e-40, -1e-40, 1e-45, -1e-45, 0, -0.0, 1e-39, 1])]
    table = [
        ("ABS", None, {}, torch.abs),
        ("NEG", None, {}, torch.neg),
        ("RELU", None, {}, F.relu),
        ("RELU6", None, {}, F.relu6),
        ("RELU_N1_TO_1", None, {}, F.hardtanh),
        ("RELU_0_TO_1", None, {}, lambda x: x.clamp(0, 1)),
        ("LEAKY_RELU", "LeakyReluOptions", {"alpha": 0.1}, lambda x: F.leaky_relu(x, float(np.float32(0.1)))),
        ("ELU", None, {}, F.elu),
        ("HARD_SWISH", None, {}, F.hardswish),
        ("LOGISTIC", None, {}, torch.sigmoid),
        ("TANH", None, {}, torch.tanh),
        ("GELU", "GeluOptions", {"approximate": False}, F.gelu),
        ("GELU", "GeluOptions", {"approximate": True}, lambda x: F.gelu(x, approximate="tanh")),
        ("EXP", None, {}, torch.exp),
        ("LOG", None, {}, torch.log),
        ("SQRT", None, {}, torch.sqrt),
        ("RSQRT", None, {}, torch.rsqrt),
        ("SQUARE", None, {}, torch.square),
        ("FLOOR", None, {}, torch.floor),
        ("CEIL", None, {}, torch.ceil),
        ("ROUND", None, {}, torch.round),
        ("SIN", None, {}, torch.sin),
        ("COS", None, {}, torch.cos),
        ("SIGN", None, {}, torch.sign),
    ]
    for name, options, fields, function in table:
        probe = ", ".join(f"{k}={v}" for k, v in fields.items())
        model = same(name, options, **fields)
        yield Row(name, "special values, a grid" + (f"; {probe}" if probe else ""), model, x, function)
        if name in ("LOG", "SQRT", "RSQRT"):
            yield Row(name, "every magnitude", model, [MAGNITUDES], function)
        if name in ("NEG", "RELU", "LOG", "SQRT", "RSQRT", "FLOOR"):
            yield Row(name, "subnormals", model, tiny, function)


COMPARISONS = [
    ("EQUAL", torch.eq),
    ("NOT_EQUAL", torch.ne),
    ("LESS", torch.lt),
    ("LESS_EQUAL", torch.le),
    ("GREATER", torch.gt),
    ("GREATER_EQUAL", torch.ge),
]


def with_one(name, constant_first):
    """MAXIMUM or MINIMUM of the input and the constant 1, in either order."""

    def make(model, values):
        operands = [values[0], model.constant(array([1.0]))]
        operands = operands[::-1] if constant_first else operands
        return model.operator(name, operands, [("float32", [len(SPECIAL)])], "MaximumMinimumOptions")

    return make


def binary_rows():
    pairs = np.array([(a, b) for a in SPECIAL for b in SPECIAL], np.float32).T
    x = [np.ascontiguousarray(pairs[0]), np.ascontiguousarray(pairs[1])]
    table = [
        ("MAXIMUM", "MaximumMinimumOptions", torch.maximum),
        ("MINIMUM", "MaximumMinimumOptions", torch.minimum),
        ("ADD", "AddOptions", torch.add),
        ("SUB", "SubOptions", torch.sub),
        ("MUL", "MulOptions", torch.mul),
        ("DIV", "DivOptions", torch.div),
        ("POW", "PowOptions", torch.pow),
        ("SQUARED_DIFFERENCE", "SquaredDifferenceOptions", lambda a, b: (a - b) ** 2),
        ("FLOOR_DIV", "FloorDivOptions", lambda a, b: torch.div(a, b, rounding_mode="floor")),
        ("FLOOR_MOD", "FloorModOptions", torch.remainder),
        ("ATAN2", None, torch.atan2),
    ]
    safe = [a[(pairs[1] != 0)] for a in x]
    for name, options, function in table:
        probe, inputs = ("all pairs of special values", x)
        if name in ("FLOOR_DIV", "FLOOR_MOD"):
            probe, inputs = ("all pairs of special values but divisors 0", safe)
        yield Row(name, probe, same(name, options), inputs, function)
    for name, options, function in table[-3:-1]:
        yield Row(name, "by 0", same(name, options), [array([1, 0, -2]), array([0, 0, -0.0])], function)
    integers = [array([7, -7, 3], dtype=np.int32), array([2, 2, 0], dtype=np.int32)]
    for name, options, function in [
        ("DIV", "DivOptions", lambda a, b: torch.div(a, b, rounding_mode="trunc")),
        ("FLOOR_DIV", "FloorDivOptions", torch.floor_divide),
        ("FLOOR_MOD", "FloorModOptions", torch.remainder),
    ]:
        for probe, inputs in [("i32, by 0", integers), ("i32, −7 by 2", [a[:2] for a in integers])]:
            yield Row(name, probe, out(name, inputs[0].shape, options, "int32"), inputs, function)
    yield Row(
        "MUL", "subnormals", same("MUL", "MulOptions"), [array([1e-40, INF]), array([1e20, 1e-40])], torch.mul
    )
    for name, function in COMPARISONS:
        options = "".join(word.capitalize() for word in name.split("_")) + "Options"
        yield Row(name, "all pairs of special values", out(name, x[0].shape, options, "bool"), x, function)
    for name, function in [("MAXIMUM", torch.maximum), ("MINIMUM", torch.minimum)]:
        for constant_first in (False, True):
            probe = "(constant 1, x)" if constant_first else "(x, constant 1)"
            make = with_one(name, constant_first)
            yield Row(name, probe, make, [array(SPECIAL)], lambda x, f=function: f(x, torch.ones_like(x)))
    yield Row(
        "PRELU",
        "alpha 0.25 per channel",
        lambda m, v: m.operator("PRELU", [v[0], m.constant(array([0.25]))], [("float32", [len(SPECIAL), 1])]),
        [array(SPECIAL, (-1, 1))],
        lambda x: F.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    )
    for number_of, function in [(1, F.relu), (3, F.relu6), (2, F.hardtanh)]:
        yield Row(
            "ADD",
            f"fused activation {number_of}",
            same("ADD", "AddOptions", fusedActivationFunction=number_of),
            [array(SPECIAL), np.zeros(len(SPECIAL), np.float32)],
            lambda a, b, f=function: f(a + b),
        )
    condition = array([1, 0, 1], (3, 1), bool)
    yield Row(
        "SELECT_V2",
        "broadcast; NaN in the branch not taken",
        out("SELECT_V2", (3, 4), "SelectV2Options"),
        [condition, array([1, NAN, INF, -0.0], (1, 4)), array([NAN])],
        torch.where,
    )


def means(shape, steps):
    """The mean along the axes of each step, of what the step before gave."""

    def make(model, values):
        [value], sizes = values, list(shape)
        for axes in steps:
            sizes = [size for axis, size in enumerate(sizes) if axis not in axes]
            mean = out("MEAN", sizes, "ReducerOptions", extra=[array(axes, dtype=np.int32)], keepDims=False)
            value = mean(model, [value])
        return value

    return make


def reduce_rows():
    x = array(np.tile([1, 2, 3, 4, 5, 6, 7, 8, 9.5], (8, 1)))
    x[1, 0], x[2, 4], x[3, 8] = NAN, NAN, NAN
    x[4, 2], x[5, 1], x[6, 0], x[6, 8] = INF, -INF, INF, -INF
    table = [
        ("SUM", torch.sum),
        ("MEAN", torch.mean),
        ("REDUCE_MAX", torch.amax),
        ("REDUCE_MIN", torch.amin),
        ("REDUCE_PROD", torch.prod),
    ]
    for name, function in table:
        for axis in (1, 0):
            shape = [x.shape[1 - axis]]
            make = out(name, shape, "ReducerOptions", extra=[array([axis], dtype=np.int32)], keepDims=False)
            yield Row(
                name,
                f"NaN and ±∞ along axis {axis}",
                make,
                [x],
                lambda x, f=function, a=axis: f(x, a),
                pointwise=False,
            )
    rng = np.random.default_rng(0)
    long = rng.standard_normal((2, 100003)).astype(np.float32) + 10
    for name, function in table[:2]:
        make = out(name, [2], "ReducerOptions", extra=[array([1], dtype=np.int32)], keepDims=False)
        yield Row(
            name, "100,003 values near 10", make, [long], lambda x, f=function: f(x, 1), pointwise=False
        )
    image = np.full((1, 180, 320, 4), 0.1, np.float32)
    for probe, steps in [("at once", [[1, 2]]), ("along rows, then of these", [[2], [1]])]:
        yield Row(
            "MEAN",
            f"180×320 equal pixels, {probe}",
            means(image.shape, steps),
            [image],
            lambda x: x.mean((1, 2)),
            pointwise=False,
        )
    yield Row(
        "CUMSUM",
        "NaN and ±∞",
        out("CUMSUM", x.shape, "CumsumOptions", extra=[array(1, dtype=np.int32)]),
        [x],
        lambda x: x.cumsum(1),
        pointwise=False,
    )
    for name, function in [("ARG_MAX", torch.argmax), ("ARG_MIN", torch.argmin)]:
        ties = np.concatenate([x, array(np.tile([3, 1, 3, 1, 2, 3, 1, 2, 2], (1, 1)))])
        make = out(
            name,
            [len(ties)],
            name.title().replace("_", "") + "Options",
            "int64",
            extra=[array(1, dtype=np.int32)],
            outputType=4,
        )
        yield Row(name, "NaN, ±∞, ties", make, [ties], lambda x, f=function: f(x, 1), pointwise=False)


def softmax_rows():
    rows = [
        [1, 2, 3, 4, 5],
        [NAN, 1, 2, 3, 4],
        [INF, 1, 2, 3, 4],
        [-INF, 1, 2, 3, 4],
        [-INF] * 5,
        [1000, 999, 0, -1000, 1],
        [-3e38, 3e38, 0, 1, 2],
        [INF, INF, 0, 0, 0],
    ]
    x = [array(rows)]
    yield Row(
        "SOFTMAX",
        "rows with NaN, ±∞, all −∞",
        same("SOFTMAX", "SoftmaxOptions", beta=1.0),
        x,
        lambda x: x.softmax(-1),
        pointwise=False,
    )
    yield Row(
        "LOG_SOFTMAX",
        "rows with NaN, ±∞, all −∞",
        same("LOG_SOFTMAX", "LogSoftmaxOptions"),
        x,
        lambda x: x.log_softmax(-1),
        pointwise=False,
    )
    x = [np.random.default_rng(0).standard_normal((8, 1000)).astype(np.float32) * 5]
    yield Row(
        "SOFTMAX",
        "1,000 normal values",
        same("SOFTMAX", "SoftmaxOptions", beta=1.0),
        x,
        lambda x: x.softmax(-1),
        pointwise=False,
    )
    yield Row(
        "LOG_SOFTMAX",
        "1,000 normal values",
        same("LOG_SOFTMAX", "LogSoftmaxOptions"),
        x,
        lambda x: x.log_softmax(-1),
        pointwise=False,
    )


def nhwc(function):
    """PyTorch's function of NCHW images, on NHWC ones."""
    return lambda x: function(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def resize_rows(x, sizes, suffix):
    """Each way to resize, against the PyTorch mode that it should be."""
    size, shape = array(sizes, dtype=np.int32), (1, *sizes, 3)
    title = f"5×7 → {sizes[0]}×{sizes[1]}, "
    for align, half, name in [(False, True, "half_pixel"), (True, False, "align_corners")]:
        flags = {"alignCorners": align, "halfPixelCenters": half}
        make = out("RESIZE_BILINEAR", shape, "ResizeBilinearOptions", extra=[size], **flags)
        function = nhwc(lambda x, a=align: F.interpolate(x, sizes, mode="bilinear", align_corners=a))
        yield Row("RESIZE_BILINEAR", title + name + suffix, make, [x], function, pointwise=False)
    for half, name, mode in [
        (True, "half_pixel, nearest-exact", "nearest-exact"),
        (False, "nearest", "nearest"),
    ]:
        flags = {"alignCorners": False, "halfPixelCenters": half}
        make = out("RESIZE_NEAREST_NEIGHBOR", shape, "ResizeNearestNeighborOptions", extra=[size], **flags)
        function = nhwc(lambda x, m=mode: F.interpolate(x, sizes, mode=m))
        yield Row("RESIZE_NEAREST_NEIGHBOR", title + name + suffix, make, [x], function, pointwise=False)


def image_rows():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 5, 7, 3)).astype(np.float32)
    spoilt = x.copy()
    spoilt[0, 2, 3, 1], spoilt[0, 0, 0, 0], spoilt[0, 4, 6, 2] = NAN, INF, -INF
    for sizes in [(10, 14), (13, 4), (3, 3), (8, 21)]:
        yield from resize_rows(x, sizes, "")
    yield from resize_rows(spoilt, (10, 14), ", NaN and ±∞")

    pads = array([[0, 0], [2, 3], [1, 4], [0, 0]], dtype=np.int32)
    padded = (1, 10, 12, 3)
    yield Row(
        "PAD",
        "zeros; NaN and ±∞ inside",
        out("PAD", padded, "PadOptions", extra=[pads]),
        [spoilt],
        nhwc(lambda x: F.pad(x, (1, 4, 2, 3))),
        pointwise=False,
    )
    yield Row(
        "PADV2",
        "−∞",
        out("PADV2", padded, "PadV2Options", extra=[pads, array(-INF)]),
        [spoilt],
        nhwc(lambda x: F.pad(x, (1, 4, 2, 3), value=-INF)),
        pointwise=False,
    )
    yield Row(
        "MIRROR_PAD",
        "reflect; NaN and ±∞ inside",
        out("MIRROR_PAD", padded, "MirrorPadOptions", extra=[pads], mode=0),
        [spoilt],
        nhwc(lambda x: F.pad(x, (1, 4, 2, 3), mode="reflect")),
        pointwise=False,
    )

    pool = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}
    even = np.ascontiguousarray(np.pad(spoilt, ((0, 0), (0, 1), (0, 1), (0, 0))))
    yield Row(
        "MAX_POOL_2D",
        "2×2, NaN and ±∞",
        out("MAX_POOL_2D", (1, 3, 4, 3), "Pool2DOptions", padding=1, **pool),
        [even],
        nhwc(lambda x: F.max_pool2d(x, 2)),
        pointwise=False,
    )
    low = np.full((1, 4, 4, 2), -INF, np.float32)
    yield Row(
        "MAX_POOL_2D",
        "2×2, all −∞",
        out("MAX_POOL_2D", (1, 2, 2, 2), "Pool2DOptions", padding=1, **pool),
        [low],
        nhwc(lambda x: F.max_pool2d(x, 2)),
        pointwise=False,
    )
    same_pool = {"filterHeight": 3, "filterWidth": 3, "strideH": 1, "strideW": 1, "padding": 0}
    yield Row(
        "MAX_POOL_2D",
        "3×3 SAME against padding=1",
        out("MAX_POOL_2D", x.shape, "Pool2DOptions", **same_pool),
        [-np.abs(x)],
        nhwc(lambda x: F.max_pool2d(x, 3, 1, 1)),
        pointwise=False,
    )
    yield Row(
        "AVERAGE_POOL_2D",
        "2×2, NaN and ±∞",
        out("AVERAGE_POOL_2D", (1, 3, 4, 3), "Pool2DOptions", padding=1, **pool),
        [even],
        nhwc(lambda x: F.avg_pool2d(x, 2)),
        pointwise=False,
    )
    yield Row(
        "AVERAGE_POOL_2D",
        "3×3 SAME against padding=1, count_include_pad=False",
        out("AVERAGE_POOL_2D", x.shape, "Pool2DOptions", **same_pool),
        [x],
        nhwc(lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)),
        pointwise=False,
    )


def weighted_rows():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 8)).astype(np.float32)
    spoilt = x.copy()
    spoilt[1, 2], spoilt[2, 7] = NAN, INF
    weight = rng.standard_normal((5, 8)).astype(np.float32)
    zeros = weight.copy()
    zeros[:, 2], zeros[:, 7] = 0, 0

    def dense(w):
        return lambda m, v: m.operator(
            "FULLY_CONNECTED", [v[0], m.constant(w), -1], [("float32", [3, 5])], "FullyConnectedOptions"
        )

    def linear(w):
        return lambda x: F.linear(x, torch.from_numpy(w).to(x.dtype))

    yield Row("FULLY_CONNECTED", "no bias", dense(weight), [x], linear(weight), pointwise=False)
    yield Row(
        "FULLY_CONNECTED", "no bias; NaN and ∞", dense(weight), [spoilt], linear(weight), pointwise=False
    )
    yield Row(
        "FULLY_CONNECTED",
        "no bias; NaN and ∞ times weight 0",
        dense(zeros),
        [spoilt],
        linear(zeros),
        pointwise=False,
    )

    image = rng.standard_normal((1, 6, 7, 4)).astype(np.float32)
    bad = image.copy()
    bad[0, 3, 3, 1], bad[0, 0, 6, 2] = NAN, INF
    strides = {"strideH": 1, "strideW": 1, "padding": 0}

    def conv(w, bias, activation=0):
        def make(m, v):
            return m.operator(
                "CONV_2D",
                [v[0], m.constant(w), m.constant(bias)],
                [("float32", [1, 6, 7, w.shape[0]])],
                "Conv2DOptions",
                fusedActivationFunction=activation,
                **strides,
            )

        return make

    def conv2d(w, bias, groups, activation=lambda x: x):
        w = torch.from_numpy(np.ascontiguousarray(w.transpose(0, 3, 1, 2)))
        return nhwc(
            lambda x: activation(
                F.conv2d(x, w.to(x.dtype), torch.from_numpy(bias).to(x.dtype), padding=1, groups=groups)
            )
        )

    bias = rng.standard_normal(6).astype(np.float32)
    whole = rng.standard_normal((6, 3, 3, 4)).astype(np.float32)
    grouped = rng.standard_normal((6, 3, 3, 2)).astype(np.float32)
    sparse = whole * (rng.random(whole.shape) < 0.5).astype(np.float32)
    yield Row("CONV_2D", "3×3 SAME", conv(whole, bias), [image], conv2d(whole, bias, 1), pointwise=False)
    yield Row(
        "CONV_2D",
        "3×3 SAME, 2 groups",
        conv(grouped, bias),
        [image],
        conv2d(grouped, bias, 2),
        pointwise=False,
    )
    yield Row(
        "CONV_2D",
        "NaN and ∞ times weight 0",
        conv(sparse, bias),
        [bad],
        conv2d(sparse, bias, 1),
        pointwise=False,
    )
    yield Row(
        "CONV_2D",
        "fused RELU, NaN",
        conv(whole, bias, 1),
        [bad],
        conv2d(whole, bias, 1, F.relu),
        pointwise=False,
    )
    yield Row(
        "CONV_2D",
        "fused RELU6, NaN",
        conv(whole, bias, 3),
        [bad],
        conv2d(whole, bias, 1, F.relu6),
        pointwise=False,
    )

    depthwise = rng.standard_normal((1, 3, 3, 4)).astype(np.float32)
    depth_bias = rng.standard_normal(4).astype(np.float32)

    def depthwise_model(m, v):
        return m.operator(
            "DEPTHWISE_CONV_2D",
            [v[0], m.constant(depthwise), m.constant(depth_bias)],
            [("float32", [1, 6, 7, 4])],
            "DepthwiseConv2DOptions",
            depthMultiplier=1,
            dilationHFactor=1,
            dilationWFactor=1,
            **strides,
        )

    def depthwise_torch(x):
        w = torch.from_numpy(np.ascontiguousarray(depthwise.transpose(3, 0, 1, 2))).to(x.dtype)
        return nhwc(lambda x: F.conv2d(x, w, torch.from_numpy(depth_bias).to(x.dtype), padding=1, groups=4))(
            x
        )

    yield Row(
        "DEPTHWISE_CONV_2D", "3×3 SAME, NaN and ∞", depthwise_model, [bad], depthwise_torch, pointwise=False
    )
    a, b = spoilt.reshape(1, 3, 8), np.ascontiguousarray(zeros.T).reshape(1, 8, 5)
    yield Row(
        "BATCH_MATMUL",
        "NaN and ∞ times 0",
        out("BATCH_MATMUL", (1, 3, 5), "BatchMatMulOptions"),
        [a, b],
        torch.matmul,
        pointwise=False,
    )


def cast_rows():
    x = [array([NAN, INF, -INF, 0.5, 1.5, -1.5, -0.0, 3e9, -3e9, 255.9, 256.0, -1.0])]
    for name, dtype, number_of in [
        ("int32", torch.int32, 2),
        ("int64", torch.int64, 4),
        ("uint8", torch.uint8, 3),
        ("int8", torch.int8, 9),
        ("bool", torch.bool, 6),
    ]:
        yield Row(
            "CAST",
            f"f32 → {name}",
            out("CAST", x[0].shape, "CastOptions", name, inDataType=0, outDataType=number_of),
            x,
            lambda x, d=dtype: x.float().to(d),
        )


def zero_or_nan(model, x, shape):
    """MINIMUM(0, ABS(x)): 0, or NaN where x is NaN."""
    magnitude = model.operator("ABS", [x], [("float32", shape)])
    zero = model.constant(array([0.0]))
    return model.operator("MINIMUM", [zero, magnitude], [("float32", shape)], "MaximumMinimumOptions")


def form_rows():
    """Expressions of several operators that do what one operator does not."""
    pairs = np.array([(a, b) for a in SPECIAL for b in SPECIAL], np.float32).T
    pairs = [np.ascontiguousarray(p) for p in pairs]
    shape = pairs[0].shape

    def add(model, a, b, shape):
        return model.operator("ADD", [a, b], [("float32", shape)], "AddOptions")

    def maximum(model, values):
        top = model.operator("MAXIMUM", values, [("float32", shape)], "MaximumMinimumOptions")
        return add(model, top, zero_or_nan(model, values[0], shape), shape)

    yield Row("*form*", "MAXIMUM(a, b) + MINIMUM(0, ABS(a))", maximum, pairs, torch.maximum)

    def exp(model, values):
        power = model.operator("EXP", values, [("float32", [len(SPECIAL)])])
        return add(model, power, zero_or_nan(model, values[0], [len(SPECIAL)]), [len(SPECIAL)])

    yield Row("*form*", "EXP(x) + MINIMUM(0, ABS(x))", exp, [array(SPECIAL)], torch.exp)

    def reduce_max(model, values):
        axis, options = [array([1], dtype=np.int32)], "ReducerOptions"
        top = out("REDUCE_MAX", [9], options, extra=axis, keepDims=False)(model, values)
        doubt = [zero_or_nan(model, values[0], [9, 9])]
        return add(model, top, out("SUM", [9], options, extra=axis, keepDims=False)(model, doubt), [9])

    x = array(np.tile(np.arange(9), (9, 1)))
    np.fill_diagonal(x, NAN)
    x[8] = [INF, -INF, 1, 2, 3, 4, 5, 6, 7]
    probe = "REDUCE_MAX(x) + SUM(MINIMUM(0, ABS(x)))"
    yield Row("*form*", probe, reduce_max, [x], lambda x: x.amax(1), pointwise=False)

    def rsqrt(model, values):
        root = model.operator("SQRT", values, [("float32", [len(SPECIAL)])])
        one = model.constant(array([1.0]))
        return model.operator("DIV", [one, root], [("float32", [len(SPECIAL)])], "DivOptions")

    yield Row("*form*", "DIV(1, SQRT(x))", rsqrt, [array(SPECIAL)], torch.rsqrt)


GROUPS = [unary_rows, binary_rows, reduce_rows, softmax_rows, image_rows, weighted_rows, cast_rows, form_rows]
