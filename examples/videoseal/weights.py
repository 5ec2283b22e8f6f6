"""The models with weights: those of an official checkpoint, or seeded ones in which no branch does nothing."""

import torch
from torch import nn

# What a checkpoint's names begin with; a model takes those it has and leaves the others.
PARTS = ("embedder.", "detector.", "attenuation.", "rgb2yuv.")
# These are constants, which a checkpoint may leave out.
CONSTANTS = ("attenuation.", "rgb2yuv.")


def load(model, path):
    """Fills a model with an official checkpoint, a file of {'model': names → tensors, 'args': …}.

    Every name that the model lacks, or the checkpoint, or whose shape differs is an error (RuntimeError, with all).
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("model"), dict):
        raise RuntimeError(f"{path} is not a checkpoint of these models: it holds no 'model' with names and tensors")
    own = model.state_dict()
    parts = [part for part in PARTS if any(name.startswith(part) for name in own)]
    left = [part for part in PARTS if part not in parts]
    state = {name: tensor for name, tensor in checkpoint["model"].items() if not name.startswith(tuple(left))}
    for name, tensor in own.items():
        if name.startswith(CONSTANTS):
            state.setdefault(name, tensor)
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def seeded(construct, batch=None, seed=0):
    """A model with weights for trying things out, the same on every run.

    construct: gives the model. What it leaves at one value (the gains and shifts of norms, the vectors of positions)
    gets values around it.
    batch: inputs the model is run on, for the statistics of its batch norms. They must be of several messages: with one
    the message's channels are constants, and small variances would amplify rounding.
    """
    torch.manual_seed(seed)
    model = construct()
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.numel() > 1 and parameter.min() == parameter.max():
            spread = 0.2 * torch.randn(parameter.shape, generator=generator)
            parameter.copy_(spread if parameter.max() == 0 else parameter * (1 + spread))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    model.eval()
    if norms:
        for norm in norms:
            norm.momentum = None  # the statistics become those of the batch
            norm.train()
        model(*batch)
    return model.eval()
