"""Archives of model directories: fetched by HTTP, unpacked with care, kept by their URL."""

from __future__ import annotations

import hashlib
import http.client
import json
import lzma
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO

from lmscore.errors import LmscoreError, ModelError, ModelNotFoundError, OutputFileError
from lmscore.files import open_input
from lmscore.hub.cache import MODEL_FILES, cache_folder
from lmscore.hub.certificate import check_files
from lmscore.hub.references import UrlModel

MAX_BYTES = 8 << 30
"""The most bytes of an archive, and of its files; graphs hold 2 GB at most."""

_SOURCE = "source.json"  # beside the model: where it came from
_TIMEOUT = 30.0  # seconds without a byte
_PIECE = 1 << 20

# What a damaged archive raises; one with a password is a RuntimeError.
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    ValueError,  # a name with a zero byte
)

Progress = Callable[[int, int | None], None]  # bytes so far, and all bytes if they are known


def kept_archive(model: UrlModel) -> Path | None:
    """The model directory of an archive that was fetched earlier."""
    folder = _folder(model)
    return folder / "model" if (folder / _SOURCE).is_file() else None


def kept_archives() -> Iterator[tuple[str, Path]]:
    """URL and model directory of every archive that was fetched."""
    for source in sorted(cache_folder().glob(f"archives/*/{_SOURCE}")):
        try:
            url = json.loads(source.read_text(encoding="utf-8"))["url"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written, or not ours
        yield str(url), source.parent / "model"


def fetch_archive(model: UrlModel, progress: Progress = lambda *_: None) -> Path:
    """Fetch an archive, and put its model directory in the place of an earlier one.

    Raises:
        ModelNotFoundError: there is no such file, or the server cannot be reached.
        ModelError: it is another file than the hash says, no archive, one that reaches out of its
            folder, or no model directory whose files fit its config.json.
        OutputFileError: it cannot be kept.
    """
    folder = _folder(model)
    with _staging(folder) as staging:
        packed = staging / "archive"
        _download(model, packed, progress)
        unpacked = staging / "model"
        _unpack(packed, unpacked, model.url)
        found = _model_root(unpacked, model.url)
        try:
            check_files(found)
        except LmscoreError as error:
            where = str(error).replace(f"{found}{os.sep}", "").replace(str(found), "the archive")
            raise type(error)(f"{model.url}: {where}") from error
        kept = staging / "kept"
        kept.mkdir()
        found.rename(kept / "model")
        (kept / _SOURCE).write_text(json.dumps({"url": model.url}), encoding="utf-8")
        _put_in_place(kept, folder)
    return folder / "model"


def _put_in_place(kept: Path, folder: Path) -> None:
    """Give a fetched model its final name, in the place of an earlier one."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        kept.rename(folder)
    except OSError:
        # Another process, which fetched the same at the same time, was a moment faster.
        if not (folder / _SOURCE).is_file():
            raise


def _folder(model: UrlModel) -> Path:
    name = f"{model.url}#{model.sha256}" if model.sha256 else model.url
    return cache_folder() / "archives" / hashlib.sha256(name.encode()).hexdigest()[:32]


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as staging:
            yield Path(staging)
    except LmscoreError:
        raise
    except OSError as error:
        raise OutputFileError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _download(model: UrlModel, target: Path, progress: Progress) -> None:
    digest, done = hashlib.sha256(), 0
    try:
        request = urllib.request.Request(model.url, headers={"User-Agent": "lmscore"})  # noqa: S310
        with (
            # parse_reference allows http and https alone
            urllib.request.urlopen(request, timeout=_TIMEOUT) as answer,  # noqa: S310
            open(target, "wb") as file,
        ):
            size = answer.headers.get("Content-Length")
            total = int(size) if size and size.isdigit() else None
            while piece := answer.read(_PIECE):
                done += len(piece)
                if done > MAX_BYTES:
                    raise ModelError(f"{model.url}: larger than {MAX_BYTES} bytes")
                digest.update(piece)
                file.write(piece)
                progress(done, total)
    except LmscoreError:  # may be a ValueError, too
        raise
    except urllib.error.HTTPError as error:
        raise ModelNotFoundError(
            f"{model.url}: the server says {error.code} {error.reason}"
        ) from error
    except (
        urllib.error.URLError,
        http.client.HTTPException,  # an address that is none, or an answer that is not HTTP's
        TimeoutError,
        ValueError,
        ConnectionError,
    ) as error:
        reason = str(getattr(error, "reason", None) or error).strip() or type(error).__name__
        raise ModelNotFoundError(f"{model.url}: cannot be fetched: {reason}") from error
    if total is not None and done < total:
        raise ModelNotFoundError(f"{model.url}: the connection ended after {done} of {total} bytes")
    if model.sha256 not in (None, digest.hexdigest()):
        raise ModelError(f"{model.url}: its sha256 is {digest.hexdigest()}, not {model.sha256}")


def _unpack(packed: Path, target: Path, url: str) -> None:
    """Write the files of a model that an archive holds, and leave out all others."""
    left = MAX_BYTES
    try:
        for name, content in _members(packed):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\\" in name:
                raise ModelError(f"{url}: the archive reaches out of its folder, to {name!r}")
            if not _is_wanted(path):
                continue
            place = target.joinpath(*path.parts)
            place.parent.mkdir(parents=True, exist_ok=True)
            with open(place, "xb") as file:
                while piece := content.read(_PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise ModelError(f"{url}: unpacks to more than {MAX_BYTES} bytes")
                    file.write(piece)
    except LmscoreError:  # may be a ValueError, too
        raise
    except FileExistsError as error:
        raise ModelError(f"{url}: the archive has a file twice") from error
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # bzip2's have no number
            raise  # it cannot be written
        raise ModelError(f"{url}: no tar or zip archive, or a damaged one: {error}") from error


def _members(packed: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of every regular file; links and devices are none."""
    with open(packed, "rb") as head:  # not by `is_zipfile`: a tar may end with an .npz
        is_zip = head.read(2) == b"PK"
    if is_zip:
        with zipfile.ZipFile(packed) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as content:
                        yield info.filename, content
        return
    try:
        with open_input(packed) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                extracted = archive.extractfile(member) if member.isfile() else None
                if extracted is not None:
                    yield member.name, extracted
    except LmscoreError as error:  # what packs it is damaged, or needs an extra
        if not isinstance(error, OSError):
            raise
        raise tarfile.TarError(str(error).partition(": ")[2]) from error


def _is_wanted(path: PurePosixPath) -> bool:
    """Whether it is a model's file, in the archive's folder or in one folder of it."""
    below = (str(path), str(PurePosixPath(*path.parts[1:])))
    return any(fnmatchcase(name, pattern) for name in below for pattern in MODEL_FILES)


def _model_root(folder: Path, url: str) -> Path:
    found = [path.parent for path in (*folder.glob("config.json"), *folder.glob("*/config.json"))]
    if len(found) != 1:
        raise ModelError(f"{url}: the archive holds {len(found)} model directories, expected one")
    return found[0]
