"""Files out: whole, compressed, one or many."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmscore.errors import OptionError, OutputFileError
from lmscore.runtime.rescoring.formats import Format, read, render, write
from lmscore.runtime.rescoring.lists.nbest import NBestList

TSV = b"u1\ta\nu2\tb\n"


def opened(path: Path, text: bytes = TSV) -> tuple[Format, Iterator[NBestList]]:
    path.write_bytes(text)
    return read([path])


def test_a_file(tmp_path: Path) -> None:
    write(*opened(tmp_path / "in"), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == TSV


def test_a_file_may_be_written_over_itself(tmp_path: Path) -> None:
    list_format, lists = opened(tmp_path / "in")
    write(list_format, (nbest.with_feature("rnn", [-1]) for nbest in lists), tmp_path / "in")
    assert (tmp_path / "in").read_bytes() == b"u1\t-1.0\ta\nu2\t-1.0\tb\n"


def test_the_name_says_whether_it_is_compressed(tmp_path: Path) -> None:
    write(*opened(tmp_path / "in"), tmp_path / "out.gz")
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == TSV
    write(*opened(tmp_path / "in"), tmp_path / "out.xz")
    assert lzma.decompress((tmp_path / "out.xz").read_bytes()) == TSV
    write(*opened(tmp_path / "in", gzip.compress(TSV)), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == TSV


def test_compressing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    write(*opened(tmp_path / "in"), tmp_path / "one.gz")
    write(*opened(tmp_path / "in"), tmp_path / "two.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


@pytest.mark.parametrize("existing", [True, False])
def test_a_directory_gets_a_file_for_each_read(tmp_path: Path, existing: bool) -> None:
    (tmp_path / "in").mkdir()
    texts = {"utt1.gz": b"-1 -2 1 a\n", "utt2.gz": b"", "utt3.gz": b"\xef\xbb\xbf(-1) b"}
    for name, text in texts.items():
        (tmp_path / "in" / name).write_bytes(gzip.compress(text))
    if existing:
        (tmp_path / "out").mkdir()
    write(*read([tmp_path / "in"], "srilm"), f"{tmp_path / 'out'}/")
    written = {
        path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "out").iterdir()
    }
    assert written == texts


def test_lines_of_several_files_become_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfu1\ta")
    (tmp_path / "b").write_bytes(b"\xef\xbb\xbfu2\tb\n")
    write(*read([tmp_path / "a", tmp_path / "b"]), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"\xef\xbb\xbfu1\ta\nu2\tb\n"


def test_documents_do_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f'[{{"id": "{name}", "input": []}}]')
    with pytest.raises(OptionError) as caught:
        write(*read([tmp_path / "a", tmp_path / "b"]), tmp_path / "out")
    assert str(caught.value) == (
        "several hyporadise files cannot become one: write into a directory, one that is there or "
        "whose name ends in /"
    )
    assert not (tmp_path / "out").exists()


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for i in (1, 2):
        (tmp_path / f"{i}").mkdir()
        (tmp_path / f"{i}" / "list").write_text(f"u{i}\ta\n")
    paths = [tmp_path / "1" / "list", tmp_path / "2" / "list"]
    with pytest.raises(OptionError, match="out/list: two of the files read have this name"):
        write(*read(paths), f"{tmp_path / 'out'}/")


def test_standard_input_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").write_bytes(TSV)
    with open(tmp_path / "in") as file:
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(OptionError, match="standard input has no name to write it under"):
            write(*read(["-"]), tmp_path)


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (0, "in: the list before 'u2' is not written"),
        (1, "in: the lists after number 1 are not written"),
    ],
)
def test_no_list_is_left_out(tmp_path: Path, left_out: int, message: str) -> None:
    list_format, lists = opened(tmp_path / "in")
    chosen = [nbest for i, nbest in enumerate(lists) if i != left_out]
    with pytest.raises(OptionError) as caught:
        list(render(list_format, chosen))
    assert str(caught.value).endswith(message)


def test_reading_must_have_come_to_the_end(tmp_path: Path) -> None:
    list_format, lists = opened(tmp_path / "in")
    with pytest.raises(OptionError, match="the lists after number 1 are not written"):
        list(render(list_format, [next(lists)]))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputFileError, match="no/out: cannot be written: No such file"):
        write(*opened(tmp_path / "in"), tmp_path / "no" / "out")
