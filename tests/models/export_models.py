"""Writes a model's archive and two recorded runs: `python tests/models/export_models.py NAME … OUTDIR`.

Beside `NAME.pt2` come `NAME.safetensors` and `NAME.2.safetensors`, of two different inputs: `input.N`, `output.N`, and
`reference64.N`, the outputs in float64, from which the rounding error of float32 itself is known.
"""

import argparse
import pathlib
import sys

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(ROOT / "python")]

import edgewright  # noqa: E402
from edgewright import archive, tensors  # noqa: E402
from catalog import MODELS  # noqa: E402

# Two inputs whose outputs are nearly alike would let a network pass that ignores its input.
LEAST_DIFFERENCE = 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=list(MODELS), metavar="NAME", help=", ".join(MODELS))
    parser.add_argument("folder", type=pathlib.Path, metavar="OUTDIR")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        save(name, arguments.folder)


def save(name, folder):
    """Writes the archive and both runs of one model into `folder`."""
    model = MODELS[name]
    module = model.build()
    shapes = model.dynamic_shapes() if model.dynamic_shapes else None
    example = model.example() if model.example else model.inputs(0)
    # The run beside it is replaced below.
    edgewright.export(
        module, example, folder / f"{name}.pt2", dynamic_shapes=shapes, source_root=ROOT, rounding=False
    )

    runs = [archive.record(module, model.inputs(seed)) for seed in (0, 1)]
    look_inside(module, runs)
    require_difference(name, *runs)
    for path, run, seed in zip(paths(name, folder), runs, (0, 1)):
        run.update(archive.in_float64(module, model.inputs(seed)))
        tensors.save(run, path)
        print(f"{path}: {len(run)} tensors, float32 against float64 {rounding(run):.1e} of the largest value")


def paths(name, folder):
    return folder / f"{name}.safetensors", folder / f"{name}.2.safetensors"


def look_inside(module, runs):
    """Adds what a model shows of its inside on the inputs of each run, where it shows any: `aux.NAME`."""
    if not hasattr(module, "inside"):
        return
    for run in runs:
        with torch.no_grad():
            found = module.inside(*[tensor for name, tensor in run.items() if name.startswith("input.")])
        run.update({f"aux.{name}": tensor for name, tensor in found.items()})


def require_difference(name, first, second):
    for key in [key for key in first if key.startswith("output.")]:
        difference = (first[key] - second[key]).abs().max() / first[key].abs().max()
        if not difference >= LEAST_DIFFERENCE:
            sys.exit(f"{name}: {key} of two inputs differs by {difference:.1e} of its largest value only")


def rounding(run):
    """The largest error of float32 against float64, as a share of the largest value."""
    return max(
        ((run[key] - run[f"reference64.{key[7:]}"]).abs().max() / run[key].abs().max()).item()
        for key in run
        if key.startswith("output.")
    )


if __name__ == "__main__":
    main()
