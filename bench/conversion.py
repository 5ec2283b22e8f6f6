"""What a conversion takes, in float and in int8: CPU seconds and peak memory of ours and of the peer's; and its error."""

import json
import pathlib
import re
import statistics
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
# What the peer's own recipe quantizes but its kernels do not take: constants on the left of a batch matmul.
UNLOADABLE = "BATCH_MATMUL"


def prepare(name, folder):
    """Writes the archive, the module and the recorded runs of a model; gives the CPU seconds of the export."""
    result = measured([sys.executable, str(BENCH / "prepare.py"), name, str(folder)])
    if result["failed"]:
        raise SystemExit(f"{name} is not exported: {result['failed']}")
    return result["cpu"]


def copy(name, folder):
    """CPU seconds of copying the archive: the floor of what reading and writing a model costs."""
    command = ["cp", "--reflink=never", str(folder / f"{name}.pt2"), str(folder / "copy")]
    seconds = statistics.median(measured(command)["cpu"] for _ in range(3))
    (folder / "copy").unlink()
    return seconds


def ours(program, verb, name, folder, target, repeats):
    """Our conversion or quantization of the archive, the whole process: the median of `repeats`."""
    command = [program, *verb, str(folder / f"{name}.pt2"), "-o", str(target), "--force", "-q"]
    return median([measured(command) for _ in range(repeats)])


def theirs(name, folder, target, repeats, light=False):
    """The peer's conversion of the module."""
    command = [sys.executable, str(BENCH / "peer.py"), "convert", str(folder / f"{name}.module"), str(target)]
    return median([measured(command + ["--light"] * light) for _ in range(repeats)])


def theirs_in_int8(source, target, leave=None):
    """The peer's quantization of its float file."""
    command = [sys.executable, str(BENCH / "peer.py"), "quantize", str(source), str(target)]
    target.unlink(missing_ok=True)
    return measured(command + (["--leave", leave] if leave else []))


def errors(path, recordings):
    """The errors of a file for each recording, as `error.py` says them, or why it does not run."""
    command = [sys.executable, str(BENCH / "error.py"), str(path), *map(str, recordings)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        return {"failed": (process.stderr.strip().splitlines() or [f"exit status {process.returncode}"])[-1]}
    return {"failed": None, "runs": json.loads(process.stdout.splitlines()[-1])}


def measured(command):
    """Runs a command: CPU seconds and peak bytes, from which a child that reports on itself takes its imports off."""
    peak = [sys.executable, str(ROOT / "tests" / "e2e" / "peak.py")]
    process = subprocess.run([*peak, *command], capture_output=True, text=True)
    head, _, last = process.stderr.rpartition("\npeak ")
    held, seconds, code = last.split()
    result = {"cpu": float(seconds), "peak": int(held), "failed": None}
    if code != "0":
        errors = [line for line in head.splitlines() if re.match(r"[\w.]*(Error|error\[|Exception)", line)]
        result["failed"] = (errors or head.splitlines() or [f"exit status {code}"])[-1].strip()
    # The peer measures itself: the seconds after its imports, and what these had already held.
    own = [line for line in process.stdout.splitlines() if line.startswith('{"cpu"')]
    if own:
        said = json.loads(own[-1])
        result["cpu"] = said["cpu"]
        result["peak"] -= said.get("imports", 0)
    return result


def median(results):
    """The median of each figure; the message where any run failed."""
    failed = next((result["failed"] for result in results if result["failed"]), None)
    figures = {key: statistics.median(result[key] for result in results) for key in ("cpu", "peak")}
    return {**(figures if not failed else dict.fromkeys(figures)), "failed": failed}
