"""`lmscore filter` writes the kind of file that it read, packed as the output's name says."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

LINES = ["thanks for all the fish", "the zebra sat", "", "so long\tand bye bye", "the cat"]
RECORDS = [{"text": line, "n": [number, None], "é": "ü\n"} for number, line in enumerate(LINES)]


@pytest.fixture
def bound(run: Run) -> float:
    """A perplexity that splits LINES."""
    lines = "".join(json.dumps({"text": line}) + "\n" for line in LINES)
    found = run("score", "--format", "jsonl", "--input-format", "jsonl", stdin=lines).objects
    return float(sorted(each["perplexity_per_word"] for each in found)[2]) * 1.0001


@pytest.fixture
def kept(run: Run, bound: float) -> list[dict[str, Any]]:
    """What is kept of RECORDS."""
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    found = run("filter", "--max-ppl", bound, "--input-format", "jsonl", stdin=lines).objects
    assert len(found) == 3
    return found


def test_json_arrays(run: Run, tmp_path: Path, bound: float, kept: list[dict[str, Any]]) -> None:
    path, rejected, out = tmp_path / "a.json", tmp_path / "others.json", tmp_path / "out.json"
    path.write_text(json.dumps(RECORDS, indent=3, ensure_ascii=False), encoding="utf-8")
    given = ("filter", "--max-ppl", bound, path, "--rejected", rejected)
    printed = run(*given)
    assert json.loads(printed.out) == kept
    assert '   "é": "ü\\n"' in printed.out  # as it was written
    assert json.loads(rejected.read_text()) == [one for one in RECORDS if one not in kept]
    assert run(*given, "-o", out).status == 0
    assert out.read_text() == printed.out
    assert run("filter", "--max-ppl", "0", path).out == "[]\n"
    for damaged in ("[", '[{"text": "the cat"}, {"text": '):
        path.write_text(damaged)
        result = run("filter", "--min-ppl", "0", path, "-o", tmp_path / "none")
        assert (result.status, (tmp_path / "none").exists()) == (1, False)


@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_parquet(
    run: Run, tmp_path: Path, bound: float, kept: list[dict[str, Any]], codec: str
) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(RECORDS * 300).replace_schema_metadata({"made": "by hand"})
    path, out, rejected = tmp_path / "a.parquet", tmp_path / "out", tmp_path / "others"
    pq.write_table(table, path, compression=codec, row_group_size=200)
    given = ("filter", "--max-ppl", bound, path)
    assert run(*given, "-o", out, "--rejected", rejected).status == 0
    found = pq.read_table(out)
    assert found.schema.equals(pq.read_schema(path), check_metadata=True)
    assert found.to_pylist() == kept * 300
    assert pq.read_table(rejected).num_rows == 600
    names = {"zstd": "ZSTD", "none": "UNCOMPRESSED"}
    assert pq.read_metadata(out).row_group(0).column(0).compression == names[codec]
    assert pq.read_metadata(out).num_row_groups == 1
    again = run(*given, "-o", out)
    assert again.err.endswith("in it already; remove it, or name another file\n")
    assert run("filter", "--max-ppl", "0", path, "-o", tmp_path / "none").status == 0
    empty = pq.read_table(tmp_path / "none")
    assert (empty.num_rows, empty.schema) == (0, found.schema)


def test_bad_rows_are_rejected_as_rows(run: Run, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path, rejected = tmp_path / "a.parquet", tmp_path / "rejected.parquet"
    pq.write_table(pa.table({"text": ["the cat", None, "a dog"], "n": [1, 2, 3]}), path)
    for verb in (("score",), ("ppl",), ("filter", "--min-ppl", "0", "-o", tmp_path / "out")):
        assert run(*verb, path, "--on-error", "skip", "--rejected", rejected).status == 0
        assert pq.read_table(rejected).to_pylist() == [{"text": None, "n": 2}]


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_arrow(
    run: Run, tmp_path: Path, bound: float, kept: list[dict[str, Any]], kind: str
) -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.Table.from_pylist(RECORDS)
    path, out = tmp_path / "a.arrow", tmp_path / "out.arrow"
    make, read = getattr(pa.ipc, f"new_{kind}"), getattr(pa.ipc, f"open_{kind}")
    with make(path, table.schema) as writer:
        writer.write_table(table)
    assert run("filter", "--max-ppl", bound, path, "-o", out).status == 0
    with open(out, "rb") as file:
        assert read(file).read_all().to_pylist() == kept


def test_csv_keeps_its_names(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "out"
    path.write_bytes(b'id,text\r\n1,"the\n cat"\r\n2,so long')
    run("filter", "--min-ppl", "0", path, "-o", out)
    assert out.read_bytes() == path.read_bytes()
    assert run("filter", "--max-ppl", "0", path).out == "id,text\r\n"


def test_csv_of_other_line_ends_and_quotes_has_the_same_columns(run: Run, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    for path, head in zip(paths, (b"id,text\n", b'"id","text"\r\n', b"text,id\n"), strict=True):
        path.write_bytes(head + b"1,the cat\n")
    assert run("filter", "--min-ppl", "0", *paths[:2]).out == "id,text\n1,the cat\n1,the cat\n"
    result = run("filter", "--min-ppl", "0", *paths)
    assert result.status == 1
    assert result.err.endswith("c.csv, line 2: has other columns than the records before it\n")


@pytest.mark.parametrize(
    ("kind", "good", "bad", "empty"),
    [
        ("csv", "n,text\n1,the cat\n", "n,text\n1\n", "n,text\n"),
        ("tsv", "n\ttext\n1\tthe cat\n", "n\ttext\n1\n", "n\ttext\n"),
        ("json", '[{"text": "the cat"}]', '[{"text": null}]', "[]\n"),
        ("jsonl", '{"text": "the cat"}\n', '{"text": null}\n', ""),
    ],
)
def test_a_file_without_records_is_one_of_its_kind(
    run: Run, tmp_path: Path, kind: str, good: str, bad: str, empty: str
) -> None:
    path, kept, rejected = tmp_path / f"a.{kind}", tmp_path / "kept", tmp_path / "rejected"
    given = ("filter", path, "--field", "text", "--on-error", "skip", "--rejected", rejected)
    path.write_text(good)
    assert run(*given, "--min-ppl", "0", "-o", kept).status == 0
    assert rejected.read_text() == empty
    path.write_text(bad)
    kept.unlink()
    assert run(*given, "--min-ppl", "0", "-o", kept).status == 0
    assert kept.read_text() == empty


def test_parquet_without_rejected_rows_has_columns(run: Run, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path, rejected = tmp_path / "a.parquet", tmp_path / "rejected.parquet"
    pq.write_table(pa.table({"text": ["the cat"], "n": [1]}), path)
    for verb in ("score", "filter"):
        options = ("--min-ppl", "0", "-o", tmp_path / "kept") if verb == "filter" else ()
        assert run(verb, path, "--on-error", "skip", "--rejected", rejected, *options).status == 0
        found = pq.read_table(rejected)
        assert (found.num_rows, found.column_names) == (0, ["text", "n"])


@pytest.mark.parametrize(("suffix", "unpack"), [(".gz", gzip.decompress), (".xz", lzma.decompress)])
def test_packed_output(
    run: Run, tmp_path: Path, suffix: str, unpack: Callable[[bytes], bytes]
) -> None:
    text = "".join(line + "\n" for line in LINES)
    for verb in (("filter", "--min-ppl", "0"), ("score",)):
        plain = run(*verb, stdin=text).out
        out = tmp_path / f"{verb[0]}{suffix}"
        assert run(*verb, "-o", out, stdin=text).status == 0
        assert unpack(out.read_bytes()).decode() == plain
        again = run(*verb, "-o", out, stdin=text)
        assert again.status == 1
        assert again.err.endswith("in it already; remove it, or name another file\n")


def test_one_output_has_one_kind(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "the cat"}\n')
    (tmp_path / "b.csv").write_text("text\nthe cat\n")
    result = run("filter", "--min-ppl", "0", tmp_path / "a.jsonl", tmp_path / "b.csv")
    assert result.status == 1
    assert "b.csv, line 2: is csv, and the files before it are jsonl" in result.err


def test_tables_of_other_columns_do_not_mix(run: Run, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    for name, table in {"a": {"text": ["a"]}, "b": {"text": ["a"], "n": [1]}}.items():
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    paths = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    result = run("filter", "--min-ppl", "0", *paths, "-o", tmp_path / "out")
    assert result.status == 1
    assert "b.parquet, row 1: has other columns than the records before it" in result.err
    assert not (tmp_path / "out").exists()
