"""Commands that are killed at many moments and run again: nothing is lost, and the end is the same.

Usage: python -m tests.fuzzing.kills [--moments 8] [--keep FOLDER] [VERB ...]

VERB is train, lattice, lattices, score, filter or rescore; all of them by default. Each command
runs undisturbed once. Then it is begun for every moment, gets SIGKILL, SIGTERM, SIGHUP or SIGINT at
a share of the time that it took, and the command that goes on with it is run. The exit status is 1
if a status is not that of docs/cli.md, if something else is printed than whole lines, if the files
at the end differ from those of the undisturbed run, or if a temporary file is left; the folder is
kept then.

PyTorch and ONNX Runtime are imported once; each run is a fork that has used no thread of them yet.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx  # noqa: F401  # before forks, which then need not import them
import onnxruntime  # noqa: F401
import torch  # noqa: F401

from lmscore.cli import main as lmscore_command
from lmscore.train.metrics import EVALUATED
from tests.models import make_model
from tests.train.toy import sentences, write

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]
_TRAINED = "--tokenizer word --hidden-size 16 --batch-size 8 --learning-rate 0.02 --dropout 0.3"
_ONE_CORE = "--precision fp32 --device cpu --threads 1"
_LATTICE = "{0}\n0\t1\tthe\t2,10,\n0\t1\ta\t3,9,\n1\t2\tcat\t3,20,\n1\t2\tdog\t4,18,\n2\t1,1,\n\n"
_HTK = "VERSION=1.0\nN=3 L=3\nI=0\nI=1\nI=2\n" + "".join(
    f"J={n} S={min(n, 1)} E={min(n, 1) + 1} W={word} a=-{n} l=-2\n"
    for n, word in enumerate(("the", "cat", "dog"))
)


@dataclass(frozen=True)
class Case:
    """A command that writes `out` in its folder, and how it is gone on with."""

    command: str  # `{out}` stands for what it writes, `{in}` for what it reads
    again: str  # added to go on
    make_input: Callable[[Path], object]
    is_kept: bool = False  # whether what is there at the end of a killed run must be the beginning


def _lines(path: Path) -> None:
    write(path, sentences(1500))


def _lattices(path: Path) -> None:
    path.write_text("".join(_LATTICE.format(f"utt-{number:04d}") for number in range(25)))


def _lattice_files(path: Path) -> None:
    path.mkdir()
    for number in range(25):
        (path / f"utt-{number:04d}.lat").write_text(_HTK)


def _lists(path: Path) -> None:
    draws = sentences(800)
    write(path, (f"{n // 4} ||| {text} ||| s={n % 4} ||| {n % 4}" for n, text in enumerate(draws)))


CASES = {
    "train": Case(
        f"train {{in}} -o {{out}} --epochs 3 --evaluations 2 {_TRAINED} {_ONE_CORE}",
        "--resume",
        lambda path: write(path, sentences(120)),
    ),
    "lattice": Case("lattice {in} -o {out} --threads 1", "", _lattices),
    "lattices": Case("lattice {in} -o {out}/ --threads 1", "", _lattice_files),
    "score": Case("score {in} -o {out} --threads 1", "--resume", _lines, is_kept=True),
    "filter": Case(
        "filter {in} -o {out} --max-ppl 60 --threads 1", "--resume", _lines, is_kept=True
    ),
    "rescore": Case("rescore {in} -o {out} --threads 1", "", _lists),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int  # -N: by signal N
    said: str
    seconds: float


def run(words: Sequence[str], log: Path, signalled: tuple[float, int] | None = None) -> Ended:
    """Run a command in a fork; `signalled` is after how many seconds it gets which signal."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = _as_a_program(words, log)
        finally:  # whatever a signal raises here
            os._exit(status)
    if signalled is not None:
        time.sleep(signalled[0])
        os.kill(child, signalled[1])  # it has not been waited for, so its number is its own
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended(status, log.read_text(encoding="utf-8"), time.monotonic() - begun)


def _as_a_program(words: Sequence[str], log: Path) -> int:
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        return lmscore_command(words)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stderr.flush()


def contents(path: Path) -> dict[str, bytes]:
    """What a run has written, by name: of a training what does not depend on the clock."""
    if not path.is_dir():
        return {"": path.read_bytes()} if path.exists() else {}
    files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
    if "train.json" not in files:
        return {name: file.read_bytes() for name, file in files.items()}
    weights = [name for name in files if name.endswith((".safetensors", ".onnx"))]
    compared = {name: files[name].read_bytes() for name in sorted(weights)}
    records = list(map(json.loads, files["metrics.jsonl"].read_text().splitlines()))
    evaluated = [(record["step"], record[EVALUATED]) for record in records if EVALUATED in record]
    config = json.loads(files["config.json"].read_text())
    found = {"evaluated": evaluated, "graphs": sorted(config["graphs"]), "names": sorted(files)}
    return {**compared, "record": json.dumps(found).encode()}


class Sweep:
    """The runs of one case in a folder."""

    def __init__(self, case: Case, folder: Path) -> None:
        self._case, self._folder = case, folder
        self._text = folder / "in"
        case.make_input(self._text)

    def hold(self, moments: int) -> list[str]:
        """What went wrong, a line each."""
        whole, wrong = self._folder / "whole", []
        undisturbed = self._run(whole)
        if undisturbed.status != 0:
            return [f"undisturbed: status {undisturbed.status}: {undisturbed.said}"]
        for number in range(moments):
            sent = SIGNALS[number % len(SIGNALS)]
            at = undisturbed.seconds * (number + 0.5) / moments
            when = f"{sent.name} after {at:.2f} of {undisturbed.seconds:.2f} s"
            found = self._disturbed(whole, self._folder / f"{number:03d}", at, sent)
            wrong += [f"{when}: {fault}" for fault in found]
        return wrong

    def _run(self, out: Path, more: str = "", signalled: Any = None) -> Ended:
        words = f"{self._case.command} {more}".format(**{"in": self._text, "out": out}).split()
        return run(words, self._folder / "log", signalled)

    def _disturbed(self, whole: Path, out: Path, at: float, sent: signal.Signals) -> list[str]:
        ended = self._run(out, signalled=(at, sent))
        wrong = []
        # Of a signal before our handler is there, a shell shows the same status.
        if ended.status not in (-sent, 128 + sent, 0):
            wrong.append(f"status {ended.status}")
        if "Traceback" in ended.said:
            wrong.append(ended.said)
        wrong += self._check_beginning(whole, out, torn=sent == signal.SIGKILL)
        for path in self._folder.rglob(".*.tmp"):
            os.utime(path, (1, 1))  # a minute later
        again = self._run(out, self._case.again)
        if again.status != 0 and "no run to resume there" in again.said:
            again = self._run(out)
        elif again.status != 0 and "there is something in it" in again.said:
            shutil.rmtree(out) if out.is_dir() else out.unlink()  # as the message says
            again = self._run(out)
        if again.status != 0:
            wrong.append(f"the next run ends with {again.status}: {again.said}")
        elif contents(out) != contents(whole):
            wrong.append(f"other files: {_differing(contents(out), contents(whole))}")
        wrong += [f"{path} is left" for path in self._folder.rglob(".*.tmp")]
        return wrong

    def _check_beginning(self, whole: Path, out: Path, *, torn: bool) -> list[str]:
        """What a run that was ended has left: whole lines of the beginning, or whole files."""
        if out.is_dir() and not self._case.again:
            left, files = contents(out), contents(whole)
            finished = [name for name in left if not name.endswith(".tmp")]
            return [f"{name} is not whole" for name in finished if left[name] != files.get(name)]
        if not out.is_file():
            return []  # what a training has left is seen when the next run goes on with it
        there, expected = out.read_bytes(), whole.read_bytes()
        if not self._case.is_kept:
            return [] if there == expected else ["a file that is not whole"]
        if not expected.startswith(there):
            return ["other records than the undisturbed run's"]
        return [] if torn or not there or there.endswith(b"\n") else ["a torn line"]


def _differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(n for n in one.keys() | other.keys() if one.get(n) != other.get(n))


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def sweep(name: str, moments: int, keep: Path) -> bool:
    """Run the case of a name; whether it held."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        begun = time.monotonic()
        wrong = Sweep(CASES[name], folder).hold(moments)
        seconds = time.monotonic() - begun
        say(f"{name}: {moments} moments in {seconds:.0f} s, {len(wrong)} faults")
        for each in wrong:
            say(f"  {each}")
        if wrong:
            shutil.copytree(folder, keep / name, dirs_exist_ok=True)
    return not wrong


def _make_model(path: Path) -> None:
    child = os.fork()  # sessions have threads, which a fork must not have
    if child == 0:
        make_model(path, hidden=8, variants=("int8",))
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("the model could not be made")


def main() -> int:
    """Sweep the verbs that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("verbs", nargs="*", metavar="VERB", help=", ".join(CASES))
    parser.add_argument("--moments", type=int, default=8, help="for each verb")
    parser.add_argument("--keep", type=Path, default=Path("killed"))
    given = parser.parse_args()
    if unknown := set(given.verbs) - CASES.keys():
        parser.error(f"no verb {min(unknown)}; there are {', '.join(CASES)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        _make_model(model)
        os.environ["LMSCORE_MODEL"] = str(model)
        held = [sweep(name, given.moments, given.keep) for name in given.verbs or CASES]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
