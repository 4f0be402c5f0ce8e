"""Train a compact recurrent language model, export it to ONNX, and score text with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmscore.errors import LmscoreError
    from lmscore.runtime.bidirectional import bidirectional, load_bidirectional
    from lmscore.runtime.decoding import Sample
    from lmscore.runtime.engine import State
    from lmscore.runtime.load import load
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.scoring import Score, Summary

__version__ = "0.1.0"

__all__ = [
    "LanguageModel",
    "LmscoreError",
    "Sample",
    "Score",
    "State",
    "Summary",
    "__version__",
    "bidirectional",
    "load",
    "load_bidirectional",
]

_HOMES = {
    "LmscoreError": "lmscore.errors",
    "LanguageModel": "lmscore.runtime.model",
    "Sample": "lmscore.runtime.decoding.result",
    "Score": "lmscore.runtime.scoring.score",
    "State": "lmscore.runtime.engine.state",
    "Summary": "lmscore.runtime.scoring.score",
    "bidirectional": "lmscore.runtime.bidirectional",
    "load": "lmscore.runtime.load",
    "load_bidirectional": "lmscore.runtime.bidirectional",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `import lmscore` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lmscore' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
