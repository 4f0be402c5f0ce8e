"""The C++ example scores and searches as Python does; compiled where there are headers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest

from lmscore.bundle import Bundle, graph_file
from lmscore.runtime.load import load
from tests.models import make_model

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "examples" / "cpp" / "score.cpp"
HEADERS = os.environ.get("ONNXRUNTIME_INCLUDE", "")
LINES = ["5 6 7 8", "", "9", "5 5 5 5 5 5 5 5"]

Score = Callable[..., subprocess.CompletedProcess[str]]


def test_the_example_is_short() -> None:
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) < 150


needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None or not (Path(HEADERS) / "onnxruntime_cxx_api.h").is_file(),
    reason="needs g++, and ONNX Runtime's headers in the folder $ONNXRUNTIME_INCLUDE",
)


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Score:
    folder = tmp_path_factory.mktemp("cpp")
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    (folder / "libonnxruntime.so.1").symlink_to(library)
    flags = ["-std=c++17", "-Wall", f"-I{HEADERS}", f"-Wl,-rpath,{folder}"]
    target = ["-o", str(folder / "score"), str(folder / "libonnxruntime.so.1")]
    subprocess.run(["g++", *flags, str(SOURCE), *target], check=True)

    def run(bundle: Bundle, lines: list[str], *more: int) -> subprocess.CompletedProcess[str]:
        ids = (bundle.config.bos_token_id, bundle.config.eos_token_id, *more)
        argv = [*map(str, (folder / "score", bundle.path / graph_file("int8"), *ids))]
        given = "".join(f"{line}\n" for line in lines)
        return subprocess.run(argv, input=given, capture_output=True, text=True, check=False)

    return run


@needs_compiler
@pytest.mark.parametrize("options", [{"cell": "lstm"}, {"cell": "gru", "cutoffs": (20, 30)}])
def test_the_same_scores(score: Score, options: dict[str, object], tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "m", variants=("int8",), layers=2, **options)  # type: ignore[arg-type]
    done = score(bundle, LINES)
    assert (done.returncode, done.stderr) == (0, "")
    lm = load(bundle.path)
    expected = []
    for line in LINES:
        total, state = 0.0, lm.initial_state()
        read = [bundle.config.bos_token_id, *map(int, line.split())]
        for token, target in zip(read, [*read[1:], bundle.config.eos_token_id], strict=True):
            log_probs, state = lm.step([token], state)
            total += float(log_probs[0, target])
        expected.append(total)
    assert list(map(float, done.stdout.split())) == pytest.approx(expected, abs=2e-3)


@needs_compiler
def test_the_same_search(score: Score, tmp_path: Path) -> None:
    bundle = make_model(tmp_path / "m", variants=("int8",))
    done = score(bundle, ["5 6"], 4, 3)
    found = [line.split() for line in done.stdout.splitlines()]
    lm = load(bundle.path)
    state = lm.initial_state()
    for token in (bundle.config.bos_token_id, 5, 6):
        log_probs, state = lm.step([token], state)
    beam: list[tuple[float, list[int]]] = [(0.0, [])]
    for step in range(3):
        every = [
            (total + float(log_probs[row, token]), row, token)
            for row, (total, _) in enumerate(beam)
            for token in range(bundle.config.vocab_size)
        ]
        best = sorted(every, key=lambda each: -each[0])[:4]
        beam = [(total, [*beam[row][1], token]) for total, row, token in best]
        if step < 2:
            tokens, parents = [t for *_, t in best], [row for _, row, _ in best]
            log_probs, state = lm.step(tokens, state, parents)
    assert [list(map(int, ids)) for _, *ids in found] == [ids for _, ids in beam]
    assert [float(total) for total, *_ in found] == pytest.approx(
        [total for total, _ in beam], abs=2e-3
    )


@needs_compiler
@pytest.mark.parametrize(
    ("line", "message"), [("5 -1", "a negative id: 5 -1"), ("5 a", "not a line of ids: 5 a")]
)
def test_what_is_no_id(score: Score, line: str, message: str, tmp_path: Path) -> None:
    done = score(make_model(tmp_path / "m", variants=("int8",)), [line])
    assert (done.returncode, done.stderr) == (1, f"score: {message}\n")
