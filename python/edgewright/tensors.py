"""Named tensors in a safetensors file, written and read with torch alone."""

import ctypes
import json
import os
import struct
import tempfile

import torch

# The format's words for element types (https://huggingface.co/docs/safetensors).
_WORDS = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}
_DTYPES = {word: dtype for dtype, word in _WORDS.items()}


def save(tensors, path):
    """Writes `tensors` (name → tensor) in their order; the file appears whole or not at all."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _WORDS:
            raise TypeError(f"{name} is {tensor.dtype}, which a safetensors file cannot hold")
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _WORDS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)

    handle, beside = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for tensor in tensors.values():
                file.write(_bytes(tensor))
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def load(path):
    """Reads all tensors of a file, in the order they lie in it."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, end = entry["data_offsets"]
        dtype = _DTYPES[entry["dtype"]]
        # A copy, because a view at an odd offset would not be aligned to its element type.
        flat = torch.frombuffer(bytearray(data[start:end]), dtype=dtype) if end > start else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def _bytes(tensor):
    """The tensor's elements in row-major order, little-endian as on every machine torch supports."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    size = tensor.numel() * tensor.element_size()
    return bytes((ctypes.c_char * size).from_address(tensor.data_ptr())) if size else b""
