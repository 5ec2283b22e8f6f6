"""One conversion by litert-torch, or one quantization by ai-edge-quantizer, in a process of its own.

    python bench/peer.py convert MODULE TARGET [--light]
    python bench/peer.py quantize FLOAT TARGET [--leave OPERATION]

Prints the CPU seconds after the imports, and how much memory the imports and the model had held before.
"""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["convert", "quantize"])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--light", action="store_true", help="its lightweight_conversion")
    parser.add_argument("--leave", help="an operation that is left in float")
    arguments = parser.parse_args()
    prepared = (converting if arguments.action == "convert" else quantizing)(arguments)
    held = high_water()
    started = time.process_time()
    prepared()
    print(json.dumps({"cpu": time.process_time() - started, "imports": held}))


def converting(arguments):
    """The conversion of a module as it is, with everything imported that it needs."""
    folders = ["tests/models", "examples", "examples/watermark"]
    sys.path[:0] = [str(ROOT / folder) for folder in folders]
    import litert_torch
    import torch

    # Pickled modules name the files of their classes.
    import catalog  # noqa: F401

    module, inputs = torch.load(arguments.source, weights_only=False)
    warm_up()
    return lambda: litert_torch.convert(module, inputs, lightweight_conversion=arguments.light).export(arguments.target)


def quantizing(arguments):
    """Dynamic-range int8 as the quantizer's own recipe has it, but for what is left in float."""
    from ai_edge_quantizer import qtyping, quantizer, recipe

    def quantize():
        made = quantizer.Quantizer(arguments.source, recipe.dynamic_wi8_afp32())
        if arguments.leave:
            left = qtyping.TFLOperationName(arguments.leave)
            made.update_quantization_recipe(regex=".*", operation_name=left, algorithm_key="no_quantize")
        made.quantize().export_model(arguments.target)

    return quantize


def warm_up():
    """PyTorch loads much of itself at the first export, which is an import's cost and not the model's."""
    import torch

    torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))


def high_water():
    """The most memory this process has held, in bytes."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
