"""One export by PyTorch, or one conversion by litert-torch, in a process of its own that reports its CPU time."""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "models"), str(ROOT / "python")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["export", "convert"])
    parser.add_argument("model")
    parser.add_argument("target")
    parser.add_argument("--light", action="store_true", help="the peer's lightweight_conversion")
    arguments = parser.parse_args()

    import torch

    from catalog import MODELS

    if arguments.action == "convert":
        import litert_torch
    model = MODELS[arguments.model]
    module, inputs = model.build(), model.inputs(0)
    # PyTorch loads much of itself at the first export, which is an import's cost and not the model's.
    torch.export.export(torch.nn.ReLU(), (torch.zeros(1),))
    held = high_water()

    started = time.process_time()
    if arguments.action == "export":
        torch.export.save(torch.export.export(module, inputs), arguments.target)
    else:
        litert_torch.convert(module, inputs, lightweight_conversion=arguments.light).export(arguments.target)
    print(json.dumps({"cpu": time.process_time() - started, "imports": held}))


def high_water():
    """The most memory this process has held, in bytes."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


main()
