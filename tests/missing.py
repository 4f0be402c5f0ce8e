"""A package that is not installed."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest


def hide_package(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make importing a package fail as where it is not installed."""
    for module in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    real = builtins.__import__

    def missing(module: str, *rest: Any) -> Any:
        if module.split(".", maxsplit=1)[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(module, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
