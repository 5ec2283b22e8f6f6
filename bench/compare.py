"""Ours against litert-torch and ai-edge-quantizer on the same models, all in one run: writes docs/benchmarks.md.

    python bench/compare.py [--edgewright PATH] [MODEL …]

Run in an environment with bench/requirements.txt. What was measured is kept in target/benchmarks.json: models that are
named are measured again, and the page is written of all that is there; `--page` only writes it.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import conversion
import latency
import page
from contents import contents

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "target" / "benchmarks.json"

BLOCKS = ["upsample_block", "convnext_blocks", "watermark", "jnd_heatmap", "uvq_aggregation"]
MODELS = [
    *("resnet18", "mobilenet_v2"),
    *("vs10_detector", "vs10_detector_nhwc", "vs00_detector", "vs00_detector_nhwc", "chunky_detector_mini"),
    *("uvq_content", "uvq_content_1080p", "uvq_distortion_1patch", "uvq_distortion_3patch", "uvq_distortion_9patch"),
    *("uvq_distortion_9agg", "uvq_distortion_frame", "uvq_full"),
    *("vs10_embedder", "vs10_embedder_core", "vs10_embedder_nhwc", "vs00_embedder", "vs00_embedder_nhwc"),
    *("pixelseal_embedder", "chunky_embedder_mini"),
]


def main():
    sys.path.append(str(ROOT / "python"))
    import edgewright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edgewright", help="the program; by default as `edgewright.find_program` finds it")
    parser.add_argument("--repeats", type=int, default=3, help="conversions of each model, of which the median counts")
    parser.add_argument("--turns", type=int, default=latency.TURNS, help="invocations of each file in a process")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"by default {' '.join(BLOCKS + MODELS)}")
    arguments = parser.parse_args()

    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [] if arguments.page else arguments.models or BLOCKS + MODELS:
        program = arguments.edgewright or edgewright.find_program()
        with tempfile.TemporaryDirectory(prefix="bench.") as folder:
            rows[name] = measured(name, program, pathlib.Path(folder), arguments)
        RESULTS.write_text(json.dumps(rows, indent=1))
        print(name, "is measured", file=sys.stderr, flush=True)
    ordered = {name: rows[name] for name in BLOCKS + MODELS if name in rows}
    (ROOT / "docs" / "benchmarks.md").write_text(page.written(ordered, BLOCKS))


def measured(name, program, folder, arguments):
    """Everything about one model."""
    row = {"export": conversion.prepare(name, folder), "copy": conversion.copy(name, folder)}
    row["archive"] = (folder / f"{name}.pt2").stat().st_size
    files = {kind: folder / f"{name}.{kind}.tflite" for kind in ("ours", "peer", "light", "ours8", "peer8")}
    recordings = sorted(folder.glob(f"{name}.*.safetensors"))

    ours = conversion.ours(program, ["convert"], name, folder, files["ours"], arguments.repeats)
    theirs = conversion.theirs(name, folder, files["peer"], arguments.repeats)
    # Its lightweight mode writes another, slower file, of which only the making is compared.
    light = conversion.theirs(name, folder, files["light"], arguments.repeats, light=True)
    row["float"] = {"ours": ours, "peer": theirs, "light": light}
    judge(row["float"], files["ours"], files["peer"], recordings, arguments.turns)

    quantize = ["quantize", "--recipe", "dynamic-int8"]
    ours = conversion.ours(program, quantize, name, folder, files["ours8"], arguments.repeats)
    row["int8"] = {"ours": ours, "peer": {"failed": "it has no float file"}, "left": None}
    if files["peer"].exists():
        row["int8"]["peer"] = conversion.theirs_in_int8(files["peer"], files["peer8"])
    judge(row["int8"], files["ours8"], files["peer8"], recordings, arguments.turns)
    if files["peer8"].exists() and row["int8"]["judged"]["peer"]["failed"]:
        # As far as the peer goes: its user would take what does not load out of the recipe.
        row["int8"]["left"] = {"operation": conversion.UNLOADABLE, "why": row["int8"]["judged"]["peer"]["failed"]}
        row["int8"]["peer"] = conversion.theirs_in_int8(files["peer"], files["peer8"], conversion.UNLOADABLE)
        judge(row["int8"], files["ours8"], files["peer8"], recordings, arguments.turns)
    return row


def judge(row, ours, theirs, recordings, turns):
    """Adds what is in both files, their errors, and how long they take, as far as there are files."""
    both = {"ours": ours, "peer": theirs}
    row["contents"] = {who: contents(path) for who, path in both.items() if path.exists()}
    row["judged"] = {who: conversion.errors(path, recordings) for who, path in both.items() if path.exists()}
    fit = len(row["judged"]) == 2 and not any(judged["failed"] for judged in row["judged"].values())
    row["latency"] = latency.compared(ours, theirs, turns) if fit else None


if __name__ == "__main__":
    main()
