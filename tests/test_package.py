"""The package as a whole: its public names, and which way its imports point."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmscore

PACKAGE = Path(lmscore.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each part may import of the others when it is imported (None), or at all.
BASE = {"bundle", "errors", "files"}
ALLOWED = {
    "errors": set[str](),
    "files": {"errors"},
    "bundle": {"errors", "files"},
    "runtime": BASE | {"runtime"},
    "export": BASE | {"runtime", "export"},
    "train": BASE | {"runtime", "export", "train"},
    "cli": BASE | {"runtime", "export", "train", "cli", ""},
}
LIBRARIES = {
    "errors": set[str](),
    "files": set[str](),
    "bundle": set[str](),
    "runtime": {
        "numpy",
        "onnxruntime",
        "tokenizers",
        "kenlm",
        "llguidance",
        "rapidfuzz",
        "sacrebleu",
    },
    "export": {"numpy", "onnx", "google", "safetensors"},
    "train": {"numpy", "torch", "safetensors", "tokenizers", "tensorboard"},
    "cli": {"typer", "rich", "matplotlib"},
}
# Loaded where they are needed, never by importing a module.
LAZY = {
    "kenlm",
    "onnxruntime",
    "llguidance",
    "rapidfuzz",
    "sacrebleu",
    "matplotlib",
    "rich",
    "tensorboard",
}


def part_of(module: Path) -> str:
    """The part of the package a file belongs to; the top-level __init__ is ""."""
    first = module.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").removesuffix("__init__")


def imports(module: Path, *, at_import: bool = False) -> Iterator[str]:
    """The full names of what a file imports, for typing only aside."""
    waiting: list[ast.AST] = [ast.parse(module.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not (at_import and isinstance(node, ast.FunctionDef)):
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(module: Path) -> None:
    part = part_of(module)
    if not part:
        return
    for name in imports(module):
        library, *inner = name.split(".")
        if library == "lmscore":
            target = inner[0] if inner and (PACKAGE / inner[0]).with_suffix(".py").exists() else ""
            if inner and (PACKAGE / inner[0]).is_dir():
                target = inner[0]
            assert target in ALLOWED[part], f"{part} imports {name}"
        elif library not in sys.stdlib_module_names:
            assert library in LIBRARIES[part], f"{part} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_imports_wait(module: Path) -> None:
    part = part_of(module)
    for name in imports(module, at_import=True):
        library, *inner = name.split(".")
        assert library not in LAZY, f"{module} imports {name} before it is needed"
        if part == "cli" and library == "lmscore" and inner:
            assert inner[0] not in ("runtime", "export", "train"), f"{module} imports {name}"
        if not part:
            assert library in sys.stdlib_module_names, f"{module} imports {name}"


def test_public_names() -> None:
    assert lmscore.__all__ == [
        "LanguageModel",
        "LmscoreError",
        "Sample",
        "Score",
        "State",
        "__version__",
        "load",
    ]
    assert dir(lmscore) == sorted(lmscore.__all__)
    for name in lmscore.__all__:
        assert getattr(lmscore, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'sing'"):
        lmscore.sing  # noqa: B018


def test_version() -> None:
    assert importlib.metadata.version("lmscore") == lmscore.__version__


def test_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import lmscore", "numpy onnxruntime tokenizers torch onnx typer rich"),
        ("import lmscore.cli", "numpy onnxruntime tokenizers torch onnx typer rich"),
        ("import lmscore.cli.app", "numpy onnxruntime tokenizers torch onnx rich click"),
        ("import lmscore.runtime.model", "onnxruntime torch onnx typer rich"),
        ("import lmscore.export", "torch typer rich"),
        ("import lmscore.train", "onnxruntime typer rich"),
    ],
)
def test_importing_loads_no_more_than_it_must(code: str, absent: str) -> None:
    script = f"import sys; {code}; print(*set(sys.modules) & set({absent.split()!r}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
