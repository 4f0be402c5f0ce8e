"""The package as a whole: its public names, and which way its imports point."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmscore
from lmscore.runtime import engine

PACKAGE = Path(lmscore.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

BASE = {
    "errors",
    "files",
    "forks",
    "locks",
    "names",
    "compression",
    "encodings",
    "finite",
    "protobuf",
}
ENGINE = BASE | {"bundle", "runtime.arguments", "runtime.ngram", "runtime.text", "runtime.engine"}
MODEL = ENGINE | {
    "runtime.scoring",
    "runtime.decoding",
    "runtime.inside",
    "runtime.model",
    "runtime.load_ngram",
    "runtime.load",
}

# The rooms of the package, and which others each may import; what a room stands on comes first.
# A module that stands alone is a room of its own.
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "names": set(),
    "forks": {"errors"},
    "locks": {"errors"},
    "finite": set(),
    "protobuf": set(),
    "compression": {"errors"},
    "encodings": {"errors"},
    "files": {"errors", "locks", "names", "compression", "encodings"},
    "pages": BASE,
    "bundle": BASE,
    "hub": BASE | {"bundle"},
    "corpus.reading": BASE,
    "corpus.writing": BASE | {"corpus.reading"},
    "runtime.arguments": BASE,
    "runtime.ngram": BASE,
    "runtime.text": BASE | {"bundle"},
    "runtime.engine": BASE | {"bundle", "runtime.arguments", "runtime.ngram", "runtime.text"},
    "runtime.scoring": ENGINE | {"pages"},
    "runtime.decoding": ENGINE | {"runtime.scoring"},
    "runtime.inside": ENGINE | {"runtime.scoring"},
    "runtime.model": ENGINE | {"runtime.scoring", "runtime.decoding", "runtime.inside"},
    "runtime.load_ngram": ENGINE | {"runtime.model"},
    "runtime.load": ENGINE | {"runtime.model", "runtime.load_ngram", "hub"},
    "runtime.bidirectional": MODEL,
    "runtime.adapters": MODEL,
    "runtime.checking": MODEL,
    "runtime.bench": MODEL,
    "runtime.rescoring.models": MODEL,
    "runtime.rescoring.posteriors": BASE,
    "runtime.rescoring.lists": MODEL | {"runtime.rescoring.models", "runtime.rescoring.posteriors"},
    "runtime.rescoring.formats": BASE | {"runtime.scoring", "runtime.rescoring.lists"},
    "runtime.rescoring.tuning": BASE | {"runtime.rescoring.lists"},
    "runtime.rescoring.lattices": MODEL
    | {
        "runtime.rescoring.formats",
        "runtime.rescoring.lists",
        "runtime.rescoring.models",
        "runtime.rescoring.posteriors",
    },
    "serve": MODEL | {"pages", "runtime.rescoring.models", "runtime.rescoring.lists"},
    "export": BASE | {"bundle", "runtime.engine", "runtime.checking"},
    "train.options": BASE | {"bundle"},
    "train": BASE
    | {"bundle", "corpus.reading", "runtime.text", "runtime.scoring", "train.options"}
    | {"runtime.ngram"},
    "corpus": MODEL | {"corpus.reading", "corpus.writing"},
    "corpus.engines": MODEL | {"corpus.reading", "corpus"},
    "cli": BASE | {"pages", "bundle", "corpus.reading", "train.options"},
    "cli.rescoring": BASE | {"bundle", "corpus.reading", "cli"},
    "cli.verbs": BASE | {"bundle", "corpus.reading", "cli", "cli.rescoring"},
}
# Rooms that are entered by any of their files: a file for each decoder, for each verb.
OPEN_ROOMS = {"runtime.adapters", "corpus.engines", "cli", "cli.rescoring", "cli.verbs"}
# Rooms that others import from as a whole, and from none of their modules.
SURFACES = [
    room for room in ROOMS if (PACKAGE / room.replace(".", "/")).is_dir() and room not in OPEN_ROOMS
]
# What a verb and its helpers import inside functions.
REACHED_LAZILY = {*ROOMS, ""} - {"cli.verbs"}

LIBRARIES: dict[str, set[str]] = {
    "corpus.reading": {"pyarrow"},
    "hub": {"huggingface_hub"},
    "corpus.writing": {"pyarrow"},
    "corpus": {"numpy", "pyarrow"},
    "corpus.engines": {"pyarrow", "ray", "datatrove", "nemo_curator"},
    "compression": {"backports", "compression", "lz4"},
    "bundle": {"numpy", "safetensors"},
    "runtime.arguments": {"numpy"},
    "runtime.text": {"numpy", "tokenizers", "sentencex"},
    "runtime.engine": {"numpy", "onnxruntime"},
    "runtime.scoring": {"numpy", "tokenizers"},
    "runtime.decoding": {"numpy", "tokenizers", "llguidance"},
    "runtime.inside": {"numpy"},
    "runtime.model": {"numpy"},
    "runtime.bidirectional": {"numpy"},
    "runtime.ngram": {"numpy"},
    "runtime.adapters": {"numpy", "pyctcdecode"},
    "runtime.checking": {"numpy"},
    "runtime.bench": {"numpy", "onnxruntime"},
    "runtime.rescoring.models": {"numpy", "kenlm"},
    "runtime.rescoring.lists": {"numpy", "rapidfuzz", "sacrebleu"},
    "runtime.rescoring.formats": set(),
    "runtime.rescoring.tuning": {"numpy"},
    "runtime.rescoring.posteriors": set(),
    "runtime.rescoring.lattices": {"numpy"},
    "serve": {"numpy", "msgspec", "starlette", "uvicorn", "prometheus_client"},
    "export": {"numpy", "onnx", "google"},
    "train": {"numpy", "torch", "tokenizers", "safetensors", "tensorboard"},
    "cli": {"typer", "rich", "matplotlib", "numpy", "pyarrow"},
    "cli.rescoring": {"typer", "numpy", "rich"},
    "cli.verbs": {"typer", "numpy"},
}
# Loaded where they are needed, never by importing a module.
LAZY = {
    "backports",
    "lz4",
    "pyarrow",
    "huggingface_hub",
    "sentencex",
    "kenlm",
    "onnxruntime",
    "pyctcdecode",
    "llguidance",
    "rapidfuzz",
    "sacrebleu",
    "matplotlib",
    "rich",
    "tensorboard",
}


def room_of(name: str) -> str:
    """The room that a dotted name below `lmscore` lies in; "" is the package's own door."""
    parts = name.split(".")
    found = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((room for room in found if room in ROOMS), "")


def name_of(module: Path) -> str:
    """The dotted name of a file, below `lmscore`."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


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


def may_import(room: str) -> set[str]:
    return ROOMS[room] | {room} | (REACHED_LAZILY if room.startswith("cli") else set())


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    room = room_of(name_of(module))
    if not room:  # a door that holds nothing but names
        return
    for name in imports(module):
        library, _, inner = name.partition(".")
        if library == "lmscore":
            assert room_of(inner) in may_import(room), f"{room} imports {name}"
        elif library not in sys.stdlib_module_names:
            assert library in LIBRARIES.get(room, set()), f"{room} imports {name}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_heavy_imports_wait(module: Path) -> None:
    room = room_of(name_of(module))
    for name in imports(module, at_import=True):
        library, _, inner = name.partition(".")
        assert library not in LAZY, f"{module} imports {name} before it is needed"
        if room.startswith("cli") and library == "lmscore" and inner:
            assert room_of(inner) in ROOMS[room] | {room, ""}, f"{module} imports {name}"
        if not room:
            assert library in sys.stdlib_module_names, f"{module} imports {name}"


def inside(room: str, module: Path) -> bool:
    return room_of(name_of(module)) == room


@pytest.mark.parametrize("room", SURFACES)
def test_other_rooms_import_from_the_surface(room: str) -> None:
    surface = importlib.import_module(f"lmscore.{room}").__all__
    for module in (each for each in MODULES if not inside(room, each)):
        for name in imports(module):
            inner = name.removeprefix("lmscore.")
            if room_of(inner) == room:
                assert inner.removeprefix(f"{room}.") in surface, f"{module} imports {name}"


@pytest.mark.parametrize(
    "module", [m for m in MODULES if not name_of(m).startswith("cli")], ids=name_of
)
def test_the_library_names_no_flags(module: Path) -> None:
    """`lmscore.cli` translates what its errors and its log say of options."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        said = isinstance(node, ast.Raise)
        said |= isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log.")
        for part in ast.walk(node) if said else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                assert not re.search(r"--[a-z]", part.value), f"{module}:{part.lineno}"


def test_no_room_stands_on_one_above_it() -> None:
    order = list(ROOMS)
    for room, below in ROOMS.items():
        for other in below - {room}:
            assert order.index(other) < order.index(room), f"{room} stands on {other}"


def test_public_names() -> None:
    assert lmscore.__all__ == [
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
        ("import lmscore.train", "onnxruntime torch numpy typer rich"),
        ("import lmscore.train.run", "onnxruntime typer rich"),
        ("import lmscore.cli.verbs.train", "numpy onnxruntime torch onnx rich"),
    ],
)
def test_importing_loads_no_more_than_it_must(code: str, absent: str) -> None:
    script = f"import sys; {code}; print(*set(sys.modules) & set({absent.split()!r}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


OUTPUTS = {
    "entropies",
    "log_probs",
    "target_log_probs",
    "target_ranks",
    "target_scores",
    "top_log_probs",
    "top_tokens",
}
INSIDE = {
    "bundle",
    "runtime.engine",
    "export",
}  # bundle names them in parity.npz, export makes them


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_the_engine_is_the_only_door(module: Path) -> None:
    """Nobody outside names an output of the graph, or goes round the surface of the room."""
    name = name_of(module)
    if room_of(name) in INSIDE:
        return
    source = module.read_text(encoding="utf-8")
    strings = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    assert not strings & OUTPUTS
    assert not re.search(r"\b(lm|model|engine)\._", source)
    for imported in imports(module):
        below = imported.removeprefix("lmscore.runtime.engine.")
        assert below == imported or below in engine.__all__, f"{name} imports {imported}"
