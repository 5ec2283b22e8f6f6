"""Images and messages to run the networks on, the same on every run."""

import torch

from .model import SIZE


def image(seed=0, size=SIZE):
    """[1, 3, size, size] in 0…1: waves of colour, a noisy half, and squares of full black and white."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    planes = []
    for _ in range(3):
        a, b, c = torch.rand(3, generator=generator) * 12
        planes.append(0.5 + 0.3 * torch.sin(a * x + b * y * y + c))
    made = torch.stack(planes)[None]
    noise = 0.1 * torch.randn(made.shape, generator=generator)
    noise[..., : size // 2] *= 0.1
    made = (made + noise).clamp(0, 1)
    side, place = size // 8, int(torch.randint(size // 2, (1,), generator=generator))
    made[..., place : place + side, :side] = 0
    made[..., place : place + side, side : 2 * side] = 1
    return made


def message(bits, seed=0):
    """[1, bits] of 0 and 1."""
    return torch.randint(0, 2, (1, bits), generator=torch.Generator().manual_seed(seed)).float()


def channels_last(imgs):
    """The same images, stored pixel by pixel."""
    return imgs.permute(0, 2, 3, 1).contiguous()
