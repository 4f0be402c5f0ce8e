"""`lmscore score --output FILE --resume`: what was interrupted becomes what it would have been."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.cli.earlier import Earlier
from lmscore.cli.layout import Layout
from lmscore.cli.outfile import record_file
from lmscore.corpus.reading import Record
from lmscore.errors import LmscoreError
from lmscore.locks import take_lock
from lmscore.names import Per, RecordFormat
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.scoring.score import Score
from tests.cli.conftest import Run, finish, start

if sys.platform == "win32":
    pytest.skip("POSIX signals", allow_module_level=True)

MANY = 8_000
TEXTS = ["the cat", "", "a zebra\tsät", "  ", "on the\\mat", "the cat", "so long"]
LAYOUTS = [
    *product(("tsv",), ("sentence", "word", "token"), (False, True)),
    *product(("jsonl",), ("sentence", "word"), (False,)),
]

Scored = list[tuple[Record, Score]]


def go_on(path: Path, scored: Scored, layout: Layout, *, header: bool, resume: bool = True) -> int:
    """What `lmscore score` does with records that are scored; how many it took as done."""
    with record_file(path, resume=resume) as out:
        earlier = Earlier(out, layout, header=header)
        rest = earlier.skip(scored, lambda pair: pair[0], bar=False)
        for number, (record, score) in enumerate(rest, earlier.count + 1):
            lines = layout.lines(number, record, score)
            earlier.settle(lines, score.num_tokens)
            out.write(lines)
    return earlier.count


def records_of(texts: Sequence[str], *, ids: Sequence[str] = ()) -> list[Record]:
    if not ids:
        return list(map(Record, texts))
    return [Record(text, id=name) for text, name in zip(texts, ids, strict=True)]


@pytest.mark.parametrize(
    ("output_format", "per", "header", "ids"),
    [
        *((*layout, ()) for layout in LAYOUTS),
        *(("tsv", per, False, ("a", "b", "b", "b", "1", "7", "")) for per in get_args(Per)),
    ],
)
def test_torn_at_every_byte(
    lm: LanguageModel,
    tmp_path: Path,
    output_format: RecordFormat,
    per: Per,
    header: bool,
    ids: Sequence[str],
) -> None:
    layout = Layout(output_format, per, surprisal=False, ids=bool(ids))
    texts = TEXTS[: 3 if output_format == "jsonl" else None]  # of objects, which are long
    scores = lm.score_batch(texts, words=True)
    scored = list(zip(records_of(texts, ids=ids), scores, strict=True))
    path = tmp_path / "scores"
    go_on(path, scored, layout, header=header, resume=False)
    whole = path.read_bytes()
    lines = "".join(layout.lines(n, *pair) for n, pair in enumerate(scored, 1))
    assert whole.decode() == layout.header * header + lines
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        count = go_on(path, scored, layout, header=header)
        assert path.read_bytes() == whole, cut
        if per == "sentence" or output_format == "jsonl":
            assert count == max(0, whole[:cut].count(b"\n") - 1 - header)


@pytest.mark.parametrize("per", ["word", "token"])
@pytest.mark.parametrize("bos", [True, False])
def test_lines_without_rows(lm: LanguageModel, tmp_path: Path, per: Per, bos: bool) -> None:
    """Without </s> a blank line has none: the numbers of the others say so."""
    texts = ["", "", "the", "", "the cat sat", " ", "a", "", ""]
    layout = Layout("tsv", per, surprisal=True, ids=False)
    scores = lm.score_batch(texts, words=True, eos=False, bos=bos)
    scored = list(zip(records_of(texts), scores, strict=True))
    path = tmp_path / "scores"
    go_on(path, scored, layout, header=False, resume=False)
    whole = path.read_bytes()
    assert {line.split(b"\t")[0] for line in whole.splitlines()} < {b"3", b"5", b"7"} | {b"6"}
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        go_on(path, scored, layout, header=False)
        assert path.read_bytes() == whole, cut


OPTIONS: list[tuple[str, ...]] = [
    (),
    ("--format", "jsonl", "--per", "word"),
    ("--per", "token", "--header"),
    ("--context", "document", "--variant", "fp32"),
    ("--context", "document", "--prefix", "the cat", "--surprisal"),
    ("--line-buffered", "--no-eos"),
]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    options=st.sampled_from(OPTIONS),
    share=st.floats(0, 1),
    torn=st.binary(max_size=20).filter(lambda torn: b"\n" not in torn),
)
def test_the_command_goes_on(
    run: Run, tmp_path: Path, options: tuple[str, ...], share: float, torn: bytes
) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("the cat sat\n\nso long and thanks\n" * 2)
    second.write_text("for all the fish\nhello world\n")
    whole, output = tmp_path / "whole", tmp_path / "output"
    whole.unlink(missing_ok=True)
    command = ("score", first, "-", second, *options)
    result = run(*command, "--output", whole, stdin="typed text\n")
    assert (result.status, result.out) == (0, "")
    assert whole.read_text() == run(*command, stdin="typed text\n").out
    assert "9 sentences" in result.err
    data = whole.read_bytes()
    output.write_bytes(data[: int(share * len(data))] + torn)
    result = run(*command, "--output", output, "--resume", stdin="typed text\n")
    assert result.status == 0, result.err
    assert output.read_bytes() == data


def test_the_summary_says_what_it_covers(run: Run, tmp_path: Path, lm_int8: LanguageModel) -> None:
    path = tmp_path / "scores.tsv"
    stdin = "the cat\nsat\non the mat\nthe end\n"
    run("score", "-o", path, stdin=stdin)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    first, second = run("score", "-o", path, "--resume", stdin=stdin).err.splitlines()
    assert first == (
        "lmscore: model (int8, sentence context): resumed after 1 lines: "
        "3 sentences, 6 words, 9 tokens with </s>, 1 OOVs"
    )
    total = sum(score.log_prob for score in lm_int8.score_batch(["sat", "on the mat", "the end"]))
    assert f"log-probability {total:.4f} nats" in second


def test_nothing_to_resume_yet(run: Run, tmp_path: Path) -> None:
    """So that one command line can be repeated until it is through."""
    path = tmp_path / "scores.tsv"
    for _ in range(3):
        assert run("score", "-o", path, "--resume", stdin="the cat\nsat\n").status == 0
        assert path.read_text() == run("score", stdin="the cat\nsat\n").out


def test_an_error_in_the_input_leaves_whole_lines(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "scores.tsv"
    result = run("score", "-o", path, stdin=b"the cat\nsat\n\xff\nso\n")
    assert result.status == 1
    assert "line 3: invalid UTF-8" in result.err
    assert path.read_text() == run("score", stdin="the cat\nsat\n").out
    result = run(
        "score", "-o", path, "--resume", "--errors", "replace", stdin=b"the cat\nsat\n\xff"
    )
    assert "resumed after 1 lines: 2 sentences" in result.err
    assert path.read_text() == run("score", stdin="the cat\nsat\n\ufffd\n").out


def test_compat_to_a_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report"
    assert run("score", "--compat", "srilm", "-o", path, stdin="the cat\n").out == ""
    expected = run("score", "--compat", "srilm", stdin="the cat\n").out
    assert path.read_text() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--resume",), "--resume goes on with a file: name it with --output"),
        (
            ("--resume", "-o", "x", "--compat", "kenlm"),
            "--compat kenlm has a layout of its own: leave --resume out",
        ),
        (
            ("--resume", "-o", "x", "--per", "word", "--input-format", "tsv", "--no-eos"),
            "--resume cannot tell which lines had no word to score, since their ids may repeat",
        ),
    ],
)
def test_options_that_do_not_go_together(run: Run, options: tuple[str, ...], message: str) -> None:
    result = run("score", *options, stdin="a\tthe\n")
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())


def test_outputs_that_cannot_be(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "scores.tsv"
    path.write_text("precious\n")
    result = run("score", "-o", path, stdin="the\n")
    assert (result.status, path.read_text()) == (1, "precious\n")
    assert result.err == (
        f"lmscore: error: {path}: there is something in it already; go on with it by --resume, "
        "remove it, or name another file\n"
    )
    for name, message in {
        "none/x": "cannot be written: No such file or directory",
        ".": "cannot be written: Is a directory",
        "/dev/null": "no regular file",
    }.items():
        result = run("score", "-o", tmp_path / name, stdin="the\n")
        assert (result.status, result.out) == (1, "")
        assert message in result.err
        assert result.err.count("\n") == 1


def test_an_error_before_the_first_record_leaves_no_file(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for verb in (("score",), ("filter", "--min-ppl", "0")):
        assert run(*verb, tmp_path / "missing", "-o", out).status == 1
        assert not out.exists()
    out.touch()
    assert run("score", tmp_path / "missing", "-o", out).status == 1
    assert out.exists()  # it was there before


INPUT = "the cat\nsat\non the mat\nso long\n"


@pytest.mark.parametrize(
    ("before", "now", "stdin", "message"),
    [
        ((), (), "the cat\nsat\nelse\nso long\n", "line 3: this is not about 'else', line 3"),
        ((), (), "the cat\nsat\n", "line 3: the input has 2 lines, and this is of another"),
        ((), (), "the cat\nsat\non the mat\n", "line 4: the input has 3 lines"),
        ((), ("--header",), INPUT, r"line 1: expected the header 'log_prob\tnum_tokens\t"),
        (("--header",), (), INPUT, "line 1: this is not about 'the cat', line 1"),
        (("--header",), ("--header", "--surprisal"), INPUT, r"expected the header 'surprisal\t"),
        ((), ("--format", "jsonl"), INPUT, "line 1: this is not about 'the cat'"),
        (("--format", "jsonl"), (), INPUT, "line 1: this is not about 'the cat'"),
        (("--format", "jsonl"), ("--format", "jsonl"), "a\n" + INPUT, "not about 'a', line 1"),
        (("--format", "jsonl"), ("--format", "jsonl", "--surprisal"), INPUT, "line 1: this is not"),
        ((), ("--per", "word"), INPUT, "line 1: this is not about 'the cat'"),
        (("--per", "word"), (), INPUT, "line 1: this is not about 'the cat'"),
        (("--per", "word"), ("--per", "word"), "the dog\n" + INPUT, "about 'the dog', line 1"),
        (("--per", "token"), ("--per", "token"), "a\n" + INPUT, "not about 'a', line 1"),
        (("--per", "word"), ("--per", "word"), "the cat\n", "line 4: the input has 1 lines"),
        ((), ("--no-eos",), INPUT, "line 4: another model or other options gave this score"),
        ((), ("--surprisal",), INPUT, "line 4: another model or other options gave this score"),
        (("--per", "word"), ("--per", "word", "--no-eos"), INPUT, "line 10: another model"),
        (("--format", "jsonl"), ("--format", "jsonl", "--no-eos"), INPUT, "line 4: another model"),
        (("--context", "document"), ("--context", "document"), "a\n" + INPUT, "not about 'a'"),
        (("--context", "document"), ("--context", "document"), "the cat\n", "line 2: the input"),
    ],
)
def test_a_file_of_something_else(
    run: Run,
    tmp_path: Path,
    before: tuple[str, ...],
    now: tuple[str, ...],
    stdin: str,
    message: str,
) -> None:
    path = tmp_path / "scores"
    assert run("score", *before, "-o", path, stdin=INPUT).status == 0
    data = path.read_bytes()
    result = run("score", *now, "-o", path, "--resume", stdin=stdin)
    assert (result.status, result.out) == (1, "")
    assert message in result.err
    assert result.err.startswith(f"lmscore: error: {path}, line ")
    assert result.err.endswith("; --resume goes on with the same input, model and options\n")
    assert result.err.count("\n") == 1
    assert path.read_bytes() == data  # it may be dear to somebody


def test_another_model(run: Run, tmp_path: Path, bpe_model_path: Path) -> None:
    path = tmp_path / "scores"
    run("score", "-o", path, stdin=INPUT)
    result = run("score", "-m", bpe_model_path, "-o", path, "--resume", stdin=INPUT)
    assert result.status == 1
    assert "line 4: another model or other options gave this score" in result.err


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=st.sampled_from(LAYOUTS), ids=st.booleans(), data=st.binary(max_size=80))
def test_a_file_of_anything(
    lm: LanguageModel, tmp_path: Path, layout: Any, ids: bool, data: bytes
) -> None:
    output_format, per, header = layout
    names = ["a"] if ids else []
    scored = list(zip(records_of(["the"], ids=names), lm.score_batch(["the"]), strict=True))
    path = tmp_path / "scores"
    path.write_bytes(data)
    made = Layout(output_format, per, surprisal=False, ids=ids)
    if b"\n" not in data:
        go_on(path, scored, made, header=header)
        return
    with pytest.raises(LmscoreError):
        go_on(path, scored, made, header=header)
    assert path.read_bytes() == data


@pytest.mark.parametrize("line", ['{"log_prob": []}', "[" * 100_000, "3", '{"text": "the"'])
def test_objects_of_something_else(lm: LanguageModel, tmp_path: Path, line: str) -> None:
    layout = Layout("jsonl", "sentence", surprisal=False, ids=False)
    scored = [(Record("the"), lm.score("the"))]
    path = tmp_path / "scores"
    path.write_text(line + "\n")
    with pytest.raises(LmscoreError, match="this is not about 'the', line 1"):
        go_on(path, scored, layout, header=False)
    document = json.loads(layout.lines(1, *scored[0]))
    path.write_text(json.dumps({**document, "log_prob": "-1"}) + "\n")
    with pytest.raises(LmscoreError, match="another model or other options"):
        go_on(path, scored, layout, header=False)


def test_a_long_text_is_not_shown_whole(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "scores"
    path.write_text("other\n")
    result = run("score", "-o", path, "--resume", stdin="the cat " * 1000)
    assert f"not about '{'the cat ' * 7}the ...', line 1" in result.err


def test_a_record_that_was_cut_short_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores"
    record = "x" * 30_000 + "\n"  # more than any buffer holds

    def write_twice() -> None:
        with record_file(path, resume=False) as out:
            out.write("first\n")
            out.write(record)
            monkeypatch.setattr(out, "_file", _Interrupted(out._file))
            out.write(record)

    with pytest.raises(KeyboardInterrupt):
        write_twice()
    assert path.read_text() == f"first\n{record}"


class _Interrupted:
    """A file in the midst of whose writing somebody types Ctrl-C."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data[:20_000])
        raise KeyboardInterrupt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.fixture
def many_lines(tmp_path: Path) -> Path:
    """Text that takes a while."""
    path = tmp_path / "many.txt"
    path.write_text("".join(f"thanks for all the fish w{n % 30}\n" for n in range(MANY)))
    return path


@pytest.mark.parametrize(
    ("end", "options"),
    [
        (signal.SIGINT, ("--format", "jsonl")),
        (signal.SIGINT, ("--per", "word")),
        (signal.SIGTERM, ()),
        (signal.SIGHUP, ("--per", "token")),
        (signal.SIGKILL, ("--context", "document")),
        (signal.SIGKILL, ("--per", "token")),
    ],
)
def test_a_process_that_ends_early(
    many_lines: Path, tmp_path: Path, end: signal.Signals, options: tuple[str, ...]
) -> None:
    path, text = tmp_path / "scores", many_lines.read_bytes()
    command = ["score", "-q", "-o", str(path), *options]
    program = start(*command)
    begin(program, text, path)
    program.send_signal(end)
    result = finish(program)
    assert result.status == (-end if end == signal.SIGKILL else 128 + end)
    assert "Traceback" not in result.err
    left = path.read_bytes()
    assert left.count(b"\n") > 0
    if end != signal.SIGKILL:
        assert left.endswith(b"\n")
    assert finish(start(*command, "--resume"), text).status == 0
    whole = finish(start("score", "-q", str(many_lines), *options))
    assert path.read_text() == whole.out


def test_a_hangup_that_is_ignored_stays_so(many_lines: Path, tmp_path: Path) -> None:
    """As nohup wants it."""
    path, text = tmp_path / "scores", many_lines.read_bytes()

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    program = start("score", "-q", "-o", path, preexec_fn=ignore)
    begin(program, text, path)
    program.send_signal(signal.SIGHUP)
    result = finish(program, text[3 * len(text) // 4 :])
    assert (result.status, result.err) == (0, "")
    assert path.read_bytes().count(b"\n") == MANY


@pytest.mark.parametrize("resume", [(), ("--resume",)])
def test_two_runs_do_not_mix_their_lines(
    many_lines: Path, tmp_path: Path, resume: tuple[str, ...]
) -> None:
    path, text = tmp_path / "scores", many_lines.read_bytes()
    command = ["score", "-q", "-o", str(path)]
    first = start(*command)
    begin(first, text, path)
    second = finish(start(*command, *resume), text)
    assert (second.status, second.out) == (1, "")
    if not resume:
        assert "there is something in it already" in second.err
    else:
        assert second.err == (
            f"lmscore: error: {path}: process {first.pid} is writing it; wait for its end, or name "
            "another output\n"
        )
    assert finish(first, text[3 * len(text) // 4 :]).status == 0
    assert path.read_bytes().count(b"\n") == MANY


def test_two_runs_that_begin_together(many_lines: Path, tmp_path: Path) -> None:
    """Whoever comes second to the lock finds it taken, or the output made."""
    path = tmp_path / "scores"
    command = ("score", "-q", "-o", path, many_lines)
    runs = [finish(program) for program in [start(*command), start(*command)]]
    assert sorted(run.status for run in runs) == [0, 1]
    assert path.read_bytes().count(b"\n") == MANY


@pytest.mark.parametrize(
    "command",
    [
        ("score", "--resume"),
        ("filter", "--max-ppl", "9000"),
        ("filter", "--max-ppl", "9000", "--resume"),
    ],
)
def test_an_output_that_another_run_writes(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = tmp_path / "out"
    with path.open("ab") as file:
        assert take_lock(file.fileno())
        result = run(*command, "-o", path, stdin="the cat\n")
        assert (result.status, result.out) == (1, "")
        assert result.err.endswith(
            f"lmscore: error: {path}: process {os.getpid()} is writing it; wait for its end, or "
            "name another output\n"
        )
    assert path.read_bytes() == b""
    assert run(*command, "-o", path, stdin="the cat\n").status == 0
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("name", ["file", "-"])
def test_an_output_that_the_shell_appends_to_the_input(tmp_path: Path, name: str) -> None:
    path = tmp_path / "text"
    path.write_text("the cat\n")
    with path.open("rb") as text, path.open("ab") as out:
        shown = str(path) if name == "file" else name
        program = start("score", "-q", shown, stdin=text, stdout=out)
        _, err = program.communicate()
    found = str(path) if name == "file" else "standard input"
    assert err.decode() == f"lmscore: error: {found}: is read already; write to another file\n"
    assert program.returncode == 1
    assert path.read_text() == "the cat\n"


def begin(program: subprocess.Popen[bytes], text: bytes, path: Path) -> None:
    """Bring most of a text, and wait until something comes of it."""
    assert program.stdin
    program.stdin.write(text[: 3 * len(text) // 4])
    for _ in range(60_000):
        if path.exists() and path.stat().st_size > 5_000:
            return
        assert program.poll() is None
        time.sleep(0.001)
    pytest.fail("nothing comes of it")


def test_what_a_shell_redirected(many_lines: Path, tmp_path: Path) -> None:
    """A file that `>` made can be gone on with just as well."""
    path = tmp_path / "scores"
    with path.open("wb") as file:
        program = start("score", "-q", stdout=file)
        begin(program, many_lines.read_bytes(), path)
        program.kill()
        finish(program)
    assert finish(start("score", "-q", str(many_lines), "-o", str(path), "--resume")).status == 0
    assert path.read_text() == finish(start("score", "-q", str(many_lines))).out


def test_no_room_for_more(many_lines: Path, tmp_path: Path) -> None:
    path = tmp_path / "scores"
    command = ["score", "-q", str(many_lines), "-o", str(path)]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_001, 100_001))

    result = finish(start(*command, preexec_fn=limit))
    assert result.status == 1
    assert result.err == f"lmscore: error: {path}: cannot be written: File too large\n"
    assert 0 < path.stat().st_size <= 100_001
    assert finish(start(*command, "--resume")).status == 0
    assert path.read_text() == finish(start("score", "-q", str(many_lines))).out
