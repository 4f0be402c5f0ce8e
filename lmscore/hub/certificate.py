"""A model directory that came from elsewhere, held against the hashes in its config.json."""

from __future__ import annotations

from pathlib import Path

from lmscore.bundle import Bundle


def check_files(path: str | Path) -> Bundle:
    """Read a model directory's config.json, and compare its tokenizer and all its graphs with it.

    Raises:
        ModelNotFoundError: a file is missing.
        ModelError: config.json is damaged, or a file is not the one that it records.
    """
    bundle = Bundle.read(path)
    bundle.tokenizer_file()
    for variant in bundle.variants():
        bundle.graph_path(variant)
    for layout, variant in bundle.layouts():
        bundle.layout_path(layout, variant)
    return bundle
