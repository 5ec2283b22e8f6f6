"""Compares crates/schema/tflite.facts with the accessors of the installed ai-edge-litert: enum values, and of each
table the id, kind and default of each field: `python tests/schema/facts.py`."""

import inspect
import pathlib
import re
import sys

from ai_edge_litert import schema_py_generated as schema

RENAMED = {"Activation": "ActivationFunctionType", "ElementType": "TensorType", "LstmKernelType": "LSTMKernelType",
           "LshProjectionType": "LSHProjectionType", "WeightsFormat": "FullyConnectedOptionsWeightsFormat"}
WIDTHS = {"bool": "Bool", "i8": "Int8", "u8": "Uint8", "i16": "Int16", "u16": "Uint16", "i32": "Int32",
          "u32": "Uint32", "i64": "Int64", "u64": "Uint64", "f32": "Float32"}


class Recorder:
    """Stands in for a builder and records the one call that an accessor makes."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, arguments))


def blocks(text):
    for block in re.split(r"\n(?=\S)", text):
        lines = [line.split() for line in block.splitlines() if line.strip() and not line.startswith("#")]
        if lines:
            yield lines[0], lines[1:]


def main():
    facts = pathlib.Path(__file__).parents[2] / "crates/schema/tflite.facts"
    found = list(blocks(facts.read_text()))
    enums = {head[1]: head[2] for head, _ in found if head[0] == "enum"} | {"Builtin": "i32"}
    wrong, seen = [], 0
    for head, rows in found:
        if head[0] in ("enum", "union", "builtins"):
            name = {"builtins": "BuiltinOperator"}.get(head[0]) or RENAMED.get(head[1], head[1])
            numbers = {k.upper(): v for k, v in vars(getattr(schema, name)).items() if isinstance(v, int)}
            numbers = {re.sub(r"^STABLEHLO_COMPARISON_(DIRECTION|TYPE)_", "", k): v for k, v in numbers.items()}
            ours = {r[0].upper(): int(r[1]) for r in rows} if head[0] == "enum" else {r[1].upper(): int(r[0]) for r in rows}
            if head[0] == "union":
                numbers.pop("NONE")
            seen += len(ours)
            wrong += [f"{name}: {ours.items() ^ numbers.items()}"] if ours != numbers else []
        if head[0] == "table":
            name, fields = head[1], {}
            for accessor, function in vars(schema).items():
                if (match := re.fullmatch(name + r"Add(\w+)", accessor)) and hasattr(getattr(schema, name), match[1]):
                    recorder = Recorder()
                    function(recorder, 0)
                    call, arguments = recorder.calls[0]
                    kind = re.match(r"Prepend(\w+?)(Relative)?Slot", call)[1]
                    fields[arguments[0]] = (match[1].lower(), kind, arguments[2])
            for row in rows:
                kind = WIDTHS.get(enums.get(row[2], row[2]), "UOffsetT")
                default = {"true": 1, "false": 0}.get(row[3], None) if len(row) > 3 else 0
                default = float(row[3]) if default is None else default
                ours = (row[1].replace("_", ""), kind, default)
                theirs = fields.pop(int(row[0]), None)
                seen += 1
                wrong += [f"{name}: {ours} is {theirs}"] if ours != theirs else []
            wrong += [f"{name} lacks {fields}"] if fields else []
    missing = {n for n, c in vars(schema).items() if inspect.isclass(c) and hasattr(c, "Init")} - {h[1] for h, _ in found if len(h) > 1}
    wrong += [f"no table {missing}"] if missing else []
    print(f"{seen} facts compared")
    sys.exit("\n".join(wrong) or 0)


main()
