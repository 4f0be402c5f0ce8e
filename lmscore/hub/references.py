"""Names of models elsewhere: `org/name`, `org/name@revision`, a URL of an archive."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lmscore.errors import OptionError

# Names as the Hub allows them; its client refuses every other one.
_NAME = r"\w(?:[\w.-]{0,94}\w)?"
_HUB = re.compile(rf"(?a:({_NAME}/{_NAME}))(?:@(\w[\w./-]*))?")
_FORBIDDEN = ("--", "..")  # anywhere in a name
_URL = re.compile(r"(https?):/{1,2}(?=[^/])")  # a path of Python's has lost one of the two
_FILES = (".arpa", ".gz", ".xz", ".json", ".onnx", ".git")  # they end no name of a repository
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class HubModel:
    """A repository of the Hugging Face Hub, or of a server with its protocol ($HF_ENDPOINT)."""

    repository: str  # org/name
    revision: str | None = None  # a branch, a tag or a commit; None: the main branch

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


@dataclass(frozen=True)
class UrlModel:
    """An archive (tar, packed or not, or zip) of a model directory."""

    url: str
    sha256: str | None = None  # of the archive, from the URL's end: #sha256=...

    def __str__(self) -> str:
        return self.url


Reference = HubModel | UrlModel


def parse_reference(name: str | os.PathLike[str]) -> Reference | None:
    """What a name means that is not the path of anything; None if it can only be a path.

    `models/mine` is a path if there is a folder `models` here.

    Raises:
        OptionError: a URL whose part behind # is no hash.
    """
    text = os.fspath(name)
    if _URL.match(text):
        url, _, fragment = _URL.sub(r"\1://", text, count=1).partition("#")
        digest = _SHA256.fullmatch(fragment)
        if fragment and digest is None:
            raise OptionError(f"{url}: behind # only sha256=HEX can stand, not {fragment!r}")
        return UrlModel(url, digest[1].lower() if digest else None)
    found = _HUB.fullmatch(text)
    if found is None or text.endswith(_FILES) or any(pair in found[1] for pair in _FORBIDDEN):
        return None
    if Path(found[1]).parent.exists():
        return None
    return HubModel(found[1], found[2])
