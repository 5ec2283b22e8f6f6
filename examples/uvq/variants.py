"""The models that can be exported, by name: the networks each is made of, and the inputs it is run on."""

import dataclasses
from collections.abc import Callable

import torch

from . import inputs, weights
from .content import ContentOfPixels
from .distortion import DistortionOfPixels, DistortionOfVideo, MergedDistortion
from .score import Score


@dataclasses.dataclass
class Variant:
    """A model to export: from a checkpoint (or None, for seeded weights) to the module, and from a seed to its inputs."""

    build: Callable[[str | None], torch.nn.Module]
    inputs: Callable[[int], tuple]


def distortion(wrapper, example):
    return Variant(lambda checkpoint=None: wrapper(weights.distortion_net(checkpoint)), example)


def patches(number):
    return lambda seed: (inputs.patches(number, seed),)


def score(checkpoint=None):
    nets = (weights.content_net, weights.distortion_net, weights.aggregation_net)
    return Score(*[net(checkpoint) for net in nets])


VARIANTS = {
    "content": Variant(
        lambda checkpoint=None: ContentOfPixels(weights.content_net(checkpoint)),
        lambda seed: (inputs.small_frame(seed),),
    ),
    "content_1080p": Variant(weights.content_net, lambda seed: (inputs.frame(seed=seed),)),
    "distortion_1patch": distortion(DistortionOfPixels, patches(1)),
    "distortion_3patch": distortion(DistortionOfPixels, patches(3)),
    "distortion_9patch": distortion(DistortionOfPixels, patches(9)),
    "distortion_9agg": distortion(MergedDistortion, patches(9)),
    "distortion_frame": distortion(DistortionOfVideo, lambda seed: (inputs.video(seed),)),
    "aggregation": Variant(weights.aggregation_net, inputs.features),
    "full": Variant(score, lambda seed: (inputs.video(seed),)),
}
