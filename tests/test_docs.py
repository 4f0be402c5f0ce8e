"""The code in README.md and some pages of docs runs, and links resolve."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lmscore.bundle import CELLS
from lmscore.runtime.model import LanguageModel
from lmscore.train.record import RESUMABLE
from tests.export.conftest import tiny_config

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"]
NUMBER = re.compile(r"(-?\d+\.\d+)")


def blocks(page: str, language: str) -> list[str]:
    """The fenced code of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


BLOCKS = blocks((ROOT / "docs" / "decoding.md").read_text(encoding="utf-8"), "python")


def test_decoding() -> None:
    pytest.importorskip("llguidance")
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block, names)  # our own page
    assert names["lm"].next_words("Thanks for all the")[0][0] == "help."


@pytest.mark.parametrize("prompt", ["", "the cat", "so long and thanks"])
def test_a_beam_search_of_one_s_own(lm: LanguageModel, prompt: str) -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[-1], names)
    found = names["beam_search"](lm, prompt, beam_size=5, max_tokens=6)
    expected = lm.beam_search(prompt, beam_size=5, max_tokens=6, length_penalty=0)
    assert [tokens for tokens, _ in found] == [
        tuple(token.id for token in sample.tokens) for sample in expected
    ]
    assert [p for _, p in found] == pytest.approx([sample.log_prob for sample in expected])


def test_python_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LMSCORE_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("one line\nand another\n", encoding="utf-8")
    first, second = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(first, names)  # our own page
    score, following = names["score"], names["lm"].next_words("Thanks for all the", k=2)
    for figure in (f"{score.log_prob:.4f} (nats)", f"{score.perplexity_per_word:.2f} (per word)"):
        number, unit = figure.split(" ", 1)
        (shown,) = re.findall(rf"(-?[\d.]+) {re.escape(unit)}", first)
        assert float(number) == pytest.approx(float(shown), rel=1e-3)
    assert [word for word, _ in following] == re.findall(r'\("(\S+)", 0', first)
    exec(second, names)
    assert len(names["state"]) == 3
    assert capsys.readouterr().out


class Session(NamedTuple):
    """A command of a page, what it prints there, and the files that the page shows."""

    command: str
    shown: str
    files: dict[str, str]


CHEAP = re.compile(r"lmscore (score|next|regions|filter|pairs|choose)\b")
SHOWN = ["README.md", "docs/scores.md", "docs/corpora.md", "docs/decoding.md"]


def shell_sessions() -> list[Session]:
    """The cheap commands of some pages, each with the output that follows it there."""
    first = blocks(README, "sh")[0].rpartition(" && ")[2]
    sessions = [Session(first, blocks(README, "text")[0], {})]
    for name in SHOWN:
        sessions += sessions_of((ROOT / name).read_text(encoding="utf-8"))
    return sessions


def sessions_of(page: str) -> Iterator[Session]:
    """The cheap commands of a page that the bundled model runs."""
    files: dict[str, str] = {}
    for block in blocks(page, "text"):
        for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = session.partition("\n")
            if command.startswith("cat "):
                files[command.removeprefix("cat ")] = output
            elif output and CHEAP.search(command):
                yield Session(command, output, dict(files))


@pytest.mark.parametrize("session", shell_sessions(), ids=lambda session: session.command)
def test_shell_of_the_pages(tmp_path: Path, session: Session) -> None:
    program = "from lmscore.cli import main; raise SystemExit(main())"
    script = f"""lmscore() {{ "{sys.executable}" -c '{program}' "$@"; }}\n{session.command}"""
    environment = {name: value for name, value in os.environ.items() if name != "LMSCORE_MODEL"}
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    for name, content in session.files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    run = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        cwd=tmp_path,
    )
    printed, shown = run.stdout + run.stderr, session.shown
    if shown.endswith("...\n"):
        shown = shown.removesuffix("...\n")
        printed = "".join(printed.splitlines(keepends=True)[: shown.count("\n")])
    assert NUMBER.split(printed)[::2] == NUMBER.split(shown)[::2]
    found, expected = (map(float, NUMBER.findall(text)) for text in (printed, shown))
    assert list(found) == pytest.approx(list(expected), rel=1e-3)  # processors differ


def test_the_first_commands_of_the_readme() -> None:
    first, second = blocks(README, "sh")[:2]
    assert "`python3 -m venv .venv && source .venv/bin/activate`" in README
    assert first.splitlines() == [
        "pip install -e '.[cpu]' && echo \"Thanks for all the fish\" | lmscore score",
    ]
    assert second == "pip install -e '.[cpu,train,dev]' && pytest\n"


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_the_site_has_every_page() -> None:
    """The list in docs/index.md; verbs.md is made when the site is built."""
    listed = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").split("```")[1].splitlines()
    pages = [*PAGES, *(ROOT / "examples").glob("*/README.md")]
    made = {"index", "verbs"}
    for page in pages:
        name = os.path.relpath(page.with_suffix(""), ROOT / "docs")
        assert name in listed or name in made, f"{page.name} is not in docs/index.md"


def test_every_tensor_of_the_weights_has_a_row() -> None:
    page = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+\.[\w.]+)`", page.partition("## The weights")[2]))
    options: list[dict[str, Any]] = [{}, {"tied": False}, {"embedding": 5}, {"cutoffs": (20, 30)}]
    options.append({"learned_initial_state": True})
    for cell in CELLS:
        for each in options:
            for tensor in tiny_config(cell, **each).weight_shapes():
                assert re.sub(r"_l\d+$", "_l0", tensor) in named


def test_every_option_that_a_resumed_run_may_change() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (paragraph,) = re.findall(r"^\*\*Resuming\.\*\* (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"`--([a-z-]+)`", paragraph))
    assert named == {name.replace("_", "-") for name in RESUMABLE}
