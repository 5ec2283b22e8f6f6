"""Reads the file of every builtin that `cargo test --test tflite_reader` wrote with the accessors of ai-edge-litert,
and compares each option with what was written: `python tests/schema/read_with_wheel.py target/tmp/everything.tflite`."""

import pathlib
import sys

from ai_edge_litert import schema_py_generated as schema

FACTS = pathlib.Path(__file__).parents[2] / "crates/schema/tflite.facts"


def tables():
    found, table = {}, None
    for line in FACTS.read_text().splitlines():
        words = line.split()
        if line.startswith("table "):
            table = found.setdefault(words[1], [])
        elif not line.startswith("  "):
            table = None
        elif table is not None:
            table.append((int(words[0]), words[1].replace("_", ""), words[2], words[3] if len(words) > 3 else None))
    return found


def written(number, kind, default):
    """What `some_value` in the test gives for a field of this id and kind."""
    number += 3
    return {
        "bool": default == "false", "f32": number + 0.5, "u8": 200 + number, "u32": 200 + number,
        "StablehloComparisonDirection": 200 + number, "StablehloComparisonType": 200 + number,
        "string": f"text {number}".encode(), "[f32]": [0.25, -number], "[bool]": [True, False, True],
        "[u8]": [200, 0, number], "[u32]": [200, 0, number],
    }.get(kind, [-1, number, 0] if kind.startswith("[") else -number)


def main(path):
    facts = tables()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(pathlib.Path(path).read_bytes(), 0))
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    compared = 0
    for operator in model.subgraphs[0].operators:
        code = model.operatorCodes[operator.opcodeIndex]
        assert code.deprecatedBuiltinCode == min(code.builtinCode, 127)
        assert code.version == 1 + code.builtinCode % 3, (names[code.builtinCode], code.version)
        assert list(operator.inputs) == [0, -1, 2] and list(operator.outputs) == [5]
        options = operator.builtinOptions or operator.builtinOptions2
        if options is None:
            continue
        values = {k.lower(): v for k, v in vars(options).items()}
        for number, name, kind, default in facts[type(options).__name__[:-1]]:
            got = values.pop(name)
            got = got.tolist() if hasattr(got, "tolist") else got
            assert got == written(number, kind, default), (type(options), name, got)
            compared += 1
        assert not values, (type(options), values)
    blocks = model.subgraphs[0].tensors[3].quantization
    assert (blocks.details.scales, blocks.details.zeroPoints, blocks.details.blockSize) == (0, -1, 32)
    assert model.subgraphs[0].tensors[2].quantization.zeroPoint.tolist() == [0, -3]
    assert [(m.name, m.tensorIndex) for m in model.signatureDefs[0].outputs] == [(b"y", 5), (b"z", 5)]
    print(f"{len(model.subgraphs[0].operators)} operators, {compared} options read as written")


main(sys.argv[1])
