"""Rows a second of `lmscore filter`, by number of processes, and what Ray costs beside them.

    python benchmarks/cluster.py corpus.txt --rows 200000 --files 20 --jobs 1 2 4

Each line is one run: the rows of the corpus lie in Parquet files, one model process a core, one
thread each. The seconds include starting Python, loading models and starting Ray.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_files(lines: list[str], rows: int, files: int, folder: Path) -> list[str]:
    """Write the lines, again and again, as Parquet files; return their paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = itertools.islice(itertools.cycle(lines), rows)
    size = -(-rows // files)
    paths = []
    for number in range(files):
        path = folder / f"{number:04}.parquet"
        pq.write_table(pa.table({"text": list(itertools.islice(texts, size))}), path)
        paths.append(str(path))
    return paths


def seconds_of(paths: list[str], out: Path, *options: str) -> float:
    verb = [sys.executable, "-m", "lmscore", "filter", "-q", "--max-ppl", "500", "--threads", "1"]
    start = time.monotonic()
    subprocess.run([*verb, *options, "--output-dir", str(out), *paths], check=True)
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", default=None)
    given = parser.parse_args()
    model = [] if given.model is None else ["--model", given.model]
    lines = [line for line in given.corpus.read_text().splitlines() if line.strip()]
    engines: list[list[str]] = [[]]
    try:
        import ray  # noqa: F401
    except ImportError:
        print("Ray is not installed: only processes of our own")
    else:
        engines.append(["--engine", "ray"])
    print(f"{'engine':8} {'jobs':>4} {'seconds':>8} {'rows/s':>8}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = write_files(lines, given.rows, given.files, folder)
        for engine, jobs in itertools.product(engines, given.jobs):
            name = engine[-1] if engine else "-"
            out = folder / f"out-{name}-{jobs}"
            seconds = seconds_of(paths, out, "--jobs", str(jobs), *engine, *model)
            print(f"{name:8} {jobs:4} {seconds:8.1f} {given.rows / seconds:8.0f}", flush=True)


if __name__ == "__main__":
    main()
