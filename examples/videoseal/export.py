"""Saves one part of one model for Edgewright: `python examples/videoseal/export.py --model 1.0 --part detector`."""

import argparse
import pathlib
import pickle
import sys

import edgewright

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from videoseal import variants  # noqa: E402
from videoseal.cards import CARDS  # noqa: E402

PREFIX = {"0.0": "videoseal_0.0", "1.0": "videoseal_1.0"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=CARDS, required=True)
    parser.add_argument("--part", choices=["embedder", "detector", "jnd"], required=True)
    parser.add_argument("--nhwc", action="store_true", help="images stored pixel by pixel at the inputs and outputs")
    parser.add_argument("--checkpoint", metavar="FILE", help="an official checkpoint; otherwise weights are seeded")
    parser.add_argument("-o", dest="output", type=pathlib.Path, metavar="OUT.pt2", help="default: MODEL_PART.pt2")
    arguments = parser.parse_args()

    variant = chosen(arguments)
    try:
        module = variant.build(arguments.checkpoint)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        sys.exit(f"{arguments.checkpoint}: {error}")
    output = arguments.output or pathlib.Path(f"{stem(arguments)}.pt2")
    try:
        edgewright.export(module, variant.inputs(0), output, source_root=ROOT)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f"{output}, and beside it what went in and came out: {output.with_suffix('.safetensors')}")


def chosen(arguments):
    """The variant that the words on the command line ask for."""
    card = CARDS[arguments.model]
    if arguments.part == "detector":
        return variants.detector(card, arguments.nhwc)
    if arguments.part == "embedder":
        # Two are enough for ChunkySeal, whose statistics cost a thousand billion multiplications each.
        return variants.embedder(card, arguments.nhwc, examples=2 if arguments.model == "chunkyseal" else 6)
    if not card.attenuation:
        sys.exit(f"the embedder of {arguments.model} has no heat map: its watermark is not weighed")
    return variants.heat_map(arguments.nhwc)


def stem(arguments):
    model = PREFIX.get(arguments.model, arguments.model)
    return f"{model}_{arguments.part}" + ("_nhwc" if arguments.nhwc else "")


if __name__ == "__main__":
    main()
