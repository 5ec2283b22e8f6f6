"""A model converted to LiteRT by the `edgewright` program."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from torch.utils import _pytree as pytree

from . import archive


class ConversionError(RuntimeError):
    """The program refused the model; the message is what it said, `exit_code` what it returned."""

    def __init__(self, message, exit_code):
        super().__init__(message)
        self.exit_code = exit_code


def convert(module, args, kwargs=None, dynamic_shapes=None, strict=False, options=()):
    """Exports `module` to a temporary folder, compiles it and returns it as a `Converted`.

    options: further words for `edgewright convert`, such as `["--io-layout", "nhwc", "--verify"]`.
    """
    program = find_program()
    folder = tempfile.TemporaryDirectory(prefix="edgewright.")
    source = os.path.join(folder.name, "model.pt2")
    target = os.path.join(folder.name, "model.tflite")
    rounding = None if "--verify" in options else False
    archive.export(module, args, source, kwargs, dynamic_shapes, strict, rounding=rounding)
    run = subprocess.run(
        [program, "convert", source, "-o", target, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if run.returncode != 0:
        said = run.stderr.strip() or run.stdout.strip()
        raise ConversionError(f"edgewright convert ended with {run.returncode}:\n{said}", run.returncode)
    os.unlink(source)
    return Converted(target, folder)


def find_program():
    """The path of the `edgewright` program: `EDGEWRIGHT`, beside this package, beside the interpreter, or on `PATH`."""
    named = os.environ.get("EDGEWRIGHT")
    if named:
        if not os.access(named, os.X_OK):
            raise FileNotFoundError(f"EDGEWRIGHT names {named}, which is not a program")
        return named
    name = "edgewright.exe" if os.name == "nt" else "edgewright"
    for folder in (pathlib.Path(__file__).parent / "bin", pathlib.Path(sys.executable).parent):
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError("the edgewright program was not found: put it on PATH, or its path in EDGEWRIGHT")
    return found


class Converted:
    """A compiled model: a `.tflite` that can be saved, read as bytes, or called with PyTorch tensors."""

    def __init__(self, path, folder=None):
        """path: the `.tflite`; folder: a temporary folder that must live as long as this object."""
        self._path = path
        self._folder = folder
        self._interpreter = None

    def export(self, path):
        """Writes the `.tflite` to `path`; the file appears whole or not at all."""
        path = pathlib.Path(path)
        with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.stem}.") as beside:
            whole = shutil.copyfile(self._path, os.path.join(beside, path.name))
            os.replace(whole, path)

    def model_content(self):
        """The bytes of the `.tflite`."""
        return pathlib.Path(self._path).read_bytes()

    def __call__(self, *args):
        """Runs the model on LiteRT: tensors in PyTorch's order give a tensor, or a tuple where there are several."""
        interpreter = self._prepared()
        details = interpreter.get_input_details()
        given = [leaf for leaf in pytree.tree_leaves(args) if isinstance(leaf, torch.Tensor)]
        if len(given) != len(details):
            raise TypeError(f"the model takes {len(details)} tensors, {len(given)} were given")
        for detail, tensor in zip(details, given):
            if list(detail["shape"]) != list(tensor.shape):
                interpreter.resize_tensor_input(detail["index"], list(tensor.shape), strict=True)
        interpreter.allocate_tensors()
        for detail, tensor in zip(details, given):
            interpreter.set_tensor(detail["index"], _as_declared(tensor, detail))
        interpreter.invoke()
        results = tuple(
            torch.from_numpy(interpreter.get_tensor(detail["index"])) for detail in interpreter.get_output_details()
        )
        return results[0] if len(results) == 1 else results

    def _prepared(self):
        if self._interpreter is None:
            try:
                from ai_edge_litert.interpreter import Interpreter
            except ImportError as error:
                raise ImportError("calling a converted model needs LiteRT: pip install ai-edge-litert") from error
            self._interpreter = Interpreter(model_path=self._path)
        return self._interpreter


def _as_declared(tensor, detail):
    """The tensor as an array of the declared element type; an integer that does not fit is an error."""
    array = tensor.detach().cpu().contiguous().numpy()
    declared = detail["dtype"]
    if array.dtype == declared:
        return array
    cast = array.astype(declared)
    if array.dtype.kind not in "iub" or not (cast == array).all():
        raise TypeError(f"input {detail['name']} is {array.dtype}, the model takes {declared.__name__}")
    return cast
