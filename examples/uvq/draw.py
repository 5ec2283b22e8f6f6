"""Draws what goes into the networks and what comes out, as `uvq.png`."""

import pathlib
import sys

import torch
from PIL import Image
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from uvq import distortion, inputs, weights  # noqa: E402

HEIGHT = 192


def main():
    frame = inputs.frame()
    with torch.no_grad():
        content = weights.content_net()(frame)
        damage = distortion.DistortionOfVideo(weights.distortion_net())(frame[None])
        score = weights.aggregation_net()(content, damage).item()
    panels = [picture(frame), strength(content), strength(damage)]
    gap = torch.ones(3, HEIGHT, 8)
    strip = torch.cat([panels[0], gap, panels[1], gap, panels[2]], dim=2)
    colours = Image.fromarray((255 * strip).round().to(torch.uint8).permute(1, 2, 0).numpy()).quantize(64)
    colours.save(pathlib.Path(__file__).resolve().parent / "uvq.png", optimize=True)
    print(f"score {score:.2f}")


def picture(frame):
    """The frame in 0…1, with white lines where it is cut into patches."""
    small = functional.interpolate(frame, (HEIGHT, HEIGHT * 16 // 9), mode="area")[0] / 2 + 0.5
    for axis, parts in ((1, distortion.ROWS), (2, distortion.COLUMNS)):
        for part in range(1, parts):
            small.select(axis, part * small.shape[axis] // parts).fill_(1)
    return small


def strength(features):
    """How strong the features are at each place, in grey: [1, n, n, 128] → [3, HEIGHT, HEIGHT]."""
    norm = features[0].norm(dim=2)
    norm = (norm - norm.min()) / (norm.max() - norm.min())
    return functional.interpolate(norm[None, None], (HEIGHT, HEIGHT), mode="nearest")[0].repeat(3, 1, 1)


main()
