"""Archives at URLs: what is taken out of them, and what is refused."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

import lmscore
from lmscore.errors import ModelError, ModelNotFoundError, OutputFileError
from lmscore.hub import UrlModel, archives, fetch, kept, located
from tests.hub.conftest import files_of
from tests.hub.server import FakeHub


def tar(files: dict[str, bytes], *, mode: str = "w:gz", link: str = "") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return written.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return written.getvalue()


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
def test_an_archive_is_fetched_once(
    kind: str, hub: FakeHub, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(model_path)
    mode = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}.get(kind, "")
    more = below("my-lm", files) | {"my-lm/notes.txt": b"", "my-lm/checkpoints/1.pt": b""}
    data = zipped(more) if kind == "zip" else tar(more, mode=mode)
    hub.files[f"/lm.{kind}"] = data
    name = f"{hub.url}/lm.{kind}#sha256={hashlib.sha256(data).hexdigest()}"
    assert files_of(located(name)) == files
    hub.files.clear()
    assert lmscore.load(name).score("the cat").num_tokens == 3
    assert [stored.name for stored in kept()] == [f"{hub.url}/lm.{kind}"]


def test_files_at_the_top_and_a_newer_state(
    hub: FakeHub, model_path: Path, bpe_model_path: Path
) -> None:
    hub.files["/lm.tar"] = tar(files_of(model_path), mode="w")
    name = f"{hub.url}/lm.tar"
    assert files_of(located(name)) == files_of(model_path)
    hub.files["/lm.tar"] = tar(files_of(bpe_model_path), mode="w")
    assert files_of(located(name)) == files_of(model_path)
    said: list[tuple[int, int | None]] = []
    fetch(UrlModel(name), lambda done, total: said.append((done, total)))
    assert said[-1] == (len(hub.files["/lm.tar"]),) * 2
    assert files_of(located(name)) == files_of(bpe_model_path)


SMALL = {"config.json": b"{}"}


def damaged(method: int) -> bytes:
    """A zip whose only member does not unpack."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        archive.writestr("config.json", bytes(range(256)) * 9)
    data = bytearray(written.getvalue())
    data[60:90] = b"\xa5" * 30
    return bytes(data)


def encrypted() -> bytes:
    """A zip that says of its only member that it has a password."""
    data = bytearray(zipped(SMALL))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + place] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no tar or zip archive, or a damaged one"),
        (b"no archive at all" * 100, "no tar or zip archive, or a damaged one"),
        (tar(SMALL)[:60], "no tar or zip archive, or a damaged one: damaged compressed file"),
        (tar({"../config.json": b""}), r"reaches out of its folder, to '../config.json'"),
        (tar({"/etc/config.json": b""}), r"reaches out of its folder, to '/etc/config.json'"),
        (zipped({"a/../../config.json": b""}), "reaches out of its folder"),
        (zipped({"a\\..\\config.json": b""}), "reaches out of its folder"),
        (damaged(zipfile.ZIP_DEFLATED), "a damaged one: "),
        (damaged(zipfile.ZIP_BZIP2), "a damaged one: "),
        (damaged(zipfile.ZIP_LZMA), "a damaged one: "),
        (encrypted(), "is encrypted, password required"),
        (tar({}), "holds 0 model directories, expected one"),
        (tar({}, link="config.json"), "holds 0 model directories, expected one"),
        (tar({"a/b/config.json": b"{}"}), "holds 0 model directories, expected one"),
        (tar(below("a", SMALL) | below("b", SMALL)), "holds 2 model directories, expected one"),
        (tar(SMALL), "config.json: format_version is None"),
    ],
    ids=range(
        16
    ),  # the packed bytes, which are not those of a second ago, would be names otherwise
)
def test_what_is_no_model(data: bytes, message: str, hub: FakeHub) -> None:
    hub.files["/lm"] = data
    with pytest.raises(ModelError, match=message) as caught:
        located(f"{hub.url}/lm")
    assert str(caught.value).startswith(f"{hub.url}/lm: ")
    assert list(kept()) == []


def test_a_file_twice(hub: FakeHub) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("config.json"))
    hub.files["/lm"] = written.getvalue()
    with pytest.raises(ModelError, match="the archive has a file twice"):
        located(f"{hub.url}/lm")


def test_a_file_that_config_json_does_not_record(hub: FakeHub, model_path: Path) -> None:
    files = files_of(model_path)
    hub.files["/lm"] = tar({**files, "tokenizer.json": b"{}"})
    with pytest.raises(ModelError, match=r"lm: tokenizer.json: does not match tokenizer_sha256"):
        located(f"{hub.url}/lm")
    hub.files["/lm"] = tar({"config.json": files["config.json"]})
    with pytest.raises(ModelNotFoundError, match=r"lm: the archive: tokenizer.json is missing"):
        located(f"{hub.url}/lm")


def test_bounds(hub: FakeHub, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files["/lm"] = tar({"config.json": bytes(5000)})
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="unpacks to more than 1000 bytes"):
        located(f"{hub.url}/lm")
    hub.files["/lm"] = bytes(1001)
    with pytest.raises(ModelError, match="larger than 1000 bytes"):
        located(f"{hub.url}/lm")


def test_what_cannot_be_fetched(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelNotFoundError, match="the server says 404 Not Found"):
        located(f"{hub.url}/none")
    with pytest.raises(ModelNotFoundError, match=r"cannot be fetched: .*refused"):
        located("http://127.0.0.1:9/lm")
    for address, reason in {
        f"{hub.url}/my lm": "control characters",
        "http://127.0.0.1:port/lm": "nonnumeric port: 'port'",
        "http://[::1/lm": "Invalid IPv6 URL",
    }.items():
        with pytest.raises(ModelNotFoundError, match=f"cannot be fetched: .*{reason}"):
            located(address)
    hub.files["/lm"] = b"x"
    with pytest.raises(ModelError, match=r"its sha256 is 2d711642b7.*, not 0000"):
        located(f"{hub.url}/lm#sha256={'0' * 64}")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LMSCORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputFileError, match="cannot be written: Not a directory"):
        located(f"{hub.url}/lm")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "SSH-2.0-OpenSSH"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc",
            r"IncompleteRead\(\d bytes read\)",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "ended after 3 of 9 bytes"),
    ],
)
def test_answers_that_are_none(
    answer: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMSCORE_CACHE", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        answering = threading.Thread(target=_answer_once, args=(listening, answer))
        answering.start()
        with pytest.raises(ModelNotFoundError, match=rf"{port}/lm: .*{reason}"):
            located(f"http://127.0.0.1:{port}/lm")
        answering.join()


def _answer_once(listening: socket.socket, answer: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        while not connection.recv(4096).endswith(b"\r\n\r\n"):
            pass
        connection.sendall(answer)


def test_two_processes_that_fetch_the_same(
    hub: FakeHub, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one finds the model in place when it is about to put its own there."""
    hub.files["/lm"] = tar(files_of(model_path))
    model = UrlModel(f"{hub.url}/lm")
    kept_by_other = fetch(model)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # it came after this
    assert fetch(model) == kept_by_other
    assert files_of(kept_by_other) == files_of(model_path)
