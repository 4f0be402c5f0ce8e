"""Which names are paths, which lead elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import OptionError
from lmscore.hub import HubModel, UrlModel, parse_reference

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("org/name", HubModel("org/name")),
        ("org/name@v1.0", HubModel("org/name", "v1.0")),
        ("a.b-c/d_e.f@refs/pr/1", HubModel("a.b-c/d_e.f", "refs/pr/1")),
        (Path("org/name"), HubModel("org/name")),
        ("https://x.org/a.tar.gz", UrlModel("https://x.org/a.tar.gz")),
        (Path("https://x.org/a.tar.gz"), UrlModel("https://x.org/a.tar.gz")),
        (f"http://x/a#sha256={DIGEST.upper()}", UrlModel("http://x/a", DIGEST)),
        ("name", None),
        ("./org/name", None),
        ("../name", None),
        ("/org/name", None),
        ("a/b/c", None),
        ("org/model.arpa", None),
        # What the Hub's client refuses as the name of a repository is a path.
        ("modelle/männlich", None),
        ("x/a--b", None),
        ("x/a..b", None),
        ("x/a.", None),
        ("x/a-@main", None),
        ("x/a.git", None),
        (f"x/{'a' * 97}", None),
        (f"x/{'a' * 96}@grüße", HubModel(f"x/{'a' * 96}", "grüße")),
        ("x/a", HubModel("x/a")),
        ("ftp://x.org/a", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
def test_names(name: str | Path, expected: HubModel | UrlModel | None) -> None:
    assert parse_reference(name) == expected


def test_a_folder_that_is_there_makes_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_reference("models/mine") == HubModel("models/mine")
    (tmp_path / "models").mkdir()
    assert parse_reference("models/mine") is None


def test_a_hash_that_is_none() -> None:
    with pytest.raises(
        OptionError, match=r"http://x/a: behind # only sha256=HEX can stand, not 's"
    ):
        parse_reference("http://x/a#sha256=12")
