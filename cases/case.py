"""What an operator case is, and the words for its inputs."""

import inspect
import pathlib
import zlib

import torch
from torch.utils import _pytree as pytree

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Case:
    """One operator as a user would write it in PyTorch, with the inputs it is run on.

    name: the fixture's file name; kebab-case, unique in its file.
    model: a function of tensors, or a module (its weights are filled from the case's seed).
    inputs: tensors, or draws such as `randn(2, 3)`, which take their values from the case's seed.
    core: whether the program is decomposed into core ATen operators before it is saved.
    options: passed on to `torch.export.export`: `dynamic_shapes`, `strict`.
    """

    def __init__(self, name, model, *inputs, core=False, **options):
        caller = inspect.currentframe().f_back
        self.name = name
        self.model = model
        self.inputs = inputs
        self.core = core
        self.options = options
        self.file = pathlib.Path(caller.f_code.co_filename).resolve().relative_to(ROOT).as_posix()
        self.line = caller.f_lineno

    def build(self):
        """The module in eval mode and its inputs; the same on every run, whatever other cases there are."""
        generator = torch.Generator().manual_seed(zlib.crc32(f"{self.file} {self.name}".encode()))
        module = self.model if isinstance(self.model, torch.nn.Module) else Function(self.model)
        fill(module, generator)
        inputs = pytree.tree_map(lambda given: given(generator) if isinstance(given, Draw) else given, self.inputs)
        return module.eval(), inputs


class Function(torch.nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


class Draw:
    """A tensor still to be drawn: called with a generator, it gives the values."""

    def __init__(self, values):
        self._values = values

    def __call__(self, generator):
        return self._values(generator)


def randn(*shape, dtype=torch.float32, scale=1.0):
    """Normally distributed values times `scale`."""
    return Draw(lambda generator: (normal(shape, generator) * scale).to(dtype))


def uniform(*shape, low=0.0, high=1.0, dtype=torch.float32):
    """Values in `low`…`high`, for functions that are defined on a part of the line."""
    return Draw(lambda generator: (low + (high - low) * torch.rand(shape, generator=generator)).to(dtype))


def integers(*shape, low=-10, high=10, dtype=torch.int64):
    """Integers `low`…`high`, both included."""
    return Draw(lambda generator: torch.randint(low, high + 1, shape, generator=generator).to(dtype))


def booleans(*shape):
    """True and False alike often."""
    return Draw(lambda generator: torch.rand(shape, generator=generator) < 0.5)


def ties(*shape, dtype=torch.float32):
    """Multiples of a half between -1 and 1: many are equal, halves round to even, and zeros of both signs occur."""

    def values(generator):
        drawn = torch.randint(-2, 3, shape, generator=generator) / 2
        sign = torch.where(torch.rand(shape, generator=generator) < 0.5, -1.0, 1.0)
        return torch.where(drawn == 0, torch.copysign(torch.zeros(()), sign), drawn).to(dtype)

    return Draw(values)


def specials(dtype=torch.float32):
    """[16] what arithmetic is most often wrong on: NaN, infinities, both zeros, the smallest, the largest, halves."""
    values = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5]
    return torch.tensor(values + [1e-5, -1e-5, 3e38, -3e38], dtype=torch.float32).to(dtype)


def normal(shape, generator):
    """Nearly normal values that are the same on every machine, which `torch.randn` does not promise.

    Twelve uniform values less six: their sum is exact in float64, so its order does not matter.
    """
    return (torch.rand((12, *shape), generator=generator).double().sum(0) - 6).float()


@torch.no_grad()
def fill(module, generator):
    """Seeded weights, so that no parameter is a constant and no statistic is the initial one."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if not tensor.is_floating_point():
            continue
        noise = normal(tensor.shape, generator)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif name.endswith("weight") and tensor.dim() == 1:
            tensor.copy_(1 + 0.3 * noise)
        else:
            tensor.copy_(0.5 * noise)
