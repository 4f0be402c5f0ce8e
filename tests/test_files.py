"""Text in with its line numbers, files out whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, InputFileError, OptionError, OutputFileError
from lmscore.files import (
    atomic_write,
    atomic_write_bytes,
    expanded_paths,
    make_directory,
    names_directory,
    open_input,
    open_output,
    read_files,
    read_lines,
    read_raw_lines,
    sha256_file,
)
from lmscore.locks import take_lock
from lmscore.names import Utf8Errors


def lines_of(path: Path, data: bytes, errors: Utf8Errors = "strict") -> list[str]:
    path.write_bytes(data)
    return list(read_lines(path, errors=errors))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\n\n\ntwo\n", ["one", "", "", "two"]),
        (b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"one\rtwo\n\r\r\n", ["one\rtwo", "\r"]),
        ("a\u2028b\u0085c\x0bd\x1ee\n".encode(), ["a\u2028b\u0085c\x0bd\x1ee"]),
        (b"a\x00b\n", ["a\x00b"]),
        (b"tab\tand  spaces  \n", ["tab\tand  spaces  "]),
    ],
)
def test_only_a_newline_ends_a_line(tmp_path: Path, data: bytes, expected: list[str]) -> None:
    assert lines_of(tmp_path / "text", data) == expected


@given(st.lists(st.text().filter(lambda text: "\n" not in text and not text.endswith("\r"))))
def test_lines_survive_a_file(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "text"
    data = "".join(f"{line}\n" for line in lines).encode()
    assert lines_of(path, b"\xef\xbb\xbf" + data) == lines


def test_invalid_utf8_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "text"
    with pytest.raises(
        InputError, match=r"text, line 2: invalid UTF-8 at byte 3;.*errors='replace'"
    ):
        lines_of(path, b"fine\nno\xff\nfine\n")
    assert lines_of(path, b"fine\nno\xff\n", "replace") == ["fine", "no\ufffd"]


@given(st.binary())
def test_raw_lines_are_the_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("raw") / "text"
    data = b"\n" + data.replace(b"\xef\xbb\xbf", b"")  # it ends lines, and begins none
    path.write_bytes(b"\xef\xbb\xbf" + data)
    lines = list(read_raw_lines(path, errors="replace"))
    assert b"".join(raw for _, raw in lines) == data
    assert [text for text, _ in lines] == list(read_lines(path, errors="replace"))


def test_other_ways_to_treat_errors_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'ignore'"):
        lines_of(tmp_path / "text", b"", "ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed_text_is_recognised_by_content(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    text = "".join(f"line {number}\n" for number in range(10_000))
    assert lines_of(tmp_path / "text", pack(text.encode())) == text.splitlines()


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_damaged_compressed_text(
    tmp_path: Path, pack: Callable[[bytes], bytes], damage: str
) -> None:
    data = bytearray(pack(os.urandom(5_000)))
    if damage == "truncated":
        data = data[:-20]
    else:
        data[len(data) // 2] ^= 0xFF
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=r"text: damaged compressed file"):
        list(read_lines(path, errors="replace"))


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, reason in [
        (tmp_path, "is a directory, expected a text file"),
        (tmp_path / "missing", "no such file"),
        (file / "below", "cannot be read: Not a directory"),
    ]:
        with pytest.raises(InputFileError, match=reason) as caught:
            list(read_lines(path))
        assert str(path) in str(caught.value)

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputFileError, match="file: cannot be read: Permission denied"):
        list(read_lines(file))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed_standard_input(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(b"one\ntwo"))))
    assert list(read_lines("-")) == ["one", "two"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(b"one\ntwo")[:-6])))
    with pytest.raises(InputFileError, match="standard input: damaged compressed file"):
        list(read_lines("-"))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"one\ntw\xff\n")))
    with pytest.raises(InputError, match="standard input, line 2"):
        list(read_lines("-"))
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputFileError, match="standard input: is closed"):
        list(read_lines("-"))


def test_the_readers_own_errors_pass_through(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputFileError, match="mine"), open_input(tmp_path / "file"):
        raise OutputFileError("mine")


def test_several_files_are_one_text(tmp_path: Path) -> None:
    lines_of(tmp_path / "a", b"one\ntwo")
    lines_of(tmp_path / "b", b"three\n")
    assert list(read_files([tmp_path / "a", tmp_path / "b"])) == ["one", "two", "three"]


def test_atomic_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old, and longer")
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old, and longer"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device"), OutputFileError),
        (ValueError("wrong"), ValueError),
        (InputFileError("unreadable"), InputFileError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, error: BaseException, expected: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(expected) as caught, atomic_write(path) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    if expected is OutputFileError:
        assert str(caught.value) == f"{path}: cannot be written: No space left on device"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fills_up_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(f"os.{call}", full)
    with pytest.raises(OutputFileError, match="No space left"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "missing" / "x",
        file / "x",
        tmp_path / "folder",
        tmp_path / ("x" * 256),
        tmp_path / ("x" * 300) / "x",
    ):
        with pytest.raises(OutputFileError, match="cannot be written"):
            atomic_write_bytes(path, b"data")
        with pytest.raises(OutputFileError, match="cannot be written"), open_output(path):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    with pytest.raises(OutputFileError, match="cannot be created"):
        make_directory(file / "folder")
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "字" * 85])
def test_names_may_be_as_long_as_the_system_has_them(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as file:
        file.write(b"data")
        (temporary,) = tmp_path.iterdir()
        assert len(os.fsencode(temporary.name)) <= 255
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("suffix", "open_packed"), [(".gz", gzip.open), (".xz", lzma.open)])
def test_output_is_compressed_by_its_name(
    tmp_path: Path, suffix: str, open_packed: Callable[[Path], io.BufferedReader]
) -> None:
    path = tmp_path / f"text{suffix}"
    with open_output(path) as file:
        file.write(b"one\n")
    with open_packed(path) as packed:
        assert packed.read() == b"one\n"
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), open_output(path):
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_devices_are_written_to_as_they_are() -> None:
    with open_output("/dev/null") as file:
        file.write(b"one\n")
    assert not Path("/dev/null").is_file()
    message = "/dev/full: cannot be written: No space left"
    with pytest.raises(OutputFileError, match=message), open_output("/dev/full") as file:
        file.write(b"one\n")
    with pytest.raises(InputError), open_output("/dev/null"):
        raise InputError("of the caller's")


def test_paths_that_stand_for_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b", "a", ".hidden"):
        (folder / name).touch()
    (tmp_path / "names").write_text(f"{folder / 'b'}\n{folder}\n")
    assert list(expanded_paths(["-", folder])) == ["-", folder / "a", folder / "b"]
    assert list(expanded_paths([f"@{tmp_path / 'names'}"])) == [str(folder / "b"), str(folder)]
    assert list(expanded_paths(folder)) == [folder / "a", folder / "b"]
    assert list(expanded_paths("lists.txt")) == ["lists.txt"]
    assert list(expanded_paths("x" * 300)) == ["x" * 300]
    (tmp_path / "names").write_text("a\n\nb\n")
    with pytest.raises(InputError, match="names, line 2: blank, expected a path"):
        list(expanded_paths(f"@{tmp_path / 'names'}"))


def test_names_of_directories(tmp_path: Path) -> None:
    assert names_directory(tmp_path)
    assert names_directory("not-there/")
    assert not names_directory(tmp_path / "not-there")
    assert not names_directory(tmp_path / ("x" * 300))


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    assert sha256_file(tmp_path / "file") == hashlib.sha256(b"data").hexdigest()
    with pytest.raises(InputFileError, match="missing: cannot be read"):
        sha256_file(tmp_path / "missing")


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    atomic_write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    stale, young, used, other = (
        tmp_path / name
        for name in (
            ".model.onnx.77-0123abcd.tmp",
            ".model.onnx.78-0123abcd.tmp",
            ".model.onnx.79-0123abcd.tmp",
            ".somebody-elses.tmp",
        )
    )
    for path in (stale, young, used, other):
        path.write_bytes(b"half")
        if path != young:
            os.utime(path, (1, 1))
    with used.open("rb") as file:
        assert take_lock(file.fileno())
        atomic_write_bytes(tmp_path / "any", b"")
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"any", young.name, used.name, other.name}
