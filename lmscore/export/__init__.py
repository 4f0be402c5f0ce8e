"""Weights to ONNX graphs, checked against what PyTorch computed. Needs no torch."""

from __future__ import annotations

from lmscore.export.export import export_model

__all__ = ["export_model"]
