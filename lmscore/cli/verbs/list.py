"""`lmscore list`: the models that are here and have a name."""

from __future__ import annotations

import json
from typing import Any

from lmscore.bundle import Bundle
from lmscore.cli import options, streams
from lmscore.cli.table import size, table


def list_models(*, output_format: options.Report = "text") -> None:
    """List the bundled models and all models that were fetched, with the names that load them."""
    found = list(map(_described, _models()))
    if output_format == "json":
        streams.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        return
    header = ("name", "architecture", "variants", "size", "directory")
    rows = [
        (
            each["name"],
            each["architecture"],
            ", ".join(each["variants"]),
            size(each["size_bytes"]),
            each["path"],
        )
        for each in found
    ]
    streams.write(table([header, *rows]))


def _models() -> list[tuple[str, Bundle]]:
    from lmscore.hub import kept
    from lmscore.runtime.load import bundled_models

    fetched = [(stored.name, stored.path) for stored in kept()]
    return [(name, Bundle.read(path)) for name, path in [*bundled_models().items(), *fetched]]


def _described(model: tuple[str, Bundle]) -> dict[str, Any]:
    name, bundle = model
    files = [path for path in bundle.path.rglob("*") if path.is_file()]
    return {
        "name": name,
        "architecture": bundle.config.architecture,
        "variants": list(bundle.variants()),
        "size_bytes": sum(path.stat().st_size for path in files),
        "path": str(bundle.path),
    }
