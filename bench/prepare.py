"""What both converters start from, in a process of its own: a model's archive, the module itself, and recorded runs.

    python bench/prepare.py MODEL FOLDER

Prints the CPU seconds of `torch.export` with saving.
"""

import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "models"), str(ROOT / "python")]

import torch  # noqa: E402
from catalog import MODELS  # noqa: E402
from edgewright import archive, tensors  # noqa: E402

import peer  # noqa: E402

# Of the runs that are recorded.
SEEDS = range(8)


def main():
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    module, inputs = MODELS[name].build(), MODELS[name].inputs(0)
    # Before the export, which may leave traces in the module.
    torch.save((module, inputs), folder / f"{name}.module")
    for seed in SEEDS:
        tensors.save(archive.record(module, MODELS[name].inputs(seed)), folder / f"{name}.{seed}.safetensors")
    peer.warm_up()
    started = time.process_time()
    torch.export.save(torch.export.export(module, inputs), folder / f"{name}.pt2")
    print(json.dumps({"cpu": time.process_time() - started}))


if __name__ == "__main__":
    main()
