"""The three networks with weights: those of a checkpoint, or seeded ones in which no branch does nothing."""

import pathlib

import torch
from torch import nn

from . import inputs
from .aggregation import AggregationNet
from .content import ContentNet
from .distortion import DistortionNet, split


def content_net(checkpoint=None):
    if checkpoint:
        return load(ContentNet(), checkpoint, "content_net.pth")
    return seeded(ContentNet, torch.cat([inputs.frame(256, 256, seed) for seed in range(4)]))


def distortion_net(checkpoint=None):
    if checkpoint:
        return load(DistortionNet(), checkpoint, "distortion_net.pth")
    return seeded(DistortionNet, split(inputs.frame()))


def aggregation_net(checkpoint=None):
    if checkpoint:
        return load(AggregationNet(), checkpoint, "aggregation_net.pth")
    return seeded(AggregationNet)


def load(net, checkpoint, name):
    """Fills a network with a checkpoint as it is published, a file that holds its `state_dict` alone.

    checkpoint: the file, or the folder in which it is called `name`. A name that the file or the network lacks, or a shape
    that differs, is an error (RuntimeError, with all of them).
    """
    path = pathlib.Path(checkpoint)
    state = torch.load(path / name if path.is_dir() else path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise RuntimeError(f"it holds no names and tensors, but {type(state).__name__}")
    net.load_state_dict(state)
    return net.eval()


@torch.no_grad()
def seeded(construct, sample=None, seed=0):
    """A network with weights for trying things out, the same on every run.

    construct: gives the network. What it leaves at one value (the gains and shifts of norms) gets values around it.
    sample: a tensor the network is run on, for the statistics of its batch norms.
    """
    torch.manual_seed(seed)
    net = construct()
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        if parameter.numel() > 1 and parameter.min() == parameter.max():
            spread = 0.2 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(spread if parameter.max() == 0 else parameter * (1 + spread))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the statistics become those of the sample
    if norms:
        net.train()
        net(sample)
    return net.eval()
