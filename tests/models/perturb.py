"""Weights for tests: seeded, with no parameter at a constant and no statistic at its initial value."""

import torch

NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)


@torch.no_grad()
def perturb(model, seed=0):
    """Moves every parameter that a constructor sets to one value, so that no branch of the network is dead.

    Shifts (0) become small numbers, gains (1) numbers around 1, layer scales (near 0) numbers around a half.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if not parameter.is_floating_point() or parameter.numel() == 0 or parameter.min() != parameter.max():
            continue
        value = parameter.flatten()[0].item()
        noise = torch.randn(parameter.shape, generator=generator)
        if value == 0:
            parameter.copy_(0.2 * noise)
        elif abs(value) < 1e-3:
            parameter.copy_(0.5 + 0.1 * noise)
        else:
            parameter.copy_(value * (1 + 0.2 * noise))


@torch.no_grad()
def learn_statistics(model, batches):
    """Sets the statistics of batch norms to their mean over `batches` (tuples of inputs), and eval mode.

    One input is not enough: with one message a network's message channels are constants, and the statistics' small
    variances would amplify rounding.
    """
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    if norms and batches:
        model.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        for inputs in batches:
            model(*inputs)
    return model.eval()
