"""The lines of Python that each node of an exported graph came from."""

import contextlib
import os
import re
import sysconfig
import traceback
import warnings

import torch

_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_TORCH_NN = os.path.join(_TORCH, "nn") + os.sep
_STDLIB = sysconfig.get_paths()["stdlib"] + os.sep
_FILE = re.compile(r'(File ")([^"]*)(", line \d+)')


@contextlib.contextmanager
def helper_frames_kept():
    """While open, `torch.export` records frames of helper functions too, not only of functions called `forward`.

    PyTorch has no public switch for this: the method that filters frames is replaced, and put back on leaving. Where
    this version of PyTorch has no such method, a warning says that lines will be those of `forward` only.
    """
    from torch.fx.experimental import proxy_tensor

    tracer = getattr(proxy_tensor, "_ModuleStackTracer", None)
    if tracer is None or not hasattr(tracer, "_filter_traceback_frames"):
        warnings.warn(
            f"PyTorch {torch.__version__} offers no way to keep helper functions in source lines: "
            "operators will be attributed to the line of the `forward` that called the helper",
            stacklevel=4,
        )
        yield
        return

    own = tracer.__dict__.get("_filter_traceback_frames")
    tracer._filter_traceback_frames = lambda self, summary: _user_frames(summary)
    try:
        yield
    finally:
        if own is None:
            del tracer._filter_traceback_frames
        else:
            tracer._filter_traceback_frames = own


def _user_frames(summary):
    """The frames from the outermost `forward` inwards, without PyTorch's own except `forward` of its modules."""
    names = [frame.name for frame in summary]
    if "forward" not in names:
        return traceback.StackSummary.from_list([])
    kept = [frame for frame in list(summary)[names.index("forward") :] if _is_told(frame)]
    return traceback.StackSummary.from_list(kept)


def _is_told(frame):
    """Whether a frame says something to the model's author."""
    if frame.filename.startswith(_TORCH_NN):
        return frame.name == "forward"
    if frame.filename.startswith(_TORCH) or frame.filename.startswith("<"):
        return False
    return "site-packages" in frame.filename or not frame.filename.startswith(_STDLIB)


def shorten_paths(program, source_root):
    """Rewrites a program's source paths: relative under `source_root`, for packages from `site-packages` on."""
    root = os.path.join(os.path.abspath(source_root), "")

    def shorten(match):
        path = match[2]
        # An environment may lie inside the source root: packages first.
        if "/site-packages/" in path:
            path = path[path.index("/site-packages/") + 1 :]
        elif path.startswith(root):
            path = path[len(root) :]
        return match[1] + path + match[3]

    for module in program.graph_module.modules():
        if not isinstance(module, torch.fx.GraphModule):
            continue
        for node in module.graph.nodes:
            if node.meta.get("stack_trace"):
                node.meta["stack_trace"] = _FILE.sub(shorten, node.meta["stack_trace"])
