"""Graphs in the contracts of other programs, made of the same weights and nodes as the model's."""

from lmscore.export.layouts.write import LAYOUTS, check_layout, export_layout

__all__ = ["LAYOUTS", "check_layout", "export_layout"]
