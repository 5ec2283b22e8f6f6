"""Exporting: what is recorded, what is left alone, and which lines the nodes carry."""

import json
import pathlib
import zipfile

import pytest
import torch
from torch.fx.experimental import proxy_tensor

import edgewright
from edgewright import lines, tensors


def halve(x):
    return x * 0.5  # the helper's line


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x, scale=None, *, shift=None):
        x = halve(self.linear(x))
        x = x if scale is None else x * scale
        return {"y": x if shift is None else x + shift, "sum": x.sum()}


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls.add_(1)
        return x + self.calls


def program_text(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read(f"{path.stem}/models/model.json").decode()


class InFloat32(torch.nn.Module):
    """Insists on float32."""

    def forward(self, x):
        return x @ torch.ones(4, 2)


def test_how_far_pytorch_rounds_is_recorded(tmp_path):
    torch.manual_seed(0)
    model, x = Model().eval(), torch.randn(2, 4)
    edgewright.export(model, (x,), tmp_path / "m.pt2")
    recorded = tensors.load(tmp_path / "m.safetensors")
    assert list(recorded) == ["input.0", "output.0", "output.1", "reference64.0", "reference64.1"]
    exact = torch.nn.functional.linear(x.double(), model.linear.weight.double(), model.linear.bias.double()) * 0.5
    assert torch.equal(recorded["reference64.0"], exact)
    assert model.linear.weight.dtype == torch.float32
    edgewright.export(model, (x,), tmp_path / "m.pt2", rounding=False)
    assert list(tensors.load(tmp_path / "m.safetensors")) == ["input.0", "output.0", "output.1"]


def test_a_model_that_does_not_run_in_float64_is_recorded_without(tmp_path):
    x = torch.randn(2, 4)
    with pytest.warns(UserWarning, match="rounding is not recorded: RuntimeError"):
        edgewright.export(InFloat32().eval(), (x,), tmp_path / "m.pt2")
    assert list(tensors.load(tmp_path / "m.safetensors")) == ["input.0", "output.0"]
    with pytest.raises(RuntimeError):
        edgewright.export(InFloat32().eval(), (x,), tmp_path / "m.pt2", rounding=True)


def test_a_large_model_is_not_copied_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(edgewright.archive, "LARGE", 8)
    edgewright.export(Model().eval(), (torch.randn(2, 4),), tmp_path / "m.pt2")
    assert "reference64.0" not in tensors.load(tmp_path / "m.safetensors")


def test_inputs_and_outputs_are_recorded_in_order(tmp_path):
    torch.manual_seed(0)
    model, x = Model().eval(), torch.randn(2, 4)
    scale, shift = torch.randn(3), torch.randn(3)
    # Keywords given in another order than the signature's are recorded in the signature's.
    edgewright.export(model, (x,), tmp_path / "m.pt2", {"shift": shift, "scale": scale})
    recorded = tensors.load(tmp_path / "m.safetensors")
    assert list(recorded)[:5] == ["input.0", "input.1", "input.2", "output.0", "output.1"]
    assert torch.equal(recorded["input.1"], scale) and torch.equal(recorded["input.2"], shift)
    expected = model(x, scale=scale, shift=shift)
    assert torch.equal(recorded["output.0"], expected["y"]) and torch.equal(recorded["output.1"], expected["sum"])

    signature = json.loads(program_text(tmp_path / "m.pt2"))["graph_module"]["signature"]
    user_inputs = [entry["user_input"]["arg"] for entry in signature["input_specs"] if "user_input" in entry]
    assert [argument["as_tensor"]["name"] for argument in user_inputs] == ["x", "scale", "shift"]


def test_weights_buffers_and_arguments_are_left_alone(tmp_path):
    model, x = Counting().eval(), torch.randn(3)
    before = x.clone()
    edgewright.export(model, (x,), tmp_path / "m.pt2")
    assert torch.equal(x, before) and model.calls.item() == 0
    recorded = tensors.load(tmp_path / "m.safetensors")
    assert torch.equal(recorded["output.0"], before + 1)


def test_a_model_in_training_mode_is_refused(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout())
    with pytest.raises(ValueError, match=r"training mode.*\.eval\(\)"):
        edgewright.export(model, (torch.randn(1, 4),), tmp_path / "m.pt2")
    model.eval()
    model[1].train()
    with pytest.raises(ValueError, match=r"training mode \(1\)"):
        edgewright.export(model, (torch.randn(1, 4),), tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def test_one_tensor_is_not_a_tuple(tmp_path):
    with pytest.raises(TypeError, match="write \\(x,\\)"):
        edgewright.export(Model().eval(), torch.randn(1, 4), tmp_path / "m.pt2")


@pytest.mark.parametrize("strict", [False, True])
def test_nodes_carry_the_helpers_line(tmp_path, strict):
    edgewright.export(Model().eval(), (torch.randn(2, 4),), tmp_path / "m.pt2", strict=strict)
    nodes = json.loads(program_text(tmp_path / "m.pt2"))["graph_module"]["graph"]["nodes"]
    (mul,) = [node for node in nodes if node["target"].endswith("mul.Tensor")]
    trace = mul["metadata"]["stack_trace"]
    assert "in forward" in trace and "in halve" in trace and "the helper's line" in trace
    assert "python/edgewright" not in trace


def test_pytorch_is_put_back_even_after_an_error(tmp_path):
    before = proxy_tensor._ModuleStackTracer.__dict__.get("_filter_traceback_frames")

    class Broken(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    with pytest.raises(Exception, match="broken"):
        edgewright.export(Broken().eval(), (torch.randn(1),), tmp_path / "m.pt2")
    assert proxy_tensor._ModuleStackTracer.__dict__.get("_filter_traceback_frames") is before


def test_a_pytorch_without_the_method_is_said(monkeypatch):
    class Bare:
        pass

    monkeypatch.setattr(proxy_tensor, "_ModuleStackTracer", Bare)
    with pytest.warns(UserWarning, match="no way to keep helper functions"):
        with lines.helper_frames_kept():
            assert not hasattr(Bare, "_filter_traceback_frames")


def test_paths_are_relative_to_the_source_root(tmp_path):
    root = pathlib.Path(__file__).resolve().parents[2]
    edgewright.export(Model().eval(), (torch.randn(2, 4),), tmp_path / "m.pt2", source_root=root)
    text = program_text(tmp_path / "m.pt2")
    assert "python/tests/test_export.py" in text
    assert str(root) not in text
    assert "File \\\"site-packages/torch/nn/modules/linear.py" in text


def test_tensors_of_every_type_come_back(tmp_path):
    given = {
        "f": torch.tensor([[0.0, -0.0], [float("nan"), float("inf")]]),
        "b": torch.tensor([True, False, True]),
        "i": torch.tensor(-(2**40)),
        "h": torch.arange(6).to(torch.bfloat16).reshape(2, 3).t(),
        "none": torch.empty(0, 3),
        "d": torch.tensor([1 / 3], dtype=torch.float64),
    }
    tensors.save(given, tmp_path / "t.safetensors")
    back = tensors.load(tmp_path / "t.safetensors")
    assert list(back) == list(given)
    for name, tensor in given.items():
        assert back[name].dtype == tensor.dtype and back[name].shape == tensor.shape
        torch.testing.assert_close(back[name], tensor, rtol=0, atol=0, equal_nan=True)
    assert torch.signbit(back["f"][0, 1])
    with pytest.raises(TypeError, match="complex64"):
        tensors.save({"c": torch.zeros(1, dtype=torch.complex64)}, tmp_path / "c.safetensors")
    assert not (tmp_path / "c.safetensors").exists()


def test_the_safetensors_package_reads_the_same(tmp_path):
    package = pytest.importorskip("safetensors.torch")
    given = {"x": torch.randn(3, 4), "i": torch.arange(5), "flag": torch.tensor(True), "h": torch.randn(3).bfloat16()}
    tensors.save(given, tmp_path / "t.safetensors")
    back = package.load_file(tmp_path / "t.safetensors")
    assert set(back) == set(given) and all(torch.equal(back[name], tensor) for name, tensor in given.items())


def test_a_folder_that_is_missing_is_told_before_the_export(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        edgewright.export(Counting().eval(), (torch.zeros(1),), tmp_path / "missing" / "m.pt2")


class InPlace(torch.nn.Module):
    def forward(self, x):
        x.add_(1)
        return x * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arguments_stay_as_they_are(tmp_path, dtype):
    x = torch.zeros(2, dtype=dtype)
    edgewright.export(InPlace().eval(), (x,), tmp_path / "m.pt2")
    assert torch.equal(x, torch.zeros(2, dtype=dtype))
