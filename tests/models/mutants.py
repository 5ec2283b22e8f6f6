"""Five small mistakes a converter makes, each made to a model in PyTorch: a bar that lets one pass is too low."""

import torch
from torch import nn


def eps_times_ten(model):
    """Every normalization with ten times its epsilon."""
    norms = [module for module in model.modules() if isinstance(getattr(module, "eps", None), float)]
    for norm in norms:
        norm.eps *= 10
    return bool(norms)


def other_gelu(model):
    """The tanh form in place of the exact GELU, and the other way round."""
    gelus = [module for module in model.modules() if isinstance(module, nn.GELU)]
    for gelu in gelus:
        gelu.approximate = "none" if gelu.approximate == "tanh" else "tanh"
    return bool(gelus)


def align_corners(model):
    """Bilinear upsampling with its corners aligned."""
    resizes = [module for module in model.modules() if isinstance(module, nn.Upsample) and module.scale_factor != 1]
    for resize in resizes:
        resize.align_corners = not resize.align_corners
    return bool(resizes)


def dropped_bias(model):
    """The last convolution or linear layer that has a bias, without it."""
    biased = [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None
    ]
    if not biased:
        return False
    with torch.no_grad():
        biased[-1].bias.zero_()
    return True


def skipped_block(model):
    """One residual block left out: the last one whose output has the shape of its input."""
    skippable = [
        (parent, name)
        for parent in model.modules()
        if isinstance(parent, nn.Sequential) and len(parent) > 1
        for name, child in parent.named_children()
        if keeps_shape(child)
    ]
    if not skippable:
        return False
    parent, name = skippable[-1]
    setattr(parent, name, nn.Identity())
    return True


def keeps_shape(block):
    """Whether a block of several layers gives images or vectors of the size it takes."""
    layers = [module for module in block.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    if len(layers) < 2 or any(module.stride != (1, 1) for module in layers if isinstance(module, nn.Conv2d)):
        return False
    return width(layers[0])[0] == width(layers[-1])[1]


def width(layer):
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


MUTANTS = [eps_times_ten, other_gelu, align_corners, dropped_bias, skipped_block]
