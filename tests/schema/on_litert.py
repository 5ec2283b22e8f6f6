"""Runs the files that `cargo test --test tflite_files` wrote on LiteRT, reads them with the wheel's own schema, and
compares outputs with NumPy: `python tests/schema/on_litert.py target/tmp/tflite`."""

import pathlib
import sys

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter


def weights(*sizes):
    i = np.arange(np.prod(sizes), dtype=np.int64)
    return (((i * 7919 % 101) - 50).astype(np.float32) / np.float32(37)).reshape(sizes)


def conv(x):
    w, b = weights(16, 3, 3, 8), weights(16)
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))  # SAME: the odd element at the end
    out = np.stack([np.stack([
        np.einsum("nhwc,ohwc->no", padded[:, i:i + 3, j:j + 3], w) for j in (0, 2, 4)], 1) for i in (0, 2, 4)], 1)
    return np.maximum(out + b, 0)


def softmax(x):
    g = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    e = np.exp(g - g.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


EXPECTED = {
    "conv": conv,
    "dense": lambda x: x @ weights(5, 4).T,
    "mean": lambda x: x.mean(1).reshape(8),
    "softmax": softmax,
}


def main(folder):
    files = sorted(pathlib.Path(folder).glob("*.tflite"))
    assert len(files) == 2 * len(EXPECTED), f"{len(files)} files in {folder}"
    for path in files:
        data = path.read_bytes()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        runtime = [bytes(model.buffers[m.buffer].data) for m in model.metadata if m.name == b"min_runtime_version"]
        interpreter = Interpreter(str(path))
        runner = interpreter.get_signature_runner("serving_default")
        x = np.random.RandomState(0).randn(*runner.get_input_details()["args_0"]["shape"]).astype(np.float32)
        got, want = runner(args_0=x)["output_0"], EXPECTED[path.name.split(".")[0]](x)
        error = np.abs(got - want).max()
        assert got.shape == want.shape and error < 1e-5, (path.name, got.shape, want.shape, error)

        compiled = CompiledModel.from_file(str(path))
        inputs, outputs = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
        inputs[0].write(x)
        compiled.run_by_index(0, inputs, outputs)
        again = outputs[0].read(want.size, np.float32).reshape(want.shape)
        assert np.abs(again - want).max() < 1e-5, path.name
        codes = [(c.builtinCode, c.version) for c in model.operatorCodes]
        external = sum(b.size > 0 for b in model.buffers)
        print(f"{path.name:24} error {error:.1e}  codes {codes}  runtime {runtime[0].rstrip(bytes(1)).decode()}"
              f"  external buffers {external}")


main(sys.argv[1])
