"""Layouts: graphs in the contracts of other programs, beside a model's own; their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from lmscore.bundle.records import checked_fields, is_variant_name
from lmscore.errors import ModelError
from lmscore.names import LayoutName

LAYOUT_NAMES: tuple[LayoutName, ...] = get_args(LayoutName)


@dataclass(frozen=True)
class LayoutRecord:
    """The measurement of export on a layout's file, and the hash of the file."""

    sha256: str
    size_bytes: int
    max_difference: float  # nats, over the parity grid: from the model's graph; ort: from PyTorch
    checked_with: str  # "onnxruntime 1.31.1"


Layouts = Mapping[str, Mapping[str, LayoutRecord]]  # by layout, then by variant


def layout_file(layout: str, variant: str) -> str:
    """The file of a layout, relative to the model directory."""
    if layout == "triton":  # a repository of models: a directory each, and in it one per version
        return f"triton/lm_{variant}/1/model.onnx"
    if layout == "ort":  # the model's own graph in ONNX Runtime's format
        return "model.ort" if variant == "fp32" else f"model_{variant}.ort"
    return f"{layout}.onnx" if variant == "fp32" else f"{layout}_{variant}.onnx"


def without_variant(layouts: Layouts, variant: str) -> Layouts:
    """The records without those of one variant."""
    kept = {
        layout: {name: record for name, record in by.items() if name != variant}
        for layout, by in layouts.items()
    }
    return {layout: by for layout, by in kept.items() if by}


def layout_records(document: object, source: str) -> Layouts:
    """Convert the JSON object `layouts` of config.json; raises ModelError if it is damaged."""
    if not isinstance(document, dict):
        raise ModelError(f"{source}: layouts must be an object")
    return {layout: _records_of(layout, by, source) for layout, by in document.items()}


def _records_of(layout: str, document: object, source: str) -> dict[str, LayoutRecord]:
    where = f"{source}: layouts.{layout}"
    if layout not in LAYOUT_NAMES:
        raise ModelError(f"{where}: no such layout; there are {', '.join(LAYOUT_NAMES)}")
    if not isinstance(document, dict):
        raise ModelError(f"{where} must be an object")
    records = {}
    for variant, record in document.items():
        if not is_variant_name(variant):
            raise ModelError(f"{where} has {variant!r}, which is no name of a variant")
        fields = checked_fields(record, LayoutRecord, f"{where}.{variant}")
        records[variant] = LayoutRecord(**fields)
    return records
