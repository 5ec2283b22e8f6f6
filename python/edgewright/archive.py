"""A model saved as a `.pt2` archive, with the inputs and outputs of one run beside it."""

import contextlib
import copy
import inspect
import os
import pathlib
import tempfile
import warnings

import torch
from torch.utils import _pytree as pytree

from . import lines, tensors

# Weights of more bytes are not copied in float64 unasked.
LARGE = 1 << 30


def export(module, args, path, kwargs=None, dynamic_shapes=None, strict=False, source_root=None, rounding=None):
    """Exports `module` to `path` (`NAME.pt2`) and records one run in `NAME.safetensors`.

    module: a `torch.nn.Module` in eval mode; its weights and buffers are the same after the call.
    args, kwargs: example arguments; they fix the shapes that `dynamic_shapes` leaves open, and are not changed.
    dynamic_shapes, strict: as in `torch.export.export`.
    source_root: source paths under this folder are written relative to it.
    rounding: also record the outputs in float64, from which `edgewright verify` knows how far PyTorch itself rounds. This
        takes a copy of the model in float64; by default it is done where the weights are below 1 GiB and the copy runs.

    Returns the `torch.export.ExportedProgram` that was saved.
    """
    path = pathlib.Path(path)
    if path.suffix != ".pt2":
        raise ValueError(f"the archive's name must end in .pt2: {path}")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for {path.name}")
    if isinstance(args, torch.Tensor):
        raise TypeError("args must be a tuple of arguments: write (x,) for one tensor")
    _require_eval(module)
    kwargs = in_signature_order(module, kwargs or {})

    with lines.helper_frames_kept() if not strict else contextlib.nullcontext():
        program = torch.export.export(module, tuple(args), kwargs, dynamic_shapes=dynamic_shapes, strict=strict)
    if source_root is not None:
        lines.shorten_paths(program, source_root)

    recorded = record(module, args, kwargs)
    recorded.update(_rounding(module, args, kwargs, rounding, recorded))
    # The archive's entries begin with the file's stem, so it is written under its own name in a folder beside.
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.stem}.") as beside:
        whole = os.path.join(beside, path.name)
        torch.export.save(program, whole)
        os.replace(whole, path)
    tensors.save(recorded, path.with_suffix(".safetensors"))
    return program


def record(module, args, kwargs=None):
    """Runs `module` once on copies of the arguments: `input.N` and `output.N` → tensor, in PyTorch's order.

    Buffers that the run changes are put back; a run that changes a parameter is an error.
    """
    arguments = pytree.tree_map_only(torch.Tensor, torch.clone, (tuple(args), dict(kwargs or {})))
    given = [leaf.clone() for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]
    parameters = {name: (tensor, tensor._version) for name, tensor in module.named_parameters()}
    buffers = [(tensor, tensor._version, tensor.clone()) for tensor in module.buffers()]

    with torch.no_grad():
        result = module(*arguments[0], **arguments[1])

    changed = [name for name, (tensor, version) in parameters.items() if tensor._version != version]
    if changed:
        raise ValueError(f"forward changes the parameter {changed[0]}, so the recorded run cannot be repeated")
    for tensor, version, before in buffers:
        if tensor._version != version:
            tensor.copy_(before)

    given_back = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    recorded = {f"input.{index}": tensor for index, tensor in enumerate(given)}
    recorded.update({f"output.{index}": tensor for index, tensor in enumerate(given_back)})
    return recorded


def in_float64(module, args, kwargs=None):
    """Runs a copy of `module` in float64 on the arguments: `reference64.N` → what `output.N` is, but for rounding.

    Raises what the copy or the run raises; a module may insist on another dtype.
    """
    double = copy.deepcopy(module).double()
    widened = pytree.tree_map_only(
        torch.Tensor,
        lambda tensor: tensor.to(torch.float64 if tensor.is_floating_point() else tensor.dtype, copy=True),
        (tuple(args), dict(kwargs or {})),
    )
    with torch.no_grad():
        result = double(*widened[0], **widened[1])
    leaves = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    return {
        f"reference64.{index}": leaf.double() if leaf.is_floating_point() else leaf for index, leaf in enumerate(leaves)
    }


def _rounding(module, args, kwargs, wanted, recorded):
    """What `in_float64` gives, where it is wanted; unasked, nothing for a large model or one that does not run in float64."""
    large = sum(tensor.nbytes for tensor in module.state_dict().values()) > LARGE
    if wanted is False or (wanted is None and large):
        return {}
    try:
        exact = in_float64(module, args, kwargs)
        outputs = [tensor for name, tensor in recorded.items() if name.startswith("output.")]
        if [tensor.shape for tensor in exact.values()] != [tensor.shape for tensor in outputs]:
            raise ValueError("the outputs have other shapes in float64")
        return exact
    except Exception as error:  # whatever a model raises in a dtype that it was not written for
        if wanted:
            raise
        warnings.warn(f"PyTorch's own rounding is not recorded: {error!r}", stacklevel=3)
        return {}


def in_signature_order(module, kwargs):
    """`kwargs` in the order in which `forward` names them, which is the order of the archive's inputs."""
    order = [name for name in inspect.signature(module.forward).parameters if name in kwargs]
    return {name: kwargs[name] for name in order + [name for name in kwargs if name not in order]}


def _require_eval(module):
    training = [name or "(the model itself)" for name, child in module.named_modules() if child.training]
    if training:
        raise ValueError(
            f"the model is in training mode ({training[0]}): call .eval() first, "
            "or dropout and batch statistics would be baked into the archive"
        )
