"""Saves the embedder for Edgewright: `python examples/watermark/export.py`."""

import pathlib

import edgewright

from model import Embedder
from sample import fill_weights, picture, random_message

folder = pathlib.Path(__file__).resolve().parent

model = Embedder(bits=16)
fill_weights(model)  # where you load your checkpoint: model.load_state_dict(torch.load(...))
model.eval()

image, message = picture(), random_message(bits=16)

# Without `rounding`, so that the recorded run is small enough to be kept here.
archive = folder / "watermark.pt2"
edgewright.export(model, (image, message), archive, source_root=folder.parents[1], rounding=False)
print(f"{archive}, and beside it what went in and came out")
