"""Weights to ONNX graphs, checked against what PyTorch computed. Needs no torch."""

from __future__ import annotations

from lmscore.export.export import check_variants, export_model

__all__ = ["check_variants", "export_model"]
