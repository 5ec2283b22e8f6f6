"""A vision transformer with windows and relative positions, the image encoder of the 0.0 detector."""

import torch
from torch import nn
from torch.nn import functional

from .layers import ChannelNorm


class ViT(nn.Module):
    """imgs [N, 3, H, W] in −1…1 → latents [N, 384, H/16, W/16].

    Four of the twelve blocks attend over the whole image, the others within windows of 8×8 patches.
    """

    CHANNELS, HEADS, DEPTH = 384, 6, 12
    PATCH, SIZE, WINDOW = 16, 16, 8
    GLOBAL = (2, 5, 8, 11)

    def __init__(self):
        super().__init__()
        self.patch_embed = PatchEmbed(self.CHANNELS, self.PATCH)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.SIZE, self.SIZE, self.CHANNELS))
        self.blocks = nn.ModuleList(
            [
                Block(self.CHANNELS, self.HEADS, self.SIZE, None if index in self.GLOBAL else self.WINDOW)
                for index in range(self.DEPTH)
            ]
        )
        self.neck = nn.Sequential(
            nn.Conv2d(self.CHANNELS, self.CHANNELS, 1, bias=False),
            ChannelNorm(self.CHANNELS),
            nn.Conv2d(self.CHANNELS, self.CHANNELS, 3, padding=1, bias=False),
            ChannelNorm(self.CHANNELS),
        )

    def forward(self, x):
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2).contiguous())


class PatchEmbed(nn.Module):
    """[N, 3, H, W] → one vector per patch, [N, H/patch, W/patch, C]."""

    def __init__(self, channels, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, stride=patch)

    def forward(self, x):
        return self.proj(x).permute(0, 2, 3, 1)


class Block(nn.Module):
    """Attention and a perceptron, each after a norm and added to what came in; [N, H, W, C].

    window: the side of the windows that attend within themselves, or None for the whole image.
    """

    def __init__(self, channels, heads, size, window):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = Attention(channels, heads, window or size)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Perceptron(channels)
        self.window = window

    def forward(self, x):
        attended = self.norm1(x)
        if self.window:
            size = attended.shape[1:3]
            attended = join_windows(self.attn(split_windows(attended, self.window)), self.window, size)
        else:
            attended = self.attn(attended)
        x = x + attended
        return x + self.mlp(self.norm2(x))


class Perceptron(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.lin1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.lin2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        return self.lin2(self.act(self.lin1(x)))


class Attention(nn.Module):
    """Each place of [N, H, W, C] asks all places of its image, and where they lie from it counts."""

    def __init__(self, channels, heads, size):
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        # One vector per distance, from 1 − size to size − 1.
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, channels // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, channels // heads))

    def forward(self, x):
        number, height, width, _ = x.shape
        places = height * width
        qkv = self.qkv(x).reshape(number, places, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.reshape(3, number * self.heads, places, -1).unbind(0)
        logits = (q * self.scale) @ k.transpose(-2, -1)
        logits = self.with_positions(logits, q, height, width)
        mixed = (logits.softmax(dim=-1) @ v).view(number, self.heads, height, width, -1)
        return self.proj(mixed.permute(0, 2, 3, 1, 4).reshape(number, height, width, -1))

    def with_positions(self, logits, q, height, width):
        """logits[b, (y, x), (v, u)] + q[b, (y, x)] · (row of y − v  +  row of x − u)"""
        q = q.reshape(-1, height, width, q.shape[-1])
        rows = torch.einsum("byxc,yvc->byxv", q, by_distance(self.rel_pos_h, height, height))
        columns = torch.einsum("byxc,xuc->byxu", q, by_distance(self.rel_pos_w, width, width))
        logits = logits.view(-1, height, width, height, width)
        logits = logits + rows[:, :, :, :, None] + columns[:, :, :, None, :]
        return logits.view(-1, height * width, height * width)


def by_distance(table, queries, keys):
    """[2·max(queries, keys) − 1, C] → [queries, keys, C], at [i, j] the row of the table for the distance i − j.

    Where there are fewer of the one than of the other, their places are further apart. A table of another length is
    stretched to that.
    """
    length = 2 * max(queries, keys) - 1
    if table.shape[0] != length:
        table = functional.interpolate(table.T[None], length, mode="linear")[0].T
    apart, keys_apart = max(keys / queries, 1.0), max(queries / keys, 1.0)
    distances = torch.arange(queries)[:, None] * apart - torch.arange(keys)[None, :] * keys_apart
    return table[(distances + (keys - 1) * keys_apart).long()]


def split_windows(x, window):
    """[N, H, W, C] → [N · windows, window, window, C], windows in rows; zeros fill them up at the bottom and right."""
    number, height, width, channels = x.shape
    bottom, right = -height % window, -width % window
    if bottom or right:
        x = functional.pad(x, (0, 0, 0, right, 0, bottom))
    x = x.view(number, (height + bottom) // window, window, (width + right) // window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, window, window, channels)


def join_windows(x, window, size):
    """The inverse of `split_windows`: [N · windows, window, window, C] → [N, *size, C]."""
    height, width = size
    rows, columns = -(-height // window), -(-width // window)
    x = x.view(-1, rows, columns, window, window, x.shape[-1])
    x = x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, rows * window, columns * window, x.shape[-1])
    if x.shape[1:3] != size:
        x = x[:, :height, :width].contiguous()
    return x
