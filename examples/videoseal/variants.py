"""What can be exported of a model: its embedder, its detector, the heat map, and the embedder's network alone."""

import dataclasses
from collections.abc import Callable

import torch

from . import inputs, weights
from .model import (
    Detection,
    DetectionOfPixels,
    Embedding,
    EmbeddingOfPixels,
    HeatMap,
    HeatMapOfPixels,
    RgbToYuv,
    Watermark,
)


@dataclasses.dataclass
class Variant:
    """A module to export, and from a seed the inputs it is run on."""

    construct: Callable[[], torch.nn.Module]
    inputs: Callable[[int], tuple]
    # How many images and messages the statistics of batch norms are taken over.
    examples: int = 0

    def build(self, checkpoint=None):
        """The module in eval mode, with the weights of an official checkpoint or with seeded ones."""
        if checkpoint:
            return weights.load(self.construct(), checkpoint)
        runs = [self.inputs(100 + index) for index in range(self.examples)]
        return weights.seeded(self.construct, [torch.cat(column) for column in zip(*runs)])


def embedder(card, pixels=False, examples=6):
    """pixels: images are stored pixel by pixel."""
    module = EmbeddingOfPixels if pixels else Embedding
    return Variant(lambda: module(card), lambda seed: (image(seed, pixels), inputs.message(card.bits, seed)), examples)


def embedder_core(card, examples=6):
    """The network alone, on the luma of what the whole is run on, so that both have the same weights."""

    def run(seed):
        return RgbToYuv()(inputs.image(seed))[:, :1].contiguous(), inputs.message(card.bits, seed)

    return Variant(lambda: Watermark(card), run, examples)


def detector(card, pixels=False):
    module = DetectionOfPixels if pixels else Detection
    return Variant(lambda: module(card), lambda seed: (image(seed, pixels),))


def heat_map(pixels=False):
    return Variant(HeatMapOfPixels if pixels else HeatMap, lambda seed: (image(seed, pixels),))


def image(seed, pixels):
    made = inputs.image(seed)
    return inputs.channels_last(made) if pixels else made
