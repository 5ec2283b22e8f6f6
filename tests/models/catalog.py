"""The models of the whole-model tests, by name: how each is built, and what it is run on."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable

import torch

import blocks
import uvq_models
import videoseal_models
from big import Big
from perturb import learn_statistics, perturb

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Model:
    """A model to build: a constructor, its inputs from a seed, and what `torch.export` is told of its shapes."""

    construct: Callable[[], torch.nn.Module]
    inputs: Callable[[int], tuple]
    dynamic_shapes: Callable[[], dict] | None = None
    # What it is exported with where that differs: a batch of one would make a dynamic batch a fixed one.
    example: Callable[[], tuple] | None = None
    # The shapes to pin, as `edgewright convert --shape` takes them.
    shapes: tuple[str, ...] = ()
    # 0 where the constructor brings weights, and statistics with them.
    statistics_batches: int = 6

    def build(self):
        """The model in eval mode: seeded weights, perturbed, statistics from several inputs."""
        torch.manual_seed(0)
        model = self.construct()
        if not self.statistics_batches:
            return model.eval()
        perturb(model)
        return learn_statistics(model, [self.inputs(100 + index) for index in range(self.statistics_batches)])


def image(seed, channels, height, width=None):
    """[1, channels, height, width] in 0…1: waves and noise, with squares of full black and white."""
    width = width or height
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    planes = []
    for _ in range(channels):
        a, b, c = torch.rand(3, generator=generator) * 12
        wave = 0.5 + 0.3 * torch.sin(a * x + b * y * y + c)
        planes.append((wave + 0.1 * torch.randn(height, width, generator=generator)).clamp(0, 1))
    made = torch.stack(planes)[None]
    size, place = height // 8, int(torch.randint(height // 2, (1,), generator=generator))
    made[..., place : place + size, :size] = 0
    made[..., place : place + size, size : 2 * size] = 1
    return made


def message(seed, bits):
    return torch.randint(0, 2, (1, bits), generator=torch.Generator().manual_seed(seed)).float()


def big_inputs(seed, rows):
    tokens = torch.randint(0, rows, (1, 4), generator=torch.Generator().manual_seed(seed))
    return image(seed, 3, 16), tokens


def watermark():
    """The example's network, which brings its own weights."""
    sys.path.append(str(ROOT / "examples" / "watermark"))
    from model import Embedder

    return Embedder(bits=16)


def torchvision_model(name):
    from torchvision import models

    return getattr(models, name)(weights=None)


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


MODELS = {
    "upsample_block": Model(blocks.UpsampleBlock, lambda seed: (normal(seed, 1, 16, 32, 32),)),
    "convnext_blocks": Model(blocks.ConvNeXtBlocks, lambda seed: (image(seed, 3, 32),)),
    "watermark": Model(watermark, lambda seed: (image(seed, 1, 64), message(seed, 16))),
    "vs10_embedder_core_dynamic": Model(
        videoseal_models.CORE.build,
        videoseal_models.CORE.inputs,
        videoseal_models.core_shapes,
        videoseal_models.core_example,
        ("imgs_y=1,1,256,256", "msgs=1,256"),
        statistics_batches=0,
    ),
    "resnet18": Model(lambda: torchvision_model("resnet18"), lambda seed: (normal(seed, 1, 3, 224, 224),)),
    "mobilenet_v2": Model(lambda: torchvision_model("mobilenet_v2"), lambda seed: (normal(seed, 1, 3, 224, 224),)),
    "big": Model(Big, lambda seed: big_inputs(seed, 8704), statistics_batches=2),
    "big_600mb": Model(lambda: Big(0.455), lambda seed: big_inputs(seed, 3960), statistics_batches=2),
    **{
        name: Model(*row, statistics_batches=0)
        for name, row in {**uvq_models.ROWS, **videoseal_models.ROWS}.items()
    },
}
