"""The program among others: pipes that close, disks that fill up, Ctrl-C, terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import finish, start

if sys.platform == "win32":
    pytest.skip("POSIX pipes and signals", allow_module_level=True)

MANY = 20_000


@pytest.fixture
def many_lines(tmp_path: Path) -> Path:
    """Text that takes a while, and more than a pipe holds."""
    path = tmp_path / "many.txt"
    path.write_text("thanks for all the fish\n" * MANY)
    return path


def test_a_pipe(model_path: Path) -> None:
    result = finish(start("score", "-m", str(model_path)), b"Thanks for all the fish\n")
    assert result.status == 0
    ((log_prob, tokens, oov, text),) = result.rows
    assert float(log_prob) < 0
    assert (tokens, oov, text) == ("6", "1", "Thanks for all the fish")
    assert result.err.count("\n") == 2


def test_text_is_utf8_whatever_the_locale() -> None:
    program = start("score", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert finish(program, "дом\n".encode()).rows[0][3] == "дом"


def test_a_closed_pipe_is_quiet(many_lines: Path) -> None:
    program = start("score", "--quiet", str(many_lines))
    assert program.stdout
    assert program.stdout.readline().endswith(b"fish\n")
    program.stdout.close()
    assert program.wait(60) == 141
    assert program.stderr
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.stdin
    program.stdin.close()


def test_nobody_reads_anything(many_lines: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = start("score", str(many_lines), stdout=writer, stderr=writer)
    os.close(writer)
    assert finish(program).status == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("argv", [["score"], ["ppl"], ["info"], ["--version"], ["--help"]])
def test_a_full_disk(argv: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        result = finish(start(*argv, stdout=full), b"the cat\n")
    assert result.status == 1
    assert "No space left on device" in result.err
    assert result.err.startswith("lmscore: error: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(("descriptor", "name"), [(0, "input"), (1, "output")])
def test_a_closed_descriptor(descriptor: int, name: str) -> None:
    sign = "<" if descriptor == 0 else ">"
    script = f'exec "$0" -c "from lmscore.cli import main; raise SystemExit(main())" score {sign}&-'
    run = subprocess.run(
        ["sh", "-c", script, sys.executable],
        input=b"the cat\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr.decode() == f"lmscore: error: standard {name}: is closed\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a system without /proc")
def test_no_file_takes_the_place_of_a_closed_standard_error(tmp_path: Path) -> None:
    """Libraries in C write to it whatever it is."""
    out = tmp_path / "out"
    argv = ("score", "--line-buffered", "-o", str(out))
    program = start(*argv, stderr=None, preexec_fn=lambda: os.close(2))
    assert program.stdin
    program.stdin.write(b"the cat\n")
    give_up = time.monotonic() + 60
    while not (out.exists() and out.stat().st_size):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert Path(f"/proc/{program.pid}/fd/2").readlink() == Path(os.devnull)
    assert finish(program, b"sat\n").status == 0
    assert len(out.read_text().splitlines()) == 2


def test_ctrl_c_leaves_whole_lines(many_lines: Path) -> None:
    program = start("score", str(many_lines))
    assert program.stdout
    first = program.stdout.readline()
    program.send_signal(signal.SIGINT)
    result = finish(program)
    lines = (first.decode() + result.out).splitlines()
    assert result.status == 130
    assert 1 <= len(lines) < MANY
    assert {line.split("\t")[3] for line in lines} == {"thanks for all the fish"}
    assert "Traceback" not in result.err


def test_ctrl_c_while_waiting_for_text() -> None:
    program = start("score", "--line-buffered")
    assert program.stdin
    assert program.stdout
    program.stdin.write(b"the cat\n")
    program.stdin.flush()
    assert program.stdout.readline()
    # Python sees a signal between its last look and the system call only after the call.
    time.sleep(0.5)
    program.send_signal(signal.SIGINT)
    assert program.wait(60) == 130
    assert "Traceback" not in finish(program).err


def test_line_buffered_answers_at_once() -> None:
    program = start("score", "--line-buffered", "--quiet")
    assert program.stdin
    assert program.stdout
    for text in (b"the cat", b"", b"sat"):
        program.stdin.write(text + b"\n")
        program.stdin.flush()
        assert program.stdout.readline().split(b"\t")[3] == text + b"\n"
    assert finish(program).status == 0


@pytest.mark.parametrize(
    ("argv", "lines"),
    [
        (["pairs", "--input-format", "tsv"], ["the cat\tcat the", "a mat\tmat a"]),
        (["sample", "-i", "-", "--max-tokens", "2"], ["the cat", "so long"]),
        (
            ["rescore", "--input-format", "jsonl", "--best", "--lm-weight", "1"],
            [f'{{"id": {n}, "hypotheses": [{{"text": "cat"}}, {{"text": "a"}}]}}' for n in "12"],
        ),
    ],
    ids=["pairs", "sample", "rescore"],
)
def test_other_verbs_answer_at_once(model_path: Path, argv: list[str], lines: list[str]) -> None:
    program = start(*argv, "--line-buffered", "-m", str(model_path))
    assert program.stdin
    assert program.stdout
    for line in lines:
        program.stdin.write(line.encode() + b"\n")
        program.stdin.flush()
        assert program.stdout.readline().count(b"\n") == 1
    assert finish(program).status == 0


def test_a_list_is_answered_when_the_next_begins(model_path: Path) -> None:
    program = start("rescore", "--line-buffered", "--best", "--with-ids", "-m", str(model_path))
    assert program.stdin
    assert program.stdout
    for number in range(3):
        rows = f"{number} ||| the cat ||| F= -1 ||| -1\n{number} ||| cat ||| F= -2 ||| -2\n"
        program.stdin.write(rows.encode())
        program.stdin.flush()
        if number:
            assert program.stdout.readline().startswith(b"%d\t" % (number - 1))
    assert finish(program).rows[-1][0] == "2"


def test_somebody_types() -> None:
    ours, theirs = os.openpty()
    program = start("score", stdin=theirs)
    os.close(theirs)
    assert program.stdout
    for text in (b"the cat", b"sat"):
        os.write(ours, text + b"\n")
        assert program.stdout.readline().split(b"\t")[3] == text + b"\n"
    os.write(ours, b"\x04")  # Ctrl-D
    result = finish(program)
    assert result.status == 0
    assert result.err.startswith("lmscore: type text, one sentence per line; Ctrl-D ends it\n")
    os.close(ours)
