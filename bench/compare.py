"""Ours against litert-torch on the same models: CPU time, peak memory, file size, operators and latency, as ratios.

    python bench/compare.py [--edgewright PATH] [--only conversion|latency] [MODEL …]

Run in an environment with bench/requirements.txt. Absolute times depend on the machine; ratios are what to read.
"""

import argparse
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path[:0] = [str(ROOT / "tests" / "models"), str(ROOT / "python")]

MODELS = ["upsample_block", "convnext_blocks", "watermark", "mobilenet_v2", "resnet18", "vs10_embedder_core"]
BLOCKS = {"upsample_block", "convnext_blocks", "watermark"}
PEER = ".peer.tflite"


def main():
    import edgewright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edgewright", help="the program; by default as `edgewright.find_program` finds it")
    parser.add_argument("--only", choices=["conversion", "latency"], help="one half of the measurement")
    parser.add_argument("--repeats", type=int, default=3, help="conversions of each model, of which the median counts")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"by default {' '.join(MODELS)}")
    arguments = parser.parse_args()
    program = arguments.edgewright or edgewright.find_program()
    names = arguments.models or MODELS

    with tempfile.TemporaryDirectory(prefix="bench.") as folder:
        folder = pathlib.Path(folder)
        rows = [conversion(name, program, folder, arguments.repeats) for name in names]
        if arguments.only != "latency":
            print_conversions(rows)
        if arguments.only != "conversion":
            both = [name for name in names if all((folder / f"{name}{kind}").exists() for kind in (".tflite", PEER))]
            print_latencies([latency(name, folder) for name in both])


def conversion(name, program, folder, repeats):
    """Converts one model with both, and measures both; the files stay in `folder`."""
    archive, ours, theirs = folder / f"{name}.pt2", folder / f"{name}.tflite", folder / f"{name}{PEER}"
    export = measured([sys.executable, str(BENCH / "peer.py"), "export", name, str(archive)])
    row = {"name": name, "export": export["cpu"]}
    copies = [measured(["cp", "--reflink=never", str(archive), str(folder / "copy")])["cpu"] for _ in range(3)]
    row["copy"] = statistics.median(copies)

    command = [program, "convert", str(archive), "-o", str(ours), "--force", "-q"]
    row["ours"] = median([measured(command) for _ in range(repeats)])
    # Its lightweight mode writes another, slower file: only the plain one is held against ours.
    for kind, target in (("peer", theirs), ("peer-light", folder / "light.tflite")):
        words = [sys.executable, str(BENCH / "peer.py"), "convert", name, str(target)]
        words += ["--light"] if kind == "peer-light" else []
        row[kind] = median([measured(words) for _ in range(repeats)])
    sizes = [path.stat().st_size if path.exists() else None for path in (ours, theirs)]
    row["size"] = ratio(*sizes)
    row["operators"] = operators(ours), operators(theirs)
    return row


def measured(command):
    """Runs a command: CPU seconds and peak bytes, from which a child that reports on itself takes its imports off."""
    peak = [sys.executable, str(ROOT / "tests" / "e2e" / "peak.py")]
    process = subprocess.run([*peak, *command], capture_output=True, text=True)
    head, _, last = process.stderr.rpartition("\npeak ")
    held, seconds, code = last.split()
    result = {"cpu": float(seconds), "peak": int(held), "failed": None}
    if code != "0":
        errors = [line for line in head.splitlines() if re.match(r"[\w.]*(Error|error\[|Exception)", line)]
        result["failed"] = (errors or head.splitlines() or ["no message"])[-1].strip()
    # The peer measures itself: the seconds after its imports, and what these had already held.
    own = [line for line in process.stdout.splitlines() if line.startswith('{"cpu"')]
    if own:
        said = json.loads(own[-1])
        result["cpu"] = said["cpu"]
        result["peak"] -= said["imports"]
    return result


def median(results):
    """The median of each figure; the message where any run failed."""
    failed = next((result["failed"] for result in results if result["failed"]), None)
    figures = {key: statistics.median(result[key] for result in results) for key in ("cpu", "peak")}
    return {**(figures if not failed else dict.fromkeys(figures)), "failed": failed}


def operators(path):
    """Operators in a file by LiteRT's own count; None where there is no file."""
    if not path.exists():
        return None
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=kernels)
    names = [operator["op_name"] for operator in interpreter._get_ops_details()]
    return {"all": len(names), "TRANSPOSE": names.count("TRANSPOSE"), "GATHER_ND": names.count("GATHER_ND")}


def latency(name, folder):
    """The ratio of invocation times, and of the peer's file against itself in the same run: the band of noise."""
    ours, theirs = folder / f"{name}.tflite", folder / f"{name}{PEER}"
    again = shutil.copyfile(theirs, folder / f"{name}.again.tflite")
    ratios, noise = [], []
    for turn in range(5):
        ratios.append(pair(ours, theirs, swapped=turn % 2))
        noise.append(pair(again, theirs, swapped=turn % 2))
    return {"name": name, "ratio": statistics.median(ratios), "noise": (min(noise), max(noise))}


def pair(first, second, swapped):
    """One fresh process with an interpreter of each file: the median time of the first by that of the second."""
    command = [sys.executable, str(BENCH / "latency.py"), str(first), str(second), *(["--swapped"] if swapped else [])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ratio(a, b):
    """a ÷ b, or None where one of them is not known."""
    return a / b if a is not None and b and b > 0 else None


def shown(value, form="{:.3f}"):
    return "–" if value is None else form.format(value)


def print_conversions(rows):
    print("\n## Conversion: ours ÷ the peer's\n")
    print("CPU: from the archive, and with the export of the archive counted; memory: peak over the imports.\n")
    print("| model | CPU | CPU with export | CPU ÷ cp | memory | memory, lightweight | size | operators | TRANSPOSE |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        ours, peer, light = row["ours"], row["peer"], row["peer-light"]
        for who, result in (("ours", ours), ("the peer", peer), ("the peer, lightweight", light)):
            if result["failed"]:
                print(f"| {row['name']} | {who} fails: {result['failed'][:90]} | | | | | | | |")
        cells = [
            shown(ratio(ours["cpu"], peer["cpu"])),
            shown(ratio(ours["cpu"] and ours["cpu"] + row["export"], peer["cpu"])),
            shown(ratio(ours["cpu"], row["copy"]), "{:.1f}"),
            shown(ratio(ours["peak"], peer["peak"])),
            shown(ratio(ours["peak"], light["peak"])),
            shown(row["size"]),
            *[
                " : ".join(shown(count and count[kind], "{}") for count in row["operators"])
                for kind in ("all", "TRANSPOSE")
            ],
        ]
        print(f"| {row['name']} | {' | '.join(cells)} |")


def print_latencies(rows):
    for title, chosen in (
        ("whole models", [row for row in rows if row["name"] not in BLOCKS]),
        ("blocks", [row for row in rows if row["name"] in BLOCKS]),
    ):
        print(f"\n## Latency of {title}: ours ÷ the peer's\n")
        print("| model | ratio | the peer against itself |\n|---|---|---|")
        for row in chosen:
            least, most = row["noise"]
            print(f"| {row['name']} | {row['ratio']:.3f} | {least:.3f} to {most:.3f} |")


if __name__ == "__main__":
    main()
