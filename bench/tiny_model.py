"""Small .tflite models built operator by operator, with the schema module of ai_edge_litert."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "float64": schema.TensorType.FLOAT64,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "uint8": schema.TensorType.UINT8,
    "uint16": schema.TensorType.UINT16,
    "uint32": schema.TensorType.UINT32,
    "uint64": schema.TensorType.UINT64,
    "bool": schema.TensorType.BOOL,
    "bfloat16": schema.TensorType.BFLOAT16,
    "complex64": schema.TensorType.COMPLEX64,
}


class Model:
    """A model of one graph. Values are the indices of its tensors."""

    def __init__(self):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []

    def value(self, dtype, shape, name=None, data=None):
        tensor = schema.TensorT()
        tensor.name = (name or f"value_{len(self.graph.tensors)}").encode()
        tensor.type, tensor.shape, tensor.hasRank = TYPES[str(dtype)], list(shape), True
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, name, dtype, shape):
        self.graph.inputs.append(self.value(dtype, shape, name))
        return self.graph.inputs[-1]

    def constant(self, array):
        array = np.asarray(array)
        return self.value(array.dtype, array.shape, data=array)

    def operator(self, name, inputs, outputs, options=None, version=1, **fields):
        """Appends builtin operator `name`; `outputs` are (dtype, shape) pairs, `fields` those of its options."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs = inputs
        operator.outputs = [self.value(dtype, shape) for dtype, shape in outputs]
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                assert hasattr(operator.builtinOptions, field), field
                setattr(operator.builtinOptions, field, value)
        self.graph.operators.append(operator)
        return operator.outputs[0] if len(operator.outputs) == 1 else operator.outputs

    def finish(self, *outputs):
        """The model's bytes, with the signature `serving_default`; outputs are named output_0, output_1, …"""
        self.graph.outputs = list(outputs)
        self.model.subgraphs = [self.graph]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        names = [self.graph.tensors[i].name for i in self.graph.inputs]
        signature.inputs = [entry(n, i) for n, i in zip(names, self.graph.inputs)]
        signature.outputs = [entry(f"output_{n}".encode(), i) for n, i in enumerate(outputs)]
        self.model.signatureDefs = [signature]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def entry(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made
