"""Peak memory of reading files of records: it must not grow with the file.

    python benchmarks/reading.py --megabytes 250 2000

Writes files of each kind and size into a temporary directory, and reads all of their records in a
process of its own. Each line is one file: its kind, its size unpacked, the records that were read,
the peak of the resident memory, the seconds. A field of the CSV has 200 kB; the zstd file has a
frame for each MB. For Linux (/proc); needs the extras `parquet` and `zstd`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

WORDS = "the a cat dog sat ran saw on with of in fish is was it not".split()
READ = """
import re, sys
from lmscore.corpus.reading import read_records
count = sum(1 for record in read_records(sys.argv[1:]))
status = open("/proc/self/status").read()
print(count, int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1000)
"""
MEGABYTE = 1_000_000


@cache
def words_of(number: int) -> str:
    """Sixteen words; 4096 different ones."""
    return " ".join(WORDS[(number * 7919 >> place) % 16] for place in range(16))


def sentence(number: int) -> str:
    """A text that no other number has."""
    return f"{number} {words_of(number % 4096)}"


def text_of(number: int, size: int) -> str:
    line = sentence(number)
    return (line + " ") * (size // len(line)) + line


def write_array(path: Path, size: int) -> int:
    """A JSON array of objects with texts of 2 kB; returns how many."""
    count = 0
    with path.open("w") as file:
        file.write("[")
        while file.tell() < size:
            for number in range(count, count + 1000):
                fields = json.dumps({"id": number, "text": text_of(number, 2000)})
                file.write(f"{',' if number else ''}\n{fields}")
            count += 1000
        file.write("\n]\n")
    return count


def write_csv(path: Path, size: int) -> int:
    """CSV whose fields have 200 kB, with quotes and line breaks in them; returns the rows."""
    count = 0
    with path.open("w") as file:
        file.write("id,text\n")
        while count * 200_000 < size:
            text = text_of(count, 199_000).replace(" not ", ' "not"\n')
            file.write(f'{count},"{text.replace(chr(34), chr(34) * 2)}"\n')
            count += 1
    return count


def write_frames(path: Path, size: int) -> int:
    """JSON Lines in zstd, a frame for each MB; returns the lines."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    count = written = 0
    with path.open("wb") as file:
        while written < size:
            lines = [json.dumps({"text": sentence(count + number)}) for number in range(10_000)]
            data = ("\n".join(lines) + "\n").encode()
            file.write(zstd.compress(data))
            written += len(data)
            count += len(lines)
    return count


def write_parquet(path: Path, size: int) -> int:
    """Parquet with row groups of 100,000 rows; returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = written = 0
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        while written < size:
            texts = [sentence(count + number) for number in range(100_000)]
            writer.write_table(pa.table({"text": texts}), row_group_size=len(texts))
            written += sum(map(len, texts))
            count += len(texts)
    return count


KINDS: dict[str, tuple[str, Callable[[Path, int], int]]] = {
    "json array": (".json", write_array),
    "csv": (".csv", write_csv),
    "zstd frames": (".jsonl.zst", write_frames),
    "parquet": (".parquet", write_parquet),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[250, 2000])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    given = parser.parse_args()
    print(f"{'kind':12} {'MB':>6} {'records':>9} {'peak MB':>8} {'seconds':>8}")
    for kind in given.kinds:
        suffix, write = KINDS[kind]
        for megabytes in given.megabytes:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"corpus{suffix}")
                count = write(path, megabytes * MEGABYTE)
                start = time.monotonic()
                command = [sys.executable, "-c", READ, str(path)]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found, peak = map(int, out.split())
            if found != count:
                raise SystemExit(f"{kind}: {found} of {count} records were read")
            seconds = time.monotonic() - start
            print(f"{kind:12} {megabytes:6} {found:9} {peak:8} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
