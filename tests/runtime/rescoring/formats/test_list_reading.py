"""Several files, directories, compressed files, and what is wrong with them."""

from __future__ import annotations

import gzip
import io
import itertools
import lzma
from pathlib import Path

import pytest

from lmscore.errors import InputError, InputFileError, OptionError
from lmscore.runtime.rescoring.formats import read


def ids(*paths: str | Path) -> list[str]:
    _, lists = read(paths)
    return [nbest.id for nbest in lists]


def test_several_files(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("u2\tx\nu3\ty\n")
    (tmp_path / "a").write_text("u1\tx\n")
    assert ids(tmp_path / "b", tmp_path / "a") == ["u2", "u3", "u1"]


def test_a_directory_is_its_files_by_name(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("?")
    for name in ("utt2.gz", "utt1.gz", "utt3.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"-1 -2 1 a\n"))
    assert ids(tmp_path) == ["utt1", "utt2", "utt3"]


def test_a_file_of_paths(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(f"u{name}\tx\n")
    (tmp_path / "paths").write_text(f"{tmp_path / 'b'}\n{tmp_path / 'a'}\n")
    assert ids(f"@{tmp_path / 'paths'}") == ["ub", "ua"]


def test_compressed_files_are_told_by_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(b"u1\tx\n"))
    (tmp_path / "b").write_bytes(lzma.compress(b"u2\tx\n"))
    assert ids(tmp_path / "a", tmp_path / "b") == ["u1", "u2"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"u1\tx\n")))
    assert ids("-") == ["u1"]


def test_lists_come_while_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("".join(f"u{i}\tword\n" for i in range(100_000)) + "broken\n")
    _, lists = read([path])
    first = list(itertools.islice(lists, 1000))
    assert (first[0].id, first[-1].id) == ("u0", "u999")
    with pytest.raises(InputError, match="line 100001: no tab"):
        list(lists)


def test_empty_lists_of_srilm_may_come_first(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").write_text("-1 -2 1 x\n")
    list_format, lists = read([tmp_path / "a", tmp_path / "b"])
    assert list_format.name == "srilm"
    assert [(nbest.id, len(nbest.hypotheses)) for nbest in lists] == [("a", 0), ("b", 1)]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no file with n-best lists"):
        read([tmp_path])


@pytest.mark.parametrize(
    ("text", "input_format"),
    [("", "moses"), ("", "kaldi"), ("", "jsonl"), ("[]", "hyporadise"), ('{"utts": {}}', None)],
)
def test_a_file_without_a_list(tmp_path: Path, text: str, input_format: str | None) -> None:
    path = tmp_path / "list"
    path.write_text(text)
    list_format, lists = read([path], input_format)
    with pytest.raises(InputError) as caught:
        list(lists)
    assert str(caught.value) == f"{path}: there is no {list_format.name} list in it"


@pytest.mark.parametrize(
    "text",
    [
        "u\ta\nv\tb\nu\tc\n",
        "u-1 a\nv-1 b\nu-2 c\n",
        "0 ||| a ||| ||| 1\n1 ||| a ||| ||| 1\n0 ||| b ||| ||| 1\n".replace("0 |", "u |"),
        (
            '{"id": "u", "hypotheses": []}\n{"id": "v", "hypotheses": []}\n'
            '{"id": "u", "hypotheses": []}\n'
        ),
        '[{"id": "u", "input": []},\n{"input": []},\n{"id": "u", "input": []}]',
        '{"u": {"ref": "a"},\n"v": {},\n"u": {}}',
    ],
)
def test_a_list_in_two_places(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list"
    path.write_text(text)
    _, lists = read([path])
    with pytest.raises(InputError) as caught:
        list(lists)
    assert str(caught.value) == (
        f"{path}, line 3: a second list 'u'; bring its lines together, and give every list an id "
        "of its own"
    )


def test_a_list_in_two_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("u\tx\n")
    with pytest.raises(InputError, match="b, line 1: a second list 'u'"):
        ids(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(("text", "line"), [(b"u\tx\nu\ta\xff\n", 2), (b'[{"input":[\n\xff]}]', 2)])
def test_invalid_utf8(tmp_path: Path, text: bytes, line: int) -> None:
    path = tmp_path / "list"
    path.write_bytes(text)
    _, lists = read([path])
    with pytest.raises(InputError) as caught:
        list(lists)
    byte = text.split(b"\n")[1].index(b"\xff") + 1
    assert str(caught.value) == (
        f"{path}, line {line}: invalid UTF-8 at byte {byte}; convert the file, or use "
        "errors='replace'"
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no such file"):
        read([tmp_path / "missing"])
    path = tmp_path / "damaged.gz"
    data = b"".join(b"utterance%d\tsome words here\n" % i for i in range(50_000))
    path.write_bytes(gzip.compress(data)[:-100])
    _, lists = read([path])
    with pytest.raises(InputFileError, match=r"damaged\.gz: damaged compressed file"):
        list(lists)


def test_what_is_no_probability(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("u\t0.5\ta\nu\t1\tb\nv\t0\ta\nv\t1.5\tb\n")
    _, lists = read(path, score_kind="probabilities")
    with pytest.raises(InputError) as caught:
        list(lists)
    assert str(caught.value) == (
        f"{path}, line 3: list 'v', hypothesis 2, score: 1.5 is no probability, "
        "which lies between 0 and 1"
    )


def test_references(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("7 ||| a ||| ||| 1\n0 ||| b ||| ||| 1\n")
    (tmp_path / "ref").write_text("zero\n" + "\n" * 6 + "seven\n")
    _, lists = read([tmp_path / "list"], references=tmp_path / "ref")
    assert [nbest.reference for nbest in lists] == ["seven", "zero"]
    (tmp_path / "ref").write_text("zero\none\n" + "\n" * 5 + "seven\n")
    with pytest.raises(InputError, match="no list for the reference '1'"):
        read([tmp_path / "list"], references=tmp_path / "ref")
