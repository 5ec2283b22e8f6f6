"""What is in a .tflite, read from its tables: operators, ranks, and bytes with and without metadata."""

import collections
import pathlib

from ai_edge_litert import schema_py_generated as schema

NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}


def contents(path):
    """`operators` by name, the greatest `rank`, the file's `bytes`, and those of them that are `metadata`."""
    data = pathlib.Path(path).read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    names = [NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
    operators, rank = collections.Counter(), 0
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        operators.update(names[graph.Operators(index).OpcodeIndex()] for index in range(graph.OperatorsLength()))
        rank = max([rank, *(graph.Tensors(index).ShapeLength() for index in range(graph.TensorsLength()))])
    buffers = [model.Metadata(index).Buffer() for index in range(model.MetadataLength())]
    metadata = sum(model.Buffers(buffer).DataLength() for buffer in buffers)
    return {"operators": dict(operators), "rank": rank, "bytes": len(data), "metadata": metadata}
