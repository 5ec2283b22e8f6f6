"""Videos, frames and patches to run the networks on, the same on every run."""

import torch
from torch.nn import functional

from .distortion import split

HEIGHT, WIDTH = 1080, 1920


def video(seed=0):
    """One second of one frame, [1, 1, 3, 1080, 1920] in −1…1."""
    return frame(seed=seed)[None]


def frame(height=HEIGHT, width=WIDTH, seed=0):
    """[1, 3, height, width] in −1…1: waves, a noisy half, rough blocks, and rectangles of full black and white."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    planes = []
    for _ in range(3):
        a, b, c, d = torch.rand(4, generator=generator) * 12
        planes.append(0.6 * torch.sin(a * x + b * y * y + c) + 0.2 * torch.sin(20 * d * x * y))
    made = torch.stack(planes)[None]
    noise = torch.randn(made.shape, generator=generator)
    noise[..., : width // 2] *= 0.1
    blocks = functional.interpolate(
        torch.randn(1, 3, height // 24, width // 24, generator=generator), (height, width), mode="nearest"
    )
    blocks[..., : height // 2, :] *= 0.2
    made = (made + 0.2 * noise + 0.2 * blocks).clamp(-1, 1)
    size, place = height // 8, int(torch.randint(height // 2, (1,), generator=generator))
    made[..., place : place + size, :size] = -1
    made[..., place : place + size, size : 2 * size] = 1
    return made


def patches(number=9, seed=0):
    """The first `number` patches of a frame, stored pixel by pixel: [number, 360, 640, 3]."""
    return split(frame(seed=seed))[:number].permute(0, 2, 3, 1).contiguous()


def small_frame(seed=0):
    """A frame of ContentNet's own size, stored pixel by pixel: [1, 256, 256, 3]."""
    return frame(256, 256, seed).permute(0, 2, 3, 1).contiguous()


def features(seed=0):
    """Features of the size and spread that ContentNet and DistortionNet give: [1, 8, 8, 128] and [1, 24, 24, 128]."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(1, 128, generator=generator)[:, None, None] + torch.randn(1, size, size, 128, generator=generator)
        for size in (8, 24)
    )
