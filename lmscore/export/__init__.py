"""Export of weights to ONNX graphs, which are checked against PyTorch's results without torch."""

from __future__ import annotations

from lmscore.export.export import check_variants, export_model

__all__ = ["check_variants", "export_model"]
