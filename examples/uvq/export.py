"""Saves one model of UVQ for Edgewright: `python examples/uvq/export.py --model distortion_3patch`."""

import argparse
import pathlib
import pickle
import sys

import edgewright

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from uvq.variants import VARIANTS  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=VARIANTS, required=True)
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="a .pth file of the network, or the folder that holds those of all three"
    )
    parser.add_argument("-o", dest="output", type=pathlib.Path, metavar="OUT.pt2", help="default: uvq_MODEL.pt2")
    arguments = parser.parse_args()

    variant = VARIANTS[arguments.model]
    try:
        module = variant.build(arguments.checkpoint).eval()
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        sys.exit(f"{arguments.checkpoint}: {error}")
    output = arguments.output or pathlib.Path(f"uvq_{arguments.model}.pt2")
    try:
        edgewright.export(module, variant.inputs(0), output, source_root=ROOT)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(f"{output}, and beside it what went in and came out: {output.with_suffix('.safetensors')}")


if __name__ == "__main__":
    main()
