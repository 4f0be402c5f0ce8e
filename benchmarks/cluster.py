"""Speed and memory of scoring a corpus, by rows and processes, and what Ray costs beside them.

    python benchmarks/cluster.py corpus.txt --rows 200000 400000 --files 20 --jobs 1 2 4

Each line is one run; the rows of the corpus lie in Parquet files, and each process has the model
and one thread. `-` is `lmscore filter --jobs`, `ray` the same with `--engine ray`, `dataset` a
pipeline of Ray Data's own: `read_parquet`, `map_batches` with TextScorer, `write_parquet`. The
seconds include starting Python, loading models and starting Ray. The memory is the peak of the
resident memory: of the program that was started, and of the largest of the processes that score.
For Linux (/proc).
"""

from __future__ import annotations

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

DATASET = """
import sys
import ray
from lmscore.corpus import TextScorer

out, jobs, model, *paths = sys.argv[1:]
ray.init(include_dashboard=False, log_to_driver=False)
ray.data.DataContext.get_current().enable_progress_bars = False
ray.data.read_parquet(paths).map_batches(
    TextScorer,
    fn_constructor_args=(model or None,),
    batch_format="pyarrow",
    batch_size=1000,
    compute=ray.data.ActorPoolStrategy(size=int(jobs)),
    num_cpus=0.5,
).write_parquet(out)
"""


class Run(NamedTuple):
    """The figures of one run."""

    seconds: float
    program: int  # MB
    scorer: int  # MB


def write_files(lines: list[str], rows: int, files: int, folder: Path) -> list[str]:
    """Write the lines, again and again, as Parquet files; return their paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    texts = itertools.islice(itertools.cycle(lines), rows)
    size = -(-rows // files)
    paths = []
    for number in range(files):
        path = folder / f"{number:04}.parquet"
        pq.write_table(pa.table({"text": list(itertools.islice(texts, size))}), path)
        paths.append(str(path))
    return paths


def command_of(engine: str, jobs: int, model: str, out: Path, paths: list[str]) -> list[str]:
    if engine == "dataset":
        return [sys.executable, "-c", DATASET, str(out), str(jobs), model, *paths]
    verb = [sys.executable, "-m", "lmscore", "filter", "-q", "--max-ppl", "500", "--threads", "1"]
    options = ["--jobs", str(jobs), "--output-dir", str(out)]
    options += ["--engine", "ray"] if engine == "ray" else []
    options += ["--model", model] if model else []
    return [*verb, *options, *paths]


def measured(command: list[str]) -> Run:
    """Run a program, and look at the memory of its processes every half second."""
    start, peaks = time.monotonic(), {}
    with subprocess.Popen(command) as program:
        while program.poll() is None:
            peaks |= {pid: peak_of(pid) or peaks.get(pid, 0) for pid in family_of(program.pid)}
            time.sleep(0.5)
    if program.returncode:
        raise SystemExit(program.returncode)
    own = peaks.pop(program.pid)
    return Run(time.monotonic() - start, own, max(peaks.values(), default=own))


def family_of(root: int) -> list[int]:
    """A process, and those of its descendants that score: Ray's actors, or else Python."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    names = {pid: name(pid) for pid in family - {root}}
    actors = [pid for pid, called in names.items() if re.match(rb"ray::.*Map", called)]
    return [root, *(actors or [pid for pid, called in names.items() if b"spawn_main" in called])]


def name(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def peak_of(pid: int) -> int:
    """The peak of a process's resident memory so far, in MB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) // 1000 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000])
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--engines", nargs="+", default=["-", "ray", "dataset"])
    parser.add_argument("--model", default="")
    given = parser.parse_args()
    lines = [line for line in given.corpus.read_text().splitlines() if line.strip()]
    print("engine   jobs     rows  seconds   rows/s    MB  scorer")
    with tempfile.TemporaryDirectory() as scratch:
        for rows in given.rows:
            paths = write_files(lines, rows, given.files, Path(scratch, f"in-{rows}"))
            for engine, jobs in itertools.product(given.engines, given.jobs):
                out = Path(scratch, f"out-{engine}-{jobs}-{rows}")
                run = measured(command_of(engine, jobs, given.model, out, paths))
                print(
                    f"{engine:8} {jobs:4} {rows:8} {run.seconds:8.1f} {rows / run.seconds:8.0f} "
                    f"{run.program:5} {run.scorer:7}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
