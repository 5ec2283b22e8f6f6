"""Two files invoked in turns in one process: prints the median CPU time of the first divided by that of the second."""

import argparse
import statistics
import time

import numpy
from ai_edge_litert.interpreter import Interpreter

TURNS = 30
SHORTEST = 0.030  # seconds; a shorter model is invoked several times in a turn


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("--swapped", action="store_true", help="make the second interpreter before the first")
    arguments = parser.parse_args()

    paths = [arguments.first, arguments.second]
    order = reversed(range(2)) if arguments.swapped else range(2)
    interpreters = {index: prepared(paths[index]) for index in order}
    for interpreter in interpreters.values():
        invoke(interpreter, 1)
    times = max(1, round(SHORTEST / min(invoke(interpreter, 3) / 3 for interpreter in interpreters.values())))

    taken = {0: [], 1: []}
    for turn in range(TURNS):
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            taken[index].append(invoke(interpreters[index], times))
    print(statistics.median(taken[0]) / statistics.median(taken[1]))


def prepared(path):
    """An interpreter with one thread and seeded inputs, small integers where the model takes integers."""
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


main()
