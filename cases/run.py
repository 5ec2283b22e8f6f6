"""Writes the fixtures of the operator cases: `python cases/run.py [--check] [FILE …]`.

Each case of `cases/ops/FILE.py` becomes `tests/ops/FILE/NAME.pt2` and `NAME.safetensors`. With `--check` nothing is
written, and a fixture that differs from what its case gives is an error.
"""

import argparse
import importlib.util
import io
import json
import pathlib
import re
import sys
import tempfile
import warnings
import zipfile

import torch

CASES = pathlib.Path(__file__).resolve().parent
ROOT = CASES.parent
sys.path[:0] = [str(CASES), str(ROOT / "python")]

import edgewright  # noqa: E402
from case import Case  # noqa: E402
from edgewright import tensors  # noqa: E402

LIMIT = 64 * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a fixture is stale")
    parser.add_argument("files", nargs="*", help="case files by their names, such as conv2d; all by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    known = sorted(path.stem for path in (CASES / "ops").glob("*.py"))
    unknown = [name for name in arguments.files if name not in known]
    if unknown:
        sys.exit(f"no case file cases/ops/{unknown[0]}.py")

    stale, count = [], 0
    for name in arguments.files or known:
        fixtures = written(name)
        count += len(fixtures) // 2
        stale += compare(name, fixtures) if arguments.check else replace(name, fixtures)
    verb = "stale" if arguments.check else "changed"
    for path in stale:
        print(f"{verb}: {path}")
    print(f"{count} cases, {len(stale)} files {verb}")
    if arguments.check and stale:
        sys.exit(1)


def written(name):
    """File name → bytes, for all cases of one file."""
    fixtures = {}
    for case in load(name):
        try:
            files = export(case)
        except Exception as error:
            error.add_note(f"in {case.file}:{case.line}, case {case.name}")
            raise
        for file, content in files.items():
            if file in fixtures:
                sys.exit(f"{case.file}:{case.line}: a second case called {case.name}")
            if len(content) > LIMIT:
                sys.exit(f"{case.file}:{case.line}: {file} has {len(content)} bytes, the limit is {LIMIT}")
            fixtures[file] = content
    return fixtures


def load(name):
    """The cases of `cases/ops/NAME.py`."""
    spec = importlib.util.spec_from_file_location(f"ops_{name}", CASES / "ops" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert all(isinstance(case, Case) for case in module.CASES)
    return module.CASES


def export(case):
    """File name → bytes, for one case."""
    module, inputs = case.build()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = pathlib.Path(folder, f"{case.name}.pt2")
        program = edgewright.export(module, inputs, path, source_root=ROOT, rounding=False, **case.options)
        if case.core:
            torch.export.save(program.run_decompositions(), path)
        return {
            path.name: repacked(path, case),
            f"{case.name}.safetensors": path.with_suffix(".safetensors").read_bytes(),
        }


def repacked(path, case):
    """The archive by PyTorch's own writer, without the sample inputs, each node with one line of the case file."""
    stem, buffer = path.stem, io.BytesIO()
    with zipfile.ZipFile(path) as source:
        entries = {entry[len(stem) + 1 :]: source.read(entry) for entry in source.namelist()}
    program = json.loads(entries["models/model.json"])
    trim_traces(program, case)
    number_objects(program, {})
    entries["models/model.json"] = json.dumps(program, separators=(",", ":")).encode()

    # As torch.export.save writes it: the minimal version is that of its PT2ArchiveWriter.
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.set_min_version(6)
    own = (".data/", "data/sample_inputs/", "byteorder")
    for entry, content in entries.items():
        if not entry.startswith(own):
            writer.write_record(entry, content, len(content))
    writer.write_record("byteorder", b"little", 6)
    writer.write_end_of_file()
    return buffer.getvalue()


def trim_traces(value, case):
    """Reduces every stack trace in a program to its innermost line in the case file, or to the line of the case."""
    if isinstance(value, list):
        for item in value:
            trim_traces(item, case)
    if not isinstance(value, dict):
        return
    trace = value.get("stack_trace")
    if isinstance(trace, str):
        lines = trace.splitlines()
        own = [index for index, line in enumerate(lines) if f'File "{case.file}"' in line]
        if own:
            value["stack_trace"] = "\n".join([lines[own[-1]].strip(), *lines[own[-1] + 1 : own[-1] + 2]])
        else:
            code = (ROOT / case.file).read_text().splitlines()[case.line - 1].strip()
            value["stack_trace"] = f'File "{case.file}", line {case.line}, in forward\n    {code}'
    for item in value.values():
        trim_traces(item, case)


def number_objects(value, seen):
    """Replaces the addresses of Python objects in nodes' metadata, new in each process, by their order."""
    if isinstance(value, list):
        for item in value:
            number_objects(item, seen)
    if not isinstance(value, dict):
        return
    for key in ("from_node", "nn_module_stack"):
        if isinstance(value.get(key), str):
            value[key] = re.sub(r"\b\d{9,}\b", lambda found: str(seen.setdefault(found[0], len(seen))), value[key])
    for item in value.values():
        number_objects(item, seen)


def compare(name, fixtures):
    """The fixtures of one case file that are missing, differ or have no case."""
    folder = ROOT / "tests" / "ops" / name
    there = {path.name for path in folder.glob("*.pt2")} | {path.name for path in folder.glob("*.safetensors")}
    differing = [file for file, content in fixtures.items() if file not in there or not same(folder / file, content)]
    return [f"tests/ops/{name}/{file}" for file in sorted(differing + list(there - set(fixtures)))]


def same(path, content):
    """Whether a fixture is what its case gives; outputs may differ by the rounding of another kind of processor."""
    if path.read_bytes() == content:
        return True
    if path.suffix != ".safetensors":
        return False
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder, path.name)
        made.write_bytes(content)
        old, new = tensors.load(path), tensors.load(made)
    if list(old) != list(new):
        return False
    return all(agrees(old[name], new[name], exact=name.startswith("input.")) for name in old)


def agrees(old, new, exact):
    if old.dtype != new.dtype or old.shape != new.shape:
        return False
    exact = exact or not old.is_floating_point()
    tolerance = 0.0 if exact else 1e-5
    return torch.allclose(old, new, rtol=tolerance, atol=tolerance / 10, equal_nan=True)


def replace(name, fixtures):
    """Writes what `compare` finds and removes what has no case."""
    folder = ROOT / "tests" / "ops" / name
    folder.mkdir(parents=True, exist_ok=True)
    changed = compare(name, fixtures)
    for path in map(ROOT.joinpath, changed):
        if path.name in fixtures:
            path.write_bytes(fixtures[path.name])
        else:
            path.unlink()
    return changed


if __name__ == "__main__":
    main()
