"""References from a file, and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import InputError
from lmscore.runtime.rescoring.lists.nbest import NBestList
from lmscore.runtime.rescoring.lists.references import with_references


def joined(tmp_path: Path, text: str, *ids: str, by_line: bool = False) -> list[str | None]:
    path = tmp_path / "ref"
    path.write_text(text)
    lists = [NBestList(key, (), "old") for key in ids]
    return [nbest.reference for nbest in with_references(lists, path, by_line=by_line)]


@pytest.mark.parametrize(
    ("text", "by_line"),
    [
        ("b to be\na or not\nc\n", False),
        ("b\tto be\na  or not \nc\t\n", False),
        ('{"id": "b", "text": "to be"}\n{"text": "or not", "id": "a"}\nc', False),
    ],
)
def test_by_id(tmp_path: Path, text: str, by_line: bool) -> None:
    assert joined(tmp_path, text, "a", "b", "c") == ["or not", "to be", ""]


@pytest.mark.parametrize(
    "text",
    ["a b\n\n", '{"audio_filepath": "x.wav", "text": "a b"}\n{"text": "", "duration": 1.5}\n'],
)
def test_by_line(tmp_path: Path, text: str) -> None:
    assert joined(tmp_path, text, "1", "0", by_line=True) == ["", "a b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b x\n", "ref: no reference for the list 'a'"),
        (
            "a x\nb y\nc z\n",
            (
                "ref: no list for the reference 'b' (and 1 more); "
                "leave it out to measure the lists alone"
            ),
        ),
        ("a x\na y\n", "ref, line 2: a second reference for the list 'a'"),
        ("a x\n\n", "ref, line 2: no id; expected the list's id and the reference"),
        ('{"text": "a"}\n', "ref, line 1: no id; expected the list's id and the reference"),
        ('{"id": "a"}\n', "ref, line 1: no field 'text' with the reference"),
        (
            '{"id": "a"\n',
            "ref, line 1: not JSON: Expecting ',' delimiter: line 1 column 11 (char 10)",
        ),
    ],
)
def test_bad_references(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        joined(tmp_path, text, "a")
    assert str(caught.value).endswith(message)
