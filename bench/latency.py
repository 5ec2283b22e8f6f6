"""How long one invocation takes in ours, by the peer's: files invoked in turns in one process, on one thread.

    python bench/latency.py OURS THEIRS [--swapped]

Prints as JSON the median CPU time of ours, and of a second interpreter of theirs, divided by that of theirs.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy

PROCESSES = 5
TURNS = 30
SHORTEST = 0.030  # seconds; a shorter model is invoked several times in a turn


def compared(ours, theirs, turns=TURNS):
    """Medians over fresh processes: `ratio`, ours by theirs, and `noise`, theirs by theirs: least and most."""
    runs = []
    for turn in range(PROCESSES):
        command = [sys.executable, str(pathlib.Path(__file__).resolve()), str(ours), str(theirs), "--turns", str(turns)]
        process = subprocess.run(command + ["--swapped"] * (turn % 2), capture_output=True, text=True)
        if process.returncode:
            return {"failed": process.stderr.strip().splitlines()[-1]}
        runs.append(json.loads(process.stdout.splitlines()[-1]))
    ratios, noise = [run["ratio"] for run in runs], [run["noise"] for run in runs]
    seconds = statistics.median(run["seconds"] for run in runs)
    return {"ratio": statistics.median(ratios), "noise": [min(noise), max(noise)], "seconds": seconds, "failed": None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ours")
    parser.add_argument("theirs")
    parser.add_argument("--swapped", action="store_true", help="make their interpreters before ours")
    parser.add_argument("--turns", type=int, default=TURNS)
    arguments = parser.parse_args()

    paths = {"ours": arguments.ours, "theirs": arguments.theirs, "again": arguments.theirs}
    order = list(reversed(paths)) if arguments.swapped else list(paths)
    interpreters = {name: prepared(paths[name]) for name in order}
    for interpreter in interpreters.values():
        invoke(interpreter, 1)
    shortest = min(invoke(interpreter, 2) / 2 for interpreter in interpreters.values())
    times = max(1, round(SHORTEST / shortest))

    taken = {name: [] for name in order}
    for turn in range(arguments.turns):
        # Each comes after each of the others, so that what one leaves in the cache serves all alike.
        first = turn % len(order)
        turns = order[first:] + order[:first]
        for name in turns if turn % 2 == 0 else reversed(turns):
            taken[name].append(invoke(interpreters[name], times))
    ours, theirs, again = (statistics.median(taken[name]) for name in ("ours", "theirs", "again"))
    print(json.dumps({"ratio": ours / theirs, "noise": again / theirs, "seconds": ours / times}))


def prepared(path):
    """An interpreter with one thread and seeded inputs, zeros where the model takes integers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    random = numpy.random.default_rng(0)
    for detail in interpreter.get_input_details():
        values = random.random(detail["shape"]) if detail["dtype"] == numpy.float32 else numpy.zeros(detail["shape"])
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    return interpreter


def invoke(interpreter, times):
    """CPU seconds of `times` invocations."""
    started = time.process_time()
    for _ in range(times):
        interpreter.invoke()
    return time.process_time() - started


if __name__ == "__main__":
    main()
