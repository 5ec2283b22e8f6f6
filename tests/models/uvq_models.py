"""The archives of UVQ: the variants of the example, with its seeded weights."""

import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "examples"))

from uvq.variants import VARIANTS  # noqa: E402

ROWS = {f"uvq_{name}": (variant.build, variant.inputs) for name, variant in VARIANTS.items()}
