"""Asks LiteRT's kernels what they do with NaN, infinities, ties and zeros, and compares with PyTorch.

Each row is a model of one operator, run with XNNPACK and with the builtin kernels, in a process of its own.
`python bench/probe_kernels.py > docs/kernels.md` needs ai-edge-litert 2.3.0, numpy and torch.
"""

import multiprocessing
from pathlib import Path

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from kernel_probes import GROUPS
from tiny_model import Model

KERNELS = {
    "XNNPACK": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def run(data, inputs, resolver):
    """The first output, and whether the delegate took every operator."""
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), "DELEGATE" in names


def build(row):
    model = Model()
    values = [model.input(f"x{i}", str(a.dtype), a.shape) for i, a in enumerate(row.inputs)]
    return model.finish(row.model(model, values))


def number(value):
    value = np.asarray(value).item()
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def verdict(row, got, single, double):
    """What differs from PyTorch (`single`: in float32, `double`: in float64), in a few words."""
    if got.shape != single.shape:
        return f"shape {list(got.shape)}, not {list(single.shape)}"
    if got.dtype.kind != "f":
        return examples(row, got != single, got, single) or "="
    special = np.isnan(got) != np.isnan(single)
    special |= (np.isinf(got) | np.isinf(single)) & (got != single) & ~np.isnan(got)
    zero = (got == 0) & (single == 0) & (np.signbit(got) != np.signbit(single))
    parts = [examples(row, special, got, single)]
    if zero.any():
        parts.append("sign of zero: " + examples(row, zero, got, single, 1))
    parts.append(accuracy(row, got, double))
    return "; ".join(filter(None, parts)) or "="


def accuracy(row, got, want):
    """The greatest error in units in the last place and its place, and the greatest absolute error."""
    finite = np.isfinite(got) & (np.abs(want) < 3.4e38)
    got, want = np.where(finite, got, 0).astype(np.float64), np.where(finite, want, 0)
    flushed = (np.abs(want) < 1.2e-38) & (got == 0)
    error = np.where(flushed, 0, np.abs(got - want))
    ulps = error / np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
    note = "subnormal results are 0" if (flushed & (np.abs(want) > 1e-45)).any() else ""
    at = ulps.argmax()
    if ulps.flat[at] <= 0.51:
        return note
    where = "" if ulps.flat[at] < 64 else f" where the result is {want.flat[at]:.3g}{place(row, got, at)}"
    text = f"≤ {ulps.flat[at]:.3g} ulp{where}, abs {error.max():.2g}"
    return f"{note}; {text}" if note else text


def place(row, got, at):
    if not row.pointwise:
        return ""
    return " at " + ", ".join(number(np.broadcast_to(x, got.shape).flat[at]) for x in row.inputs)


def examples(row, wrong, got, want, limit=3):
    """The first few of the elements that are `wrong`, each by its inputs, what came and what should have."""
    wrong = np.flatnonzero(wrong)
    shown = []
    for i in wrong[:limit]:
        inputs = place(row, got, i).removeprefix(" at ") or f"[{i}]"
        text = f"{inputs} → {number(got.flat[i])}, not {number(want.flat[i])}"
        if text not in shown:
            shown.append(text)
    more = f" … {len(wrong)} of {got.size}" if len(wrong) > limit else ""
    return "; ".join(shown) + more


def reference(row, dtype):
    inputs = [torch.from_numpy(x) for x in row.inputs]
    inputs = [x.to(dtype) if x.is_floating_point() else x for x in inputs]
    return row.torch(*inputs).numpy()


def judge(row):
    """The three columns of a row."""
    data, cells = build(row), []
    try:
        single, double = reference(row, torch.float32), reference(row, torch.float64)
    except RuntimeError as e:
        single, double = None, str(e)
    for name, resolver in KERNELS.items():
        try:
            got, delegated = run(data, row.inputs, resolver)
            text = str(got.tolist()) if single is None else verdict(row, got, single, double)
            cells.append(text if delegated == (name == "XNNPACK") else "not taken")
        except (RuntimeError, ValueError) as e:
            cells.append("refused: " + str(e).splitlines()[0].partition("Node number")[0])
    cells.append("refused: " + double if single is None else verdict(row, single, single, double))
    return cells


def in_process(row):
    """`judge` in a child, so that an abort is an answer."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(judge(row)))
    child.start()
    theirs.close()
    try:
        cells = ours.recv()
    except EOFError:
        cells = ["aborts", "aborts", ""]
    child.join()
    return cells


HEAD = """# What LiteRT's kernels do

*Written by `bench/probe_kernels.py` with LiteRT 2.3.0, float32, on a processor with {features}. XNNPACK has other
kernels for other processors.*

## What follows

- **NaN is lost** by EXP under XNNPACK (0 comes out), by MAXIMUM and MINIMUM where it is the first operand (the second
  comes out; so a constant goes first), by REDUCE_MAX and REDUCE_MIN unless it is read last, by ARG_MAX, ARG_MIN and
  MAX_POOL_2D, and by AVERAGE_POOL_2D under XNNPACK (−∞ comes out). RELU, RELU6, LEAKY_RELU, ELU, LOGISTIC, TANH, GELU,
  SOFTMAX, SUM, MEAN, comparisons, SELECT_V2, and fused activations keep it.
- **NaN can be kept** by adding MINIMUM(0, ABS(x)), which is 0, or NaN where x is, and whose operators XNNPACK takes:
  see the rows named *form*. Beside what is said below, these differ from PyTorch only in the sign of a zero.
- **±∞ becomes ±3.4e38** in builtin kernels that have a fused activation, even where it is NONE: ADD, SUB, MUL, DIV,
  FULLY_CONNECTED, CONV_2D, DEPTHWISE_CONV_2D, and the pools. XNNPACK's keep it.
- **Subnormals are 0** under XNNPACK, on the way in and out.
- **Large and zero arguments under XNNPACK:** SQRT and RSQRT are wrong above 8.5e37, LOG gives ∞ above 2.4e38, RSQRT(0)
  is NaN (DIV(1, SQRT(x)) is right there), SIN and COS of very large numbers are NaN.
- **A zero divisor stops the run** with an error in FLOOR_DIV (of float32 too) and in integer DIV and FLOOR_MOD.
- CAST saturates where PyTorch's result depends on the processor. SIGN(NaN) is NaN, where PyTorch gives 0.
- **Sums along axes before the last** are kept in one number: SUM and MEAN of 57,600 equal pixels err by 7,600 ulp, by 48
  where rows are added up first, and then their sums.
- MIRROR_PAD (reflect), PADV2 (−∞), nearest resizes, grouped CONV_2D and bilinear resizes are PyTorch's, except that a
  bilinear resize multiplies ∞ by weight 0 in places where PyTorch does not.

## How to read the table

Each row is a model of one operator, run on values that kernels treat differently. The two columns in the middle say
how the result differs from PyTorch's; `a → b, not c` reads: from the input a (or at the element [a]) the kernel gives b
where PyTorch gives c. `=` is equal, to half a unit in the last place (ulp) of PyTorch's float64 result. *not taken*
means that XNNPACK leaves the operator to the builtin kernel. The last column is PyTorch's float32 against its float64.

| operator | probe | XNNPACK | builtin | PyTorch float32 |
|---|---|---|---|---|"""


def features():
    """The vector extensions of this processor that XNNPACK chooses its kernels by."""
    info = Path("/proc/cpuinfo").read_text().split()
    names = {"avx512f": "AVX-512", "avx2": "AVX2", "asimd": "NEON"}
    return next((name for flag, name in names.items() if flag in info), "no vector extension known here")


def main():
    torch.set_num_threads(1)
    print(HEAD.format(features=features()))
    for group in GROUPS:
        for row in group():
            print("| " + " | ".join([row.operator, row.probe, *in_process(row)]) + " |", flush=True)


if __name__ == "__main__":
    main()
