"""Writes the archives that the reader of `.pt2` files is tested on, with the installed torch.

    python tests/archives/make.py        # into tests/archives/<torch's version>/

Each program is one clause of the format: how weights are stored, how sizes are spelled, what writes and regions look
like. `NAME.safetensors` beside an archive holds its weights (`NAME` of the module) or one run (`input.N`, `output.N`).
The archives that are checked in come from torch 2.9.1, 2.11.0, 2.14.1 and 2.15.0.
"""

import pathlib
import sys

import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "python"))

from edgewright import lines, tensors  # noqa: E402

VERSION = ".".join(torch.__version__.split("+")[0].split(".")[:2])
OUT = HERE / VERSION


def save(name, module, args, recorded=None, decompose=False, stem=None, **options):
    """Exports and saves one program; `recorded` is written beside it, a run if it is None."""
    program = torch.export.export(module, args, **options)
    if decompose:
        program = program.run_decompositions()
    lines.shorten_paths(program, HERE)
    torch.export.save(program, OUT / f"{stem or name}.pt2")
    if recorded is None:
        recorded = run(module, args)
    if recorded:
        tensors.save(recorded, OUT / f"{stem or name}.safetensors")
    return program


def run(module, args):
    """One run as `input.N` and `output.N`; the arguments stay as they are."""
    given = [a.clone() for a in torch.utils._pytree.tree_leaves(args)]
    state = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with torch.no_grad():
        results = module(*torch.utils._pytree.tree_map(torch.clone, args))
    for name, buffer in module.named_buffers():
        buffer.copy_(state[name])
    results = [r for r in torch.utils._pytree.tree_leaves(results) if isinstance(r, torch.Tensor)]
    recorded = {f"input.{i}": t.contiguous() for i, t in enumerate(given)}
    recorded.update({f"output.{i}": t.contiguous() for i, t in enumerate(results)})
    return recorded


def randn(*sizes, seed=0):
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed))


# Weights: each way in which PyTorch lays a tensor in a storage.


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(randn(6, 4))
        self.tied = self.embedding
        self.transposed = nn.Parameter(randn(4, 8, seed=1).t())
        whole = randn(100, seed=2)
        self.register_buffer("slice_a", whole[10:30])
        self.register_buffer("slice_b", whole[50:80].view(5, 6))
        self.register_buffer("every_second", randn(16, seed=3)[::2])
        self.register_buffer("expanded", randn(8, seed=4).expand(4, 8))
        self.register_buffer("channels_last", randn(1, 2, 3, 4, seed=5).to(memory_format=torch.channels_last))
        self.register_buffer("scalar", torch.tensor(2.5))
        self.register_buffer("empty", torch.zeros(0, 3))
        self.register_buffer("bf16", randn(3, 5, seed=6).bfloat16())
        self.register_buffer("f16", randn(3, 5, seed=7).half())
        self.register_buffer("f64", randn(3, seed=8).double())
        self.register_buffer("i8", torch.arange(-3, 4, dtype=torch.int8))
        self.register_buffer("u8", torch.arange(250, 256, dtype=torch.int16).to(torch.uint8))
        self.register_buffer("i16", torch.tensor([-30000, 30000], dtype=torch.int16))
        self.register_buffer("i32", torch.tensor([[-5], [70000]], dtype=torch.int32))
        self.register_buffer("i64", torch.tensor([1 << 40, -1]))
        self.register_buffer("bools", torch.tensor([True, False, True]))
        self.register_buffer("fleeting", randn(2, 3, seed=9), persistent=False)
        self.attribute = randn(3, 2, seed=10)

    def names(self):
        """Every tensor of the module."""
        names = [name for name, _ in self.named_parameters(remove_duplicate=False)]
        return names + [name for name, _ in self.named_buffers()] + ["attribute"]

    def forward(self, x):
        return {name: getattr(self, name).clone() for name in self.names()} | {"x": x + torch.tensor([1.0, 2.0])}


# Symbols.


class MessageProcessor(nn.Module):
    """Looks bits up in a table and lays their sum over the latents."""

    def __init__(self, bits=16, hidden=6):
        super().__init__()
        self.table = nn.Embedding(2 * bits, hidden)
        self.mix = nn.Conv2d(hidden + 3, 3, 1)

    def forward(self, latents, msg):
        indices = 2 * torch.arange(msg.shape[-1])
        indices = indices.unsqueeze(0).repeat(msg.shape[0], 1)
        vector = self.table((indices + msg).long()).sum(-2)
        plane = vector.view(-1, vector.shape[-1], 1, 1).repeat(1, 1, latents.shape[-2], latents.shape[-1])
        return self.mix(torch.cat([latents, plane], dim=1))


class Halves(nn.Module):
    """Sizes that are functions of sizes."""

    def forward(self, x, y):
        return x[..., ::2, 1:], x[:, :, : x.shape[2] // 2], y.reshape(2, -1)


class Resized(nn.Module):
    """Sizes that come from real numbers."""

    def forward(self, x):
        pooled = nn.functional.max_pool2d(x, 3, 2, 1)
        return nn.functional.interpolate(pooled, scale_factor=1.7, mode="nearest")


# Regions.


class NoGrad(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        x = torch.relu(x)
        with torch.no_grad():
            y = self.inner(x)
            y = y * 2
        return torch.sin(y) + x


class Autocast(nn.Module):
    def __init__(self, enabled):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.enabled = enabled

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.enabled):
            y = self.inner(x) + 1
        return y.float() * 2


class Cond(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))


# Writes.


class InPlace(nn.Module):
    """In-place activations and sums, as most models have them."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.act(self.one(x))
        z = y
        y += x
        y.mul_(0.5).clamp_(-1, 1)
        return y * z, z


class SliceWrites(nn.Module):
    """A detection head: parts of a tensor are written through views, and the whole is read."""

    def forward(self, x):
        y = x.sigmoid()
        y[..., 0:2] = (y[..., 0:2] * 2 - 0.5) * 8
        y[..., 2:4] = (y[..., 2:4] * 2) ** 2
        y[:, 1] = 5
        flat = y.view(y.shape[0], -1)
        flat[:, 0] += 1
        return y, flat.sum(1)


class DeepViews(nn.Module):
    """Writes through chains of views, seen through other views of the same memory."""

    def forward(self, x):
        base = x * 1
        turned = base.transpose(1, 2)
        first, second = turned.split([1, 3], dim=1)
        row = second.unsqueeze(0).squeeze(0)[:, 1]
        row.add_(10)
        top, *_ = base.unbind(0)
        top.zero_()
        base.view(-1)[::7].mul_(-1)
        base[1].t()[0].copy_(torch.arange(3))
        base.permute(2, 0, 1).diagonal(dim1=0, dim2=2).fill_(7)
        return base, turned, first, row


class Casts(nn.Module):
    """A write keeps the dtype of what it writes to."""

    def forward(self, x, wide):
        a = x * 1
        a += wide
        b = (x > 0).to(torch.int64)
        b += 1
        b.copy_(x)
        c = x * 1
        c.ge_(0)
        return a, b, c


class Reshapes(nn.Module):
    """A reshape shares memory or not, by strides."""

    def forward(self, x):
        base = x * 1
        shares = base.reshape(2, -1)
        copied = base.transpose(0, 1).reshape(2, -1)
        packed = base.contiguous()
        same = base.to(torch.float32)
        base.add_(1)
        shares[:, 0] = 100
        return base, shares, copied, packed, same


class Axes(nn.Module):
    """Tensors that are given other axes in place, and then written."""

    def forward(self, x):
        base = x * 1
        turned = base.view(4, 3)
        turned.transpose_(0, 1).unsqueeze_(0)
        turned.mul_(2)
        turned[0, 1] = 9
        filled = torch.zeros(2, 3)
        filled[1] = base[0, :3]
        filled[:, ::2] -= 1
        return base, turned, filled


class Strided(nn.Module):
    """Memory seen in other steps: within a tensor, and beyond it."""

    def __init__(self, beyond):
        super().__init__()
        self.beyond = beyond

    def forward(self, x):
        y = x * 1
        if self.beyond:
            y = y[1]
        return y.as_strided((2, 2), (3, 1), 1)


class InputWritten(nn.Module):
    def forward(self, x):
        x.mul_(2)
        return x + 1


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x):
        self.count += 1
        return x + self.count


class Scratch(nn.Module):
    """A buffer that is filled before it is read is no state."""

    def __init__(self):
        super().__init__()
        self.register_buffer("room", torch.zeros(3))

    def forward(self, x):
        self.room.copy_(x)
        self.room.add_(1)
        return x * self.room


class Masked(nn.Module):
    def forward(self, x, mask):
        y = x.clone()
        y.masked_fill_(mask, float("-inf"))
        z = x.clone()
        z[mask] = 3.0
        return y, z


# Names, and what cannot be compiled.


class Structured(nn.Module):
    def forward(self, x, *, scale, options):
        return {"y": x * scale, "levels": [x + options["bias"], 3], "label": "text", "none": None}


class Trained(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.norm(x))


class Nonzero(nn.Module):
    def forward(self, x):
        return x.nonzero() + 1


@torch.library.custom_op("mylib::double_it", mutates_args=())
def double_it(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@double_it.register_fake
def _(x):
    return torch.empty_like(x)


class Custom(nn.Module):
    def forward(self, x):
        unused = double_it(x[0])  # noqa: F841
        return torch.relu(double_it(x))


class Indexed(nn.Module):
    def forward(self, x, i, j):
        return x[i, :, j], x[:, i], x[..., None, 1]


def helper(x):
    x = x * 2
    return x.sin()


class Lines(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x):
        y = helper(x)
        return (
            self.body(y)
            .mean(1)
        )


def weights():
    module = Weights()
    values = {name: getattr(module, name).detach().contiguous() for name in module.names()}
    save("weights", module, (torch.ones(2),), recorded=values)


def symbols():
    module = MessageProcessor().eval()
    latents, message = randn(1, 3, 6, 6), torch.zeros(1, 16, dtype=torch.int64)
    auto = torch.export.Dim.AUTO
    save("message", module, (latents, message))
    save("message-small", module, (latents[..., :4], message[:, :9]))
    dynamic = {"latents": {0: auto, 2: auto, 3: auto}, "msg": {0: auto, 1: auto}}
    example = (randn(2, 3, 6, 7), torch.zeros(2, 16, dtype=torch.int64))
    save("message-dynamic", module, example, dynamic_shapes=dynamic)
    height = torch.export.Dim("height", min=4, max=12)
    named = {"latents": {2: height}, "msg": None}
    save("message-named", module, (latents, message), dynamic_shapes=named)
    half = torch.export.Dim("half", min=2, max=50)
    halves = {"x": {2: auto, 3: auto}, "y": {0: 2 * half}}
    save("halves", Halves(), (randn(1, 1, 11, 8), randn(6, 2)), dynamic_shapes=halves)
    save("resized", Resized(), (randn(1, 1, 11, 8),), dynamic_shapes={"x": {2: auto, 3: auto}})


def regions():
    save("no-grad", NoGrad(), (randn(2, 4),))
    save("autocast-off", Autocast(False), (randn(2, 4),))
    save("autocast-on", Autocast(True), (randn(2, 4),))
    save("cond", Cond(), (randn(4),))


def writes():
    save("in-place", InPlace(), (randn(2, 4),))
    save("slice-writes", SliceWrites(), (randn(2, 3, 6),))
    save("slice-writes-decomposed", SliceWrites(), (randn(2, 3, 6),), decompose=True)
    save("deep-views", DeepViews(), (randn(2, 3, 4),))
    save("casts", Casts(), (randn(3), randn(3).double() * 1e3))
    save("reshapes", Reshapes(), (randn(3, 4),))
    save("input-written", InputWritten(), (randn(3),))
    save("counter", Counter(), (randn(3),))
    save("counter-decomposed", Counter(), (randn(3),), decompose=True)
    save("axes", Axes(), (randn(3, 4),))
    save("strided", Strided(False), (randn(3, 4),))
    save("strided-beyond", Strided(True), (randn(3, 4),))
    save("scratch", Scratch(), (randn(3),))
    save("masked", Masked(), (randn(2, 3), torch.tensor([[True, False, True], [False, False, True]])))


def others():
    keywords = {"scale": torch.tensor(2.0), "options": {"bias": torch.tensor(1.0)}}
    save("structured", Structured(), (randn(3),), kwargs=keywords, recorded={})
    save("trained", Trained().train(), (randn(4, 3),), recorded={})
    save("nonzero", Nonzero(), (randn(4),), recorded={})
    save("custom", Custom(), (randn(4),), recorded={})
    save("indexed", Indexed(), (randn(3, 4, 5), torch.tensor([0, 2]), torch.tensor([1, -1])))
    save("lines", Lines(), (randn(3, 4),))
    save("lines-strict", Lines(), (randn(3, 4),), strict=True)
    save("lines-decomposed", Lines(), (randn(3, 4),), decompose=True)
    save("root", Lines(), (randn(3, 4),), stem="my.model v1", recorded={})


def without_weights():
    with torch.device("meta"):
        meta = nn.Linear(4, 2)
    save("meta", meta, (torch.ones(3, 4, device="meta"),), recorded={})


def two_programs():
    from torch.export.pt2_archive._package import package_pt2

    programs = {
        "encoder": torch.export.export(nn.Linear(4, 2), (randn(1, 4),)),
        "decoder": torch.export.export(nn.Linear(2, 4), (randn(1, 2),)),
    }
    for program in programs.values():
        lines.shorten_paths(program, HERE)
    package_pt2(OUT / "two.pt2", exported_programs=programs)


def main():
    torch.manual_seed(0)
    OUT.mkdir(exist_ok=True)
    for part in (weights, symbols, regions, writes, others, without_weights, two_programs):
        part()
    large = [path.name for path in OUT.iterdir() if path.stat().st_size > 64 << 10]
    if large:
        raise SystemExit(f"larger than 64 KiB: {large}")


if __name__ == "__main__":
    main()
