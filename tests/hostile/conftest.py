"""What the hostile tests share with those of the command line."""

from __future__ import annotations

from tests.cli.conftest import _default_model, run

__all__ = ["_default_model", "run"]
