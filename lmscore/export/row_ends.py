"""Where the rows of a batch end.

Letters in shapes: B batch, T time (tokens).
"""

from __future__ import annotations

import numpy as np

from lmscore.errors import needs_extra
from lmscore.export.builder import GraphBuilder

with needs_extra("export"):
    from onnx import TensorProto


def add_running(b: GraphBuilder) -> str:
    """Add the mask of times before each row's length, bool [T, B, 1], for all layers."""
    zero, one = (b.constant(str(n), np.array(n, dtype=np.int64)) for n in (0, 1))
    end = b.op("Squeeze", b.op("Shape", "tokens", to="T_shape", start=1), to="T")
    times = b.op("Range", zero, end, one, to="times")
    times_by_row = b.op("Unsqueeze", times, b.integers("row_axes", 1, 2), to="times_by_row")
    lengths = b.cast("lengths", TensorProto.INT64, to="lengths_int64")
    column = b.op("Unsqueeze", lengths, b.integers("column_axis", 1), to="lengths_column")
    return b.op("Less", times_by_row, column, to="running")


def add_last_places(b: GraphBuilder) -> str:
    """Add the time and the row of each row's last token, int64 [B, 2], for all layers."""
    zero, one = (b.constant(str(n), np.array(n, dtype=np.int64)) for n in (0, 1))
    lengths = b.cast("lengths", TensorProto.INT64, to="lengths_int64")
    size = b.op("Squeeze", b.op("Shape", "lengths", to="B_shape"), to="B")
    columns = (
        b.op("Sub", lengths, one, to="last_times"),
        b.op("Range", zero, size, one, to="row_numbers"),
    )
    axis = b.integers("column_axis", 1)
    pair = [b.op("Unsqueeze", name, axis, to=f"{name}_column") for name in columns]
    return b.op("Concat", *pair, to="last_places", axis=1)
