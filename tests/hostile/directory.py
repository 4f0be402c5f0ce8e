"""Model directories as an attacker makes them: spoilt, and every hash and size put right again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmscore.bundle import CONFIG_FILE, TOKENIZER_FILE, graph_file
from lmscore.files import sha256_file

FP32_FILE = graph_file("fp32")


def copied(source: Path, target: Path) -> Path:
    """A model directory to spoil."""
    return Path(shutil.copytree(source, target))


def forge(path: Path) -> None:
    """Make config.json agree with whatever the files now hold."""

    def sign(document: dict[str, Any]) -> None:
        document["tokenizer_sha256"] = sha256_file(path / TOKENIZER_FILE)
        for variant, record in document["graphs"].items():
            file = path / graph_file(variant)
            record.update(sha256=sha256_file(file), size_bytes=file.stat().st_size)

    edit_json(path / CONFIG_FILE, sign)


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
