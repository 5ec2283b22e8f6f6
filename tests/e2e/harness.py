"""A model taken through the `edgewright` program, and what came out held against PyTorch on LiteRT itself."""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import ai_edge_litert
import numpy
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "models"
EXAMPLES = ROOT / "examples"
sys.path[:0] = [str(MODELS), str(ROOT / "python"), str(EXAMPLES)]

import edgewright  # noqa: E402
from edgewright import tensors  # noqa: E402

# Verification in the program loads the library that these tests run on, unless told otherwise.
os.environ.setdefault("LITERT_LIB", str(pathlib.Path(ai_edge_litert.__path__[0], "libLiteRt.so")))

# The kernel sets of LiteRT on a CPU; they share no code for most operators.
KERNELS = {
    "xnnpack": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def exported(name):
    """The archive of a model of `tests/models`, written once and again when the code that makes it changes."""
    folder = ROOT / "target" / "models"
    sources = sorted([*MODELS.glob("*.py"), *(ROOT / "python" / "edgewright").glob("*.py"), *EXAMPLES.glob("*/*.py")])
    key = hashlib.sha256(torch.__version__.encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = folder / f"{name}.stamp"
    if not stamp.exists() or stamp.read_text() != key:
        # In a process of its own, so that the gigabytes of a big model are given back.
        subprocess.run([sys.executable, str(MODELS / "export_models.py"), name, str(folder)], check=True)
        stamp.write_text(key)
    return folder / f"{name}.pt2"


def runs(archive):
    """The recorded runs beside an archive."""
    paths = [archive.with_suffix(".safetensors"), archive.with_suffix(".2.safetensors")]
    return [tensors.load(path) for path in paths if path.exists()]


@dataclasses.dataclass
class Outcome:
    """How the program ended: exit code, what it printed, the most memory it held (bytes, VmHWM), its CPU seconds."""

    code: int
    stdout: str
    stderr: str
    peak: int
    seconds: float


def run_program(*words, cwd=None):
    """Runs `edgewright` to its end."""
    return watched([edgewright.find_program(), *words], cwd)


def watched(command, cwd=None):
    """Runs a command to its end."""
    # Started by a small process of its own: a child of this one would inherit its peak (see peak.py).
    words = [sys.executable, str(pathlib.Path(__file__).with_name("peak.py")), *map(str, command)]
    process = subprocess.run(words, cwd=cwd, capture_output=True, text=True)
    head, _, stderr = process.stderr.rpartition("\npeak ")
    peak, seconds, code = stderr.split()
    return Outcome(int(code), process.stdout, head, int(peak), float(seconds))


def convert(archive, target, *options):
    """Converts an archive; a refusal fails the test with what the program said."""
    outcome = run_program("convert", archive, "-o", target, *options)
    assert outcome.code == 0, f"edgewright convert ended with {outcome.code}:\n{outcome.stderr}"
    return outcome


def inspected(path):
    """What `edgewright inspect` says of a file."""
    outcome = run_program("inspect", path, "--json", "-")
    assert outcome.code == 0, outcome.stderr
    return json.loads(outcome.stdout)


@dataclasses.dataclass
class Facts:
    """What LiteRT itself reads in a file: operators by name and count, the highest rank, the bytes."""

    operators: collections.Counter
    rank: int
    size: int

    @property
    def transposes(self):
        return self.operators["TRANSPOSE"]


def facts(path):
    """Reads a file with LiteRT's own reader, not with ours."""
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=KERNELS["builtin"])
    operators = collections.Counter(operator["op_name"] for operator in interpreter._get_ops_details())
    rank = max(len(tensor["shape"]) for tensor in interpreter.get_tensor_details())
    return Facts(operators, rank, os.path.getsize(path))


def execute(path, inputs, kernels):
    """Runs a file on one kernel set of LiteRT: arrays in PyTorch's order to tensors in PyTorch's order."""
    interpreter = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=KERNELS[kernels])
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    assert len(details) == len(inputs), f"the file has {len(details)} inputs, the model {len(inputs)}"
    for detail, tensor in zip(details, inputs):
        assert list(detail["shape"]) == list(tensor.shape), f"{detail['name']} is {detail['shape']}"
        array = tensor.numpy()
        narrowed = array.astype(detail["dtype"])
        assert array.dtype == narrowed.dtype or numpy.array_equal(array, narrowed), f"{detail['name']} loses values"
        interpreter.set_tensor(detail["index"], narrowed)
    interpreter.invoke()
    return [torch.from_numpy(interpreter.get_tensor(detail["index"])) for detail in interpreter.get_output_details()]


@dataclasses.dataclass
class Margin:
    """How far an output is from PyTorch's: the largest error, the bar it must not exceed, and 1 − cosine."""

    error: float
    bar: float
    angle: float

    @property
    def holds(self):
        return self.error <= self.bar and self.angle <= 1e-9

    def __str__(self):
        return f"error {self.error:.2e} of {self.bar:.2e} allowed, 1 - cosine {self.angle:.1e}"


def margin(given, reference, reference64):
    """The bar is 1e-5 of the largest value, or ten times what float32 costs PyTorch itself where that is more."""
    assert given.shape == reference.shape, f"shape {list(given.shape)}, PyTorch gives {list(reference.shape)}"
    if not reference.is_floating_point():
        return Margin(float((given.long() != reference.long()).sum()), 0.0, 0.0)
    given, reference, reference64 = given.double(), reference.double(), reference64.double()
    if not torch.isfinite(given).all():
        return Margin(float("inf"), 0.0, 1.0)
    own = (reference - reference64).abs().max().item()
    bar = max(1e-5 * reference.abs().max().item(), 10 * own)
    # Rounding can take the quotient a little over one.
    angle = 1 - (given * reference).sum().item() / (given.norm() * reference.norm()).item()
    return Margin((given - reference).abs().max().item(), bar, max(angle, 0.0))


def of_kind(run, kind):
    """The tensors `KIND.0`, `KIND.1`, … of a recorded run."""
    return [run[f"{kind}.{index}"] for index in range(sum(name.startswith(f"{kind}.") for name in run))]


def margins(path, archive, relayout=None):
    """Every output of every recorded run on every kernel set: a name → its margin. Prints them.

    relayout: from (tensor, is_input) to the tensor in the layout of the interface, or back for outputs.
    """
    found = {}
    for number, run in enumerate(runs(archive), 1):
        inputs = of_kind(run, "input")
        inputs = [relayout(tensor, True).contiguous() for tensor in inputs] if relayout else inputs
        for kernels in KERNELS:
            outputs = execute(path, inputs, kernels)
            references = of_kind(run, "output")
            assert len(outputs) == len(references), f"{len(outputs)} outputs, PyTorch gives {len(references)}"
            for index, (output, reference) in enumerate(zip(outputs, references)):
                output = relayout(output, False) if relayout else output
                reference64 = run.get(f"reference64.{index}", reference)
                found[f"run {number}, {kernels}, output {index}"] = margin(output, reference, reference64)
    for name, value in found.items():
        print(f"{archive.stem}: {name}: {value}")
    return found
