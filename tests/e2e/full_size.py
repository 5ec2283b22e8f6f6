"""ChunkySeal at full size, run by `cargo xtask big`: what its conversions take, and that their files compute it.

    python tests/e2e/full_size.py [--part detector|embedder] [--form float|fp16|int8] [--folder DIR] [--keep]

Exports each part with seeded weights (about 10 GB of memory), converts it to float, fp16 and int8, runs each file on
LiteRT's builtin kernels, prints a table, and ends with 1 where a bound is not held. Takes some 13 GB of the disk for a
while. XNNPACK, which packs a second copy of the weights, is left to the small twins of these models.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
from ai_edge_litert.interpreter import Interpreter

import harness
from edgewright import tensors

MEBI = 1 << 20
EXPORT = harness.ROOT / "examples" / "videoseal" / "export.py"

PARTS = ("detector", "embedder")
FORMS = {
    "float": ("convert",),
    "fp16": ("quantize", "--recipe", "fp16"),
    "int8": ("quantize", "--recipe", "dynamic-int8"),
}
PEAK = 400e6  # bytes, of every conversion
COPIES = 3.0  # CPU time of the float conversion, by that of `cp`
HALF = 0.505  # of the bytes of the float file, where weights are fp16
FP16 = 60.0  # dB, fp16 against PyTorch
INT8 = {"detector": 745 * MEBI, "embedder": 985 * MEBI}  # bytes
# Float64 would take a second copy of twice the size: the bound is the first term of the tolerance alone, which is the
# stricter one.
FLOAT = 1e-5  # greatest error, of the greatest output


@dataclasses.dataclass
class Made:
    """One file: its bytes, what making it took (bytes, CPU seconds by those of `cp`), and how far it is from PyTorch."""

    size: int
    peak: int
    copies: float
    error: float
    ratio: float


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part")
    parser.add_argument("--form", choices=FORMS, action="append", help="only this form")
    parser.add_argument("--folder", type=pathlib.Path, help="where the files are made; by default a temporary folder")
    parser.add_argument("--keep", action="store_true", help="keep the archives in --folder, and take those that are there")
    arguments = parser.parse_args()
    if arguments.keep and not arguments.folder:
        parser.error("--keep is for --folder")
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)

    print("| part | form | MiB | peak, MB | CPU ÷ cp | greatest error ÷ greatest output | signal to noise, dB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    broken = []
    for part in arguments.part or PARTS:
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="full_size.") as folder:
            archives = arguments.folder if arguments.keep else pathlib.Path(folder)
            archive = archives / f"chunkyseal_{part}.pt2"
            if not archive.exists():
                export(part, archive)
            broken += table(part, arguments.form or list(FORMS), archive, pathlib.Path(folder))
    for sentence in broken:
        print(sentence)
    sys.exit(1 if broken else 0)


def export(part, archive):
    """In a process of its own, which gives its gigabytes back."""
    command = [sys.executable, str(EXPORT), "--model", "chunkyseal", "--part", part, "-o", str(archive)]
    environment = os.environ | {"PYTHONPATH": str(harness.ROOT / "python")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def table(part, forms, archive, folder):
    """Prints a row for each form of a part; gives what does not hold."""
    seconds, made = copying(archive, folder / "copy"), {}
    for form in forms:
        target = folder / f"{form}.tflite"
        made[form] = row = converted(FORMS[form], archive, target, seconds)
        target.unlink()
        figures = f"{row.size / MEBI:.1f} | {row.peak / 1e6:.0f} | {row.copies:.2f} | {row.error:.1e} | {row.ratio:.1f}"
        print(f"| {part} | {form} | {figures} |", flush=True)
    return [f"{part}, {form}: {what}" for form, row in made.items() for what in complaints(part, form, row, made)]


def complaints(part, form, row, made):
    """What of one file does not hold, as sentences."""
    if row.peak > PEAK:
        yield f"the conversion held {row.peak / 1e6:.0f} MB, more than {PEAK / 1e6:.0f}"
    if form == "float":
        if row.copies > COPIES:
            yield f"the conversion took {row.copies:.2f} times the CPU time of cp, more than {COPIES}"
        if row.error > FLOAT:
            yield f"the greatest error is {row.error:.1e} of the greatest output, more than {FLOAT:.0e}"
    if form == "fp16":
        if row.ratio < FP16:
            yield f"signal to noise is {row.ratio:.1f} dB, less than {FP16}"
        if "float" in made and row.size > HALF * made["float"].size:
            yield f"the file has {row.size / made['float'].size:.3f} of the bytes in float, more than {HALF}"
    if form == "int8" and row.size > INT8[part]:
        yield f"the file has {row.size / MEBI:.1f} MiB, more than {INT8[part] / MEBI:.0f}"


def copying(archive, target):
    """CPU seconds of `cp`, the median of three after one that warms the cache."""
    command = ["cp", "--reflink=never", archive, target]
    seconds = [harness.watched(command).seconds for _ in range(4)]
    target.unlink()
    return statistics.median(seconds[1:])


def converted(words, archive, target, copy):
    """Converts the archive and runs the file once."""
    outcome = harness.run_program(words[0], archive, *words[1:], "-o", target)
    if outcome.code:
        sys.exit(f"edgewright {' '.join(words)} ended with {outcome.code}:\n{outcome.stderr}")
    found, wanted = invoked(target, tensors.load(archive.with_suffix(".safetensors")))
    noise, signal = ((found - wanted) ** 2).sum(), (wanted**2).sum()
    ratio = 10 * numpy.log10(signal / noise) if noise else numpy.inf
    error = numpy.abs(found - wanted).max() / numpy.abs(wanted).max()
    return Made(target.stat().st_size, outcome.peak, outcome.seconds / copy, error, ratio)


def invoked(path, recording):
    """What the builtin kernels compute of the recorded inputs, and what PyTorch did."""
    kernels = harness.KERNELS["builtin"]
    interpreter = Interpreter(model_path=str(path), num_threads=2, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner()
    inputs = {name: tensor.numpy() for name, tensor in recording.items() if name.startswith("input.")}
    given = {f"args_{index}": inputs[f"input.{index}"] for index in range(len(inputs))}
    found = runner(**given)["output_0"].astype(numpy.float64)
    return found, recording["output.0"].double().numpy()


if __name__ == "__main__":
    main()
