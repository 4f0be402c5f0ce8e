"""Records of every kind of file, in every packing and encoding."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.corpus.reading import BadRecords, ReadOptions, Record, read_records
from lmscore.corpus.reading.delimited import large_fields
from lmscore.errors import InputError, LmscoreError, OptionError
from lmscore.names import InputFormat, OnError

lz4_frame = pytest.importorskip("lz4.frame")
pyarrow = pytest.importorskip("pyarrow")

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TWO = ["It was late.", "He went home."]
PLAIN = "\n".join([*TWO, ""])


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path, **options: object) -> list[Record]:
    return list(read_records([str(path)], ReadOptions(**options)))  # type: ignore[arg-type]


def texts(path: Path, **options: object) -> list[str]:
    records = read(path, **options)
    assert all(record.error is None for record in records), records
    return [record.text for record in records]


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": zstd.compress,
    "lz4": lz4_frame.compress,
}


@pytest.mark.parametrize("packing", PACKERS)
def test_packed_in_several_frames(tmp_path: Path, packing: str) -> None:
    pack = PACKERS[packing]
    data = pack(b"It was ") + pack(b"late.\n") + pack(b"He went home.\n")
    assert texts(write(tmp_path / "a", data)) == TWO  # by content, whatever its name
    objects = "".join(json.dumps({"text": text}) + "\n" for text in TWO)
    assert texts(write(tmp_path / f"a.jsonl.{packing}", pack(objects.encode()))) == TWO


@pytest.mark.parametrize("packing", PACKERS)
def test_what_a_cut_file_holds(tmp_path: Path, packing: str) -> None:
    lines = [f"line {number} {number**7}" for number in range(30_000)]
    data = PACKERS[packing]("\n".join(lines).encode())
    *good, last = read(write(tmp_path / "a", data[: len(data) // 2]))
    assert [record.text for record in good] == lines[: len(good)]
    assert len(good) > 1000 or packing in ("bz2",)  # whose blocks are of 900 kB
    assert "a: damaged compressed file" in str(last.error)


def test_an_empty_zstd_file_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a: empty, there is no line to score"):
        texts(write(tmp_path / "a", zstd.compress(b"")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks(tmp_path: Path, encoding: str, end: str) -> None:
    data = "".join(text + end for text in TWO).encode(encoding)
    records = read(write(tmp_path / "a", data))
    assert [record.text for record in records] == TWO
    kept = b"".join(record.raw for record in records)
    line_end = "\n" if end == "\r" else end
    assert kept.decode() == "".join(text + line_end for text in TWO)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp1252"])
def test_named_encodings(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a", "Ăé ਊ\n਀".replace("ਊ", "").encode(encoding, "ignore"))
    expected = path.read_bytes().decode(encoding).splitlines()
    assert texts(path, encoding=encoding) == expected


def test_a_mark_at_the_head_of_a_second_file(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbfIt was late.\n\xef\xbb\xbfHe went home.\n"
    assert texts(write(tmp_path / "a", data)) == TWO


def test_carriage_returns_end_lines_only_without_line_feeds(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a", b"It was late.\rHe went home.\r")) == TWO
    assert texts(write(tmp_path / "b", b"a\rb\nc\n")) == ["a\rb", "c"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "It was late.\n".encode("utf-16-le"),
            "looks like UTF-16-LE without a byte-order mark: name the `encoding`",
        ),
        ("It was late.\n".encode("utf-16-be"), "looks like UTF-16-BE without"),
        ("It was late.\n".encode("utf-32-le"), "looks like UTF-32-LE without"),
        ("It was late.\n".encode("utf-32-be"), "looks like UTF-32-BE without"),
        (b"PK\x03\x04\x14\x00", "looks like a zip archive"),
        (b"%PDF-1.7\n", "looks like PDF"),
        (b"SQLite format 3\x00", "looks like an SQLite database"),
        (b'{"text": "a"}\n', "line 1: looks like JSON Lines: use input_format='jsonl'"),
        (b'[{"text": "a"}]\n', "line 1: looks like a JSON array: use input_format='json'"),
    ],
)
def test_what_it_looks_like(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match="looks like") as caught:
        read(write(tmp_path / "a", data))
    assert message in str(caught.value)


def test_nul_characters_alone_are_text(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "a", b"\0" * 6)) == ["\0" * 6]


def test_braces_and_commas_are_text(tmp_path: Path) -> None:
    lines = ["{a}", "a,b", "[1]", '"x"']
    for line in lines:
        assert texts(write(tmp_path / "a", line.encode())) == [line]
    assert texts(write(tmp_path / "a", b'{"text": "a"}\n'), input_format="text") == [
        '{"text": "a"}'
    ]


def test_an_undecodable_line(tmp_path: Path) -> None:
    first, bad, last = read(write(tmp_path / "a", b"one\ntw\xff\nthree\n"))
    assert (first.text, last.text) == ("one", "three")
    assert "a, line 2: invalid UTF-8 at byte 3; name the `encoding`" in str(bad.error)
    assert bad.raw == b"tw\xff\n"


QUOTES = (
    "item,condition,sentence,region\n"
    '1,a,"He said, ""yes"", and left.",yes\n'
    '1,b,"He said,\r\n""no"", and left.",no\n'
)


def test_csv(tmp_path: Path) -> None:
    path = write(tmp_path / "quotes.csv", QUOTES.encode())
    first, second = read(path, field="sentence", id_field="condition")
    assert first.text == 'He said, "yes", and left.'
    assert second.text == 'He said,\r\n"no", and left.'
    assert second.fields == {"item": "1", "condition": "b", "sentence": second.text, "region": "no"}
    assert [first.id, second.id] == ["a", "b"]
    assert b"".join([first.heading, first.raw, second.raw]) == QUOTES.encode()
    assert first.default_split == "lines"


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(
            st.text(
                st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufeff"),
                max_size=6,
            ),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_csv_that_pythons_writer_wrote(tmp_path: Path, rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["x", "text"], *rows])
    path = write(tmp_path / "a.csv", out.getvalue().encode())
    assert texts(path) == [text for _, text in rows]


def test_csv_without_names_and_with_semicolons(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"1;a b\n\n2;c\n")
    records = read(path, columns=("n", "text"), delimiter=";", id_field="n")
    assert [(record.id, record.text) for record in records] == [("1", "a b"), ("2", "c")]


def test_threads_read_large_fields_at_the_same_time(tmp_path: Path) -> None:
    """The limit of a field is the whole process's: it is what it was when the last row is read."""
    limit, size = csv.field_size_limit(), 150_000
    rows = "".join(f'"{letter * size}"\n' for letter in "abcdefgh")
    path = write(tmp_path / "x.csv", f"text\n{rows}".encode())
    streams = [iter(read_records([str(path)])) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        found: list[list[Record]] = list(pool.map(list, streams))
    assert [[len(record.text) for record in records] for records in found] == [[size] * 8] * 2
    assert csv.field_size_limit() == limit


def test_the_limit_of_fields_holds_while_any_row_is_read() -> None:
    limit = csv.field_size_limit()
    first, second = large_fields(), large_fields()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert csv.field_size_limit() > limit
    second.__exit__(None, None, None)
    assert csv.field_size_limit() == limit


def test_a_csv_field_of_200_kb(tmp_path: Path) -> None:
    long = "word " * 40_000
    path = write(tmp_path / "a.csv", f'text\n"{long}"\n'.encode())
    assert texts(path) == [long]


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        ("a.csv", "text,x\na\nb,1\n", {}, "line 2: expected 2 columns, got 1"),
        ("a.csv", 'text,x\n"a"b,1\n', {}, "line 2: not CSV: "),
        (
            "a.tsv",
            "id1\t0.73\tThe cat sat.\n",
            {},
            "line 1: 3 columns, expected id<TAB>text; name them with `columns`",
        ),
        (
            "a.tsv",
            "no tab\n",
            {},
            "line 1: no tab; expected id<TAB>text, or use input_format='text'",
        ),
        ("a.jsonl", '{"text": null}\n', {}, "line 1: field 'text' is null, expected a string"),
        ("a.jsonl", '{"text": "cut off\n', {}, "line 1: not JSON: "),
        ("a.jsonl", '{"text": "a\tb"}\n', {}, "line 1: not JSON: Invalid control character"),
        (
            "a.jsonl",
            '{"doc": {"x": 1}}\n',
            {"field": "doc.text"},
            "line 1: no field 'doc.text', only 'doc'; name another with `field`",
        ),
        (
            "a.jsonl",
            '{"text": "a", "id": []}\n',
            {"id_field": "id"},
            "field 'id' is list, expected a string or number",
        ),
        ("a.json", "[1]", {}, "element 1: expected a JSON object, got int"),
    ],
)
def test_bad_records(
    tmp_path: Path, name: str, data: str, options: dict[str, str], message: str
) -> None:
    record = read(write(tmp_path / name, data.encode()), **options)[0]
    assert message in str(record.error)
    assert record.text == ""


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", "text,text\na,b\n", "line 1: two columns are named 'text'"),
        (
            "a.csv",
            "item,sentence\na,b\n",
            "line 1: no column 'text', only 'item', 'sentence'; name another with `field`",
        ),
        (
            "a.csv",
            "id;text\n1;a\n",
            "only 'id;text'; if ';' stands between columns, say so with `delimiter`; name another",
        ),
        (
            "a.json",
            '{"text": "a"}',
            r"expected a JSON array, \[...\]; for an object on each line use input_format='jsonl'",
        ),
    ],
)
def test_bad_files(tmp_path: Path, name: str, data: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / name, data.encode()))


@pytest.mark.parametrize(
    "options", [{"columns": ("a", "a")}, {"delimiter": "ab"}, {"delimiter": '"'}]
)
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        ReadOptions(**options)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="encoding is 'klingon', which Python does not know"):
        read(Path(__file__), encoding="klingon", input_format="text")


def test_tsv_with_other_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b"id1\t0.73\tThe cat sat.\nid2\t0.51\tThe cat sad.\n")
    records = read(path, columns=("id", "score", "text"), id_field="id")
    assert [(record.id, record.text) for record in records] == [
        ("id1", "The cat sat."),
        ("id2", "The cat sad."),
    ]
    named = write(tmp_path / "b.tsv", b'id\ttext\n1\t"a\n')
    assert texts(named, field="text") == ['"a']  # a quote is a character like any other


def test_json_lines(tmp_path: Path) -> None:
    data = b'{"doc": {"text": "a"}, "x": NaN}\n\n  \n{"doc": {"text": "b"}, "doc.text": "c"}\n'
    assert texts(write(tmp_path / "a.ndjson", data), field="doc.text") == ["a", "c"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(VALUES, min_size=1, max_size=4),
    indent=st.none() | st.integers(0, 3),
    chunk=st.integers(1, 40),
)
def test_json_arrays_are_read_in_pieces(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: list[object],
    indent: int | None,
    chunk: int,
) -> None:
    monkeypatch.setattr("lmscore.corpus.reading.json_text._CHUNK", chunk)
    objects = [{"text": f"t{number}", "x": value} for number, value in enumerate(values)]
    path = write(
        tmp_path / "a.json", json.dumps(objects, indent=indent, ensure_ascii=False).encode()
    )
    found = [dict(record.fields or {}) for record in read(path)]
    assert json.dumps(found) == json.dumps(objects)  # nan is not nan


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('[{"text": "a"} {"text": "b"}]', "expected a comma or ] after element 1, got '{'"),
        ('[{"text": "a"}', "expected a comma or ] after element 1, got the end of the file"),
        ('[{"text": "a"}, {"te', "element 2: not JSON: "),
    ],
)
def test_a_damaged_array_gives_what_stands_before(tmp_path: Path, data: str, message: str) -> None:
    first, last = read(write(tmp_path / "a.json", data.encode()))
    assert first.text == "a"
    assert message in str(last.error)


TABLE = {"text": ["a b", None, "ä"], "doc": [{"id": 1}, {"id": 2}, {"id": 3}], "x": [1.5, 2.0, 3.0]}


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
def test_tables(tmp_path: Path, kind: str) -> None:
    import pyarrow.parquet as pq

    table = pyarrow.table(TABLE)
    path = tmp_path / "table"  # recognised by content
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=2)
    else:
        new = pyarrow.ipc.new_file if kind == "arrow" else pyarrow.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table)
    one, bad, three = read(path, id_field="doc.id")
    assert (one.text, three.text, three.id) == ("a b", "ä", "3")
    assert f"{path}, row 2: field 'text' is null" in str(bad.error)
    assert three.fields == {"text": "ä", "doc": {"id": 3}, "x": 3.0}
    (few, *_) = read_records([str(path)], ReadOptions(), all_fields=False)
    assert few.fields == {"text": "a b"}
    with pytest.raises(InputError, match="no column 'body', only 'text', 'doc', 'x'; name another"):
        read(path, field="body")


def test_a_row_that_is_no_text_spoils_no_other(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    texts = pyarrow.array([b"a", b"\xff", b"b"]).view(pyarrow.string())
    path = tmp_path / "a.parquet"
    pq.write_table(pyarrow.table({"text": texts}), path)
    one, bad, two = read(path)
    assert (one.text, two.text) == ("a", "b")
    assert "row 2: a value is not what its column says: 'utf-8' codec" in str(bad.error)


def test_damaged_tables(tmp_path: Path) -> None:
    with pytest.raises(LmscoreError, match=r"a.parquet: cannot be read: "):
        read(write(tmp_path / "a.parquet", b"PAR1 and nothing more"))


@pytest.mark.parametrize("on_error", ["stop", "skip", "keep"])
def test_rules_for_bad_records(tmp_path: Path, on_error: OnError) -> None:
    data = (
        b'{"text": "a good day"}\n{"text": null}\n\n{"text": "he is here", "x": NaN}\n'
        b'{"text": "cut off\n{"text": "and the last one"}\n\n'
    )
    path = write(tmp_path / "bad-records.jsonl", data)
    rule = BadRecords(on_error)
    rejected: list[bytes] = []
    rule.reject = lambda record: rejected.append(record.raw)
    records = rule.handled(read_records([str(path)]))
    if on_error == "stop":
        assert next(records).text == "a good day"
        with pytest.raises(
            InputError, match=r"line 2: field 'text' is null.*; on_error='skip' goes on without it"
        ):
            next(records)
        return
    found = [record.text for record in records if record.error is None]
    assert found == ["a good day", "he is here", "and the last one"]
    assert rejected == [b'{"text": null}\n', b'{"text": "cut off\n']
    assert rule.count == 2


def test_too_many_bad_records(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"{\n{\n")
    with pytest.raises(
        InputError, match=r"line 2: not JSON.*one bad record more than max_errors=1"
    ):
        list(BadRecords("skip", max_errors=1).handled(read_records([str(path)])))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv.gz", "csv"),
        ("A.TSV", "tsv"),
        ("a.jsonl.zst", "jsonl"),
        ("a.feather", "arrow"),
        ("a.txt", None),
    ],
)
def test_kinds_by_name(name: str, kind: InputFormat | None) -> None:
    from lmscore.corpus.reading import format_named

    assert format_named(name) == kind
