"""The error of a .tflite on LiteRT's XNNPACK kernels against the outputs that PyTorch recorded, as JSON.

    python bench/error.py FILE RECORDING …

For each recording, over all outputs: the greatest error (`largest`), 1 − cosine, and the ratio of signal to noise in dB.
"""

import json
import pathlib
import sys

import numpy
from ai_edge_litert.interpreter import Interpreter

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "python"))

from edgewright import tensors  # noqa: E402


def main():
    interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
    interpreter.allocate_tensors()
    print(json.dumps([judged(interpreter.get_signature_runner(), tensors.load(path)) for path in sys.argv[2:]]))


def judged(runner, recording):
    inputs = sorted(runner.get_input_details(), key=place)
    given = {name: recording[f"input.{index}"].numpy() for index, name in enumerate(inputs)}
    result = runner(**given)
    flat = [result[name].astype(numpy.float64).ravel() for name in sorted(result, key=place)]
    found = numpy.concatenate(flat)
    wanted = numpy.concatenate([recording[f"output.{i}"].double().numpy().ravel() for i in range(len(flat))])
    noise, signal = found - wanted, (wanted**2).sum()
    cosine = (found * wanted).sum() / numpy.sqrt((found**2).sum() * signal)
    power = (noise**2).sum()
    ratio = 10 * numpy.log10(signal / power) if power > 0 else None
    return {"largest": numpy.abs(noise).max(), "cosine": max(0.0, 1 - cosine), "snr": ratio}


def place(name):
    """`args_2` is the third: the order in which PyTorch has inputs and outputs."""
    return int(name.rpartition("_")[2])


if __name__ == "__main__":
    main()
