"""The notebooks run, and print what is stored in them."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples" / "notebooks").glob("*.ipynb"))
NUMBER = re.compile(r"(-?\d+\.\d+)")


def run_cell(source: str, names: dict[str, Any]) -> str:
    """What a cell prints, and the value of the expression at its end."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)  # our own notebook
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            if value is not None:
                printed.write(repr(value))
    return printed.getvalue().strip("\n")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_print_what_is_stored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rapidfuzz")
    monkeypatch.delenv("LMSCORE_MODEL", raising=False)
    monkeypatch.chdir(path.parent)
    names: dict[str, Any] = {}
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        found = run_cell("".join(cell["source"]), names)
        stored = "".join(
            "".join(output.get("text") or output["data"]["text/plain"])
            for output in cell["outputs"]
        ).strip("\n")
        assert NUMBER.split(found)[::2] == NUMBER.split(stored)[::2]
        assert list(map(float, NUMBER.findall(found))) == pytest.approx(
            list(map(float, NUMBER.findall(stored))), rel=1e-2, abs=0.011
        )
