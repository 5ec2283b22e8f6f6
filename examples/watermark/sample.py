"""A picture, a message and weights for the example, the same on every run."""

import torch


def picture(size=64):
    """A luma image [1, 1, size, size]: two gradients, rings, and squares of full black and white."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    rings = 0.5 + 0.5 * torch.sin(40 * ((x - 0.6) ** 2 + (y - 0.4) ** 2))
    image = 0.25 * x + 0.25 * y + 0.5 * rings
    image[4:16, 4:16] = 0
    image[4:16, 20:32] = 1
    return image[None, None]


def random_message(bits, seed=0):
    """A message [1, bits] of 0.0 and 1.0."""
    return torch.randint(0, 2, (1, bits), generator=torch.Generator().manual_seed(seed)).float()


@torch.no_grad()
def fill_weights(model, seed=0):
    """Seeded weights for a network that was not trained, with no branch that does nothing.

    What a constructor sets to one value (the gains and shifts of norms) gets values around it; the statistics of the
    batch norms come from a run over several pictures and messages.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            parameter.copy_(noise * (2 / parameter[0].numel()) ** 0.5)
        else:
            parameter.copy_(0.2 * noise)
    for name, parameter in model.named_parameters():
        if name.endswith("weight") and parameter.dim() == 1:
            parameter.add_(1)
    model.last.weight.mul_(0.1)  # keeps tanh away from its flat ends, where errors would not show

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the statistics become the mean over all batches
    model.train()
    pictures = torch.cat([picture(), picture().flip(-1), 1 - picture(), picture().transpose(2, 3)])
    for index in range(4):
        messages = [random_message(model.message.table.num_embeddings // 2, 4 * index + k) for k in range(4)]
        model(pictures, torch.cat(messages))
