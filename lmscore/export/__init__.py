"""Export of weights to ONNX graphs, which are checked against PyTorch's results without torch."""

from __future__ import annotations

from lmscore.export.export import check_variants, export_model
from lmscore.export.layouts import LAYOUTS, check_layout, export_layout
from lmscore.export.ort import export_ort

__all__ = [
    "LAYOUTS",
    "check_layout",
    "check_variants",
    "export_layout",
    "export_model",
    "export_ort",
]
