"""References from a file, and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmscore.errors import InputError
from lmscore.names import MissingList
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


def test_an_id_may_have_spaces_where_every_line_has_a_tab(tmp_path: Path) -> None:
    text = "my file 1\ta b\nmy file 2\t\n"
    assert joined(tmp_path, text, "my file 2", "my file 1") == ["", "a b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the film (1990)\nthe film (1991)\n", ["the film (1990)", "the film (1991)"]),
        ("yes (laughs)\nno (laughs)\n", ["yes (laughs)", "no (laughs)"]),
        ("a b (spk-1)\nc (spk-2)\n", ["a b", "c"]),
        ("{0} files\na day\n", ["{0} files", "a day"]),
        ('{"quoted"}\n{1}\n', ['{"quoted"}', "{1}"]),
    ],
)
def test_texts_by_line_that_look_like_another_form(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert joined(tmp_path, text, "0", "1", by_line=True) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b x\n", "ref: no reference for the list 'a'"),
        (
            "a x\nb y\nc z\n",
            (
                "ref: no list for the reference 'b' (and 1 more); "
                "missing_list='skip' leaves it out, missing_list='empty' counts it as a list that "
                "found nothing"
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
        (
            "b 1 s 0 1 so\na 1 s 0 1 <o> i { am / 'm / @ } here\n",
            (
                'ref, line 2: alternatives "{ am / \'m / @ }", while texts are compared with one '
                "reference; write one of them (@ stands for no word)"
            ),
        ),
        (
            "{ { a / b } c / d } (a)\n",
            (
                "ref, line 1: alternatives '{ a / b }', while texts are compared with one "
                "reference; write one of them (@ stands for no word)"
            ),
        ),
    ],
)
def test_bad_references(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        joined(tmp_path, text, "a")
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    "text",
    [
        "b to be\na or not\n",
        "to be (b)\nor not (a)\n",
        ";; a comment\nb 1 s 0.00 1.50 <o,f0,male> to be\na 1 t 1.0 2.0 or not\n",
        "b 1 s 0 1 to be\nc 1 s 0 1 ignore_time_segment_in_scoring\na 1 t 1.0 2.0 or not\n",
        '{"key": "b", "wav": "x", "txt": "to be"}\n{"audio_filepath": "y/a.wav", "text": "or not"}',
    ],
)
def test_kinds_of_files(tmp_path: Path, text: str) -> None:
    assert joined(tmp_path, text, "a", "b") == ["or not", "to be"]


def test_braces_in_a_text(tmp_path: Path) -> None:
    """Only NIST's files have alternations, which blanks set apart."""
    assert joined(tmp_path, "a { x / y }\n", "a") == ["{ x / y }"]
    assert joined(tmp_path, "{x/y} { z } (a)\n", "a") == ["{x/y} { z }"]


def test_segments_of_one_file(tmp_path: Path) -> None:
    text = "talk 1 ann 0 1 to be\ntalk 1 bob 1 2 <F0,M> or not\n"
    assert joined(tmp_path, text, "talk-bob", "talk-ann") == ["or not", "to be"]


EXTRA = "a good day\nb not decoded\nc i see\nd\n"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("skip", [("a", "good day"), ("c", "i see")]),
        ("empty", [("a", "good day"), ("b", "not decoded"), ("c", "i see")]),
    ],
)
def test_references_without_a_list(
    tmp_path: Path, missing: MissingList, expected: list[tuple[str, str]]
) -> None:
    path = tmp_path / "ref"
    path.write_text(EXTRA)
    lists = [NBestList(key, ()) for key in "ac"]
    found = with_references(lists, path, by_line=False, missing=missing)
    assert [(nbest.id, nbest.reference) for nbest in found] == expected


def test_an_empty_reference_needs_no_list(tmp_path: Path) -> None:
    found = joined(tmp_path, "good day\n\ni see\n", "0", "2", by_line=True)
    assert found == ["good day", "i see"]


@pytest.mark.parametrize(
    ("ids", "first_id", "message"),
    [
        (
            ["1", "2"],
            0,
            "line 1 belongs to the list '0', but the first list is '1'; first_id=1 if",
        ),
        (
            ["0", "1", "7"],
            0,
            "3 lines are the references of the lists 0 to 2, but there is a list '7'",
        ),
        (["1", "2", "4"], 1, "3 lines are the references of the lists 1 to 3"),
    ],
)
def test_ids_that_count_lines(tmp_path: Path, ids: list[str], first_id: int, message: str) -> None:
    path = tmp_path / "ref"
    path.write_text("x\ny\nz\n")
    lists = [NBestList(key, ()) for key in ids]
    with pytest.raises(InputError) as caught:
        with_references(lists, path, by_line=True, first_id=first_id)
    assert message in str(caught.value)
    found = with_references(lists[:2], path, by_line=True, first_id=int(ids[0]), missing="skip")
    assert [nbest.reference for nbest in found] == ["x", "y"]
