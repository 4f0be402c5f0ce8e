"""JSON of other people's recognisers and translators, through a mapping of its fields."""

from __future__ import annotations

import bz2
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats import FieldMapping, read
from lmscore.runtime.rescoring.formats.field_paths import Each, FieldPath
from lmscore.runtime.rescoring.formats.json_text import JsonText, open_node
from lmscore.runtime.rescoring.formats.mapped_json import mapped_format
from tests.runtime.rescoring.formats.conftest import Change, Read, Rewrite, add, contents, order

# Each as its tool writes it, with the mapping that docs/formats.md names for it.
VOSK = (
    '{"alternatives": [{"confidence": 252.3, "text": "he past the door"},'
    ' {"confidence": 251.9, "text": "he passed the door"}]}\n'
)
VOSK_MAP = "list=alternatives text=text score=confidence id=@file"
AZURE = (
    '{"RecognitionStatus": "Success", "NBest": [{"Confidence": 0.91, "Lexical": "he past"}, '
    '{"Confidence": 0.880, "Lexical": "he passed", "Display": "He passed."}]}'
)
AZURE_MAP = "list=NBest text=Lexical score=Confidence id=@file"
GOOGLE = json.dumps(
    {
        "results": [
            {"alternatives": [{"transcript": "a", "confidence": 0.5}, {"transcript": "b"}]},
            {"alternatives": [{"transcript": "c", "confidence": 0.25}], "languageCode": "en"},
        ]
    },
    indent=2,
)
GOOGLE_MAP = "list=results[].alternatives text=transcript score=confidence"
AWS = json.dumps(
    {
        "jobName": "j",
        "results": {
            "segments": [
                {"start_time": "0.0", "alternatives": [{"transcript": "a"}, {"transcript": "b"}]},
                {"start_time": "2.5", "alternatives": [{"transcript": "c", "items": [[]]}]},
            ]
        },
    }
)
AWS_MAP = "list=results.segments[].alternatives text=transcript id=start_time"
DEEPSPEECH = json.dumps(
    {"transcripts": [{"confidence": -3.5, "words": [{"word": "a"}, {"word": "b", "start": 1}]}]}
)
DEEPSPEECH_MAP = "list=transcripts text=words[].word score=confidence"
SOCKEYE = (
    '{"sentence_id": 7, "translations": ["a b", "a c"], "scores": [0.5, 0.75]}\n'
    '{"sentence_id": 8, "translations": ["d"], "scores": [1.0]}\n'
)
SOCKEYE_MAP = "list=translations score=scores id=sentence_id"
WAV2VEC2 = json.dumps(
    {"text": [["a", "b"], ["c"]], "logit_score": [[-1, -2], [-3]], "lm_score": [[-4, -5], [-6]]}
)
WAV2VEC2_MAP = "list=text[] score=logit_score[] score=lm_score[]"
PYCTCDECODE = json.dumps([["a b", None, [["a", [0, 1]]], -1.5, -2.5], ["a", None, [], -3, -4]])
PYCTCDECODE_MAP = "list=. text=[0] score=[3] score=[4]"
WHISPER = '[{"id": 3, "said": "x", "hypotheses": ["a", "b"]}, {"id": 4, "hypotheses": []}]'
WHISPER_MAP = "list=[].hypotheses id=id ref=said"

EXPECTED: list[tuple[str, str, list[tuple[str, Any]]]] = [
    (
        VOSK,
        VOSK_MAP,
        [
            (
                "list",
                [
                    ("he past the door", {"confidence": 252.3}),
                    ("he passed the door", {"confidence": 251.9}),
                ],
            )
        ],
    ),
    (
        AZURE,
        AZURE_MAP,
        [("list", [("he past", {"Confidence": 0.91}), ("he passed", {"Confidence": 0.88})])],
    ),
    (GOOGLE, GOOGLE_MAP, [("0", [("a", {}), ("b", {})]), ("1", [("c", {})])]),
    (AWS, AWS_MAP, [("0.0", [("a", {}), ("b", {})]), ("2.5", [("c", {})])]),
    (DEEPSPEECH, DEEPSPEECH_MAP, [("0", [("a b", {"confidence": -3.5})])]),
    (
        SOCKEYE,
        SOCKEYE_MAP,
        [
            ("7", [("a b", {"scores": 0.5}), ("a c", {"scores": 0.75})]),
            ("8", [("d", {"scores": 1})]),
        ],
    ),
    (
        WAV2VEC2,
        WAV2VEC2_MAP,
        [
            (
                "0",
                [
                    ("a", {"logit_score": -1, "lm_score": -4}),
                    ("b", {"logit_score": -2, "lm_score": -5}),
                ],
            ),
            ("1", [("c", {"logit_score": -3, "lm_score": -6})]),
        ],
    ),
    (
        PYCTCDECODE,
        PYCTCDECODE_MAP,
        [("0", [("a b", {"score": -1.5, "score2": -2.5}), ("a", {"score": -3, "score2": -4})])],
    ),
    (WHISPER, WHISPER_MAP, [("3", [("a", {}), ("b", {})]), ("4", [])]),
]
SAMPLES = [(text, mapping) for text, mapping, _ in EXPECTED]


@pytest.mark.parametrize(("text", "mapping", "expected"), EXPECTED)
def test_lists(read_text: Read, text: str, mapping: str, expected: Any) -> None:
    found = read_text(text, mapping=mapping)
    assert [(nbest.id, contents(nbest)) for nbest in found] == expected


@pytest.mark.parametrize(("text", "mapping"), SAMPLES)
def test_unchanged_lists_keep_every_byte(rewrite: Rewrite, text: str, mapping: str) -> None:
    for whole in (text, f"\ufeff\n {text}\n\n"):
        assert rewrite(whole, mapping=mapping) == whole


def every(change: Change) -> Change:
    """A change of lists that have two hypotheses."""
    return lambda nbest: change(nbest) if len(nbest.hypotheses) == 2 else nbest


@pytest.mark.parametrize(("text", "mapping"), SAMPLES)
def test_another_order_and_back(read_text: Read, rewrite: Rewrite, text: str, mapping: str) -> None:
    there = rewrite(text, every(order(1, 0)), mapping=mapping)
    pairs = zip(read_text(text, mapping=mapping), read_text(there, mapping=mapping), strict=True)
    for before, after in pairs:
        expected = contents(before)[::-1] if len(before.hypotheses) == 2 else contents(before)
        assert contents(after) == expected
    assert rewrite(there, every(order(1, 0)), mapping=mapping) == text


def test_new_scores_of_objects(rewrite: Rewrite) -> None:
    text = rewrite(AZURE, add("rnn", -1.5, -2.5), mapping=AZURE_MAP)
    assert text == AZURE.replace("0.91,", '0.91, "rnn": -1.5,').replace(
        "0.880,", '0.880, "rnn": -2.5,'
    )


def test_new_scores_of_texts_are_an_array_beside_them(rewrite: Rewrite, read_text: Read) -> None:
    text = rewrite(SOCKEYE, add("rnn", -1, -2), mapping=SOCKEYE_MAP)
    assert text == SOCKEYE.replace('"a c"],', '"a c"], "rnn": [-1.0, -2.0],').replace(
        '["d"],', '["d"], "rnn": [-1.0],'
    )
    again = read_text(text, mapping=f"{SOCKEYE_MAP} score=rnn")
    assert [h.features["rnn"] for h in again[0].hypotheses] == [-1, -2]
    text = rewrite(WAV2VEC2, add("rnn", -1, -2), mapping=WAV2VEC2_MAP)
    assert json.loads(text) == {**json.loads(WAV2VEC2), "rnn": [[-1, -2], [-1]]}


def test_new_scores_of_arrays_are_their_last_elements(rewrite: Rewrite, read_text: Read) -> None:
    text = rewrite(PYCTCDECODE, add("rnn", -1, -2), mapping=PYCTCDECODE_MAP)
    assert text == PYCTCDECODE.replace("-2.5]", "-2.5, -1.0]").replace("-4]", "-4, -2.0]")
    (nbest,) = read_text(text, mapping=f"{PYCTCDECODE_MAP} score=[5]")
    assert [h.features["score3"] for h in nbest.hypotheses] == [-1, -2]


def test_texts_that_are_in_no_object(rewrite: Rewrite) -> None:
    with pytest.raises(OptionError, match="the texts are in no object that new scores could"):
        rewrite('["a", "b"]', add("rnn", -1, -2), mapping="list=.")
    with pytest.raises(OptionError, match="the list has 'scores' for something else"):
        rewrite(SOCKEYE, add("scores", -1, -2), mapping="list=translations")


def test_a_score_that_some_lack_is_left_out(read_text: Read, tmp_path: Any) -> None:
    """In other files, too; what all have stays."""
    one = '{"n": [{"t": "a", "x": 1, "y": -1}]}'
    other = '{"n": [{"t": "a", "x": 2, "y": null}, {"t": "b", "x": "3.5"}]}'
    for name, text in {"1": one, "2": other}.items():
        (tmp_path / name).write_text(text)
    mapping = "list=n text=t score=x score=y id=@file"
    _, lists = read([tmp_path / "1", tmp_path / "2"], mapping=mapping)
    assert [(nbest.id, contents(nbest)) for nbest in lists] == [
        ("1", [("a", {"x": 1})]),
        ("2", [("a", {"x": 2}), ("b", {"x": 3.5})]),
    ]


def test_what_was_not_recognised_is_an_empty_list(tmp_path: Any) -> None:
    for name, text in {"a.json": '{"RecognitionStatus": "NoMatch"}', "b.json": AZURE}.items():
        (tmp_path / name).write_text(text)
    _, lists = read(tmp_path, mapping=AZURE_MAP)
    assert [(nbest.id, len(nbest.hypotheses)) for nbest in lists] == [("a", 0), ("b", 2)]


def test_an_array_without_elements_is_an_empty_list(read_text: Read) -> None:
    """As services answer where they recognise nothing."""
    some = '{"results": [{"alternatives": [{"transcript": "a", "confidence": 1}]}]}\n'
    none = '{"results": []}\n{"results": null}\n{"results": [{"alternatives": null}]}\n'
    lists = read_text(some + none + some, mapping=GOOGLE_MAP)
    assert [(nbest.id, len(nbest.hypotheses)) for nbest in lists] == [
        ("0", 1),
        ("1", 0),
        ("2", 0),
        ("3", 0),
        ("4", 1),
    ]


def test_no_list_is_missing_where_its_id_is_missing_too(read_text: Read) -> None:
    text = '{"u": [{"i": "x", "n": ["a"]}]}\n{"u": []}\n'
    (nbest,) = read_text(text, mapping="list=u[].n id=i")
    assert nbest.id == "x"


def test_names_of_files_with_dots(tmp_path: Any) -> None:
    for name in ("rec.001.json", "rec.002.json.bz2"):
        text = AZURE.encode()
        (tmp_path / name).write_bytes(bz2.compress(text) if name.endswith("2") else text)
    _, lists = read(tmp_path, mapping=AZURE_MAP)
    assert [nbest.id for nbest in lists] == ["rec.001", "rec.002"]


def test_references(read_text: Read) -> None:
    first, second = read_text(WHISPER, mapping=WHISPER_MAP)
    assert (first.reference, second.reference) == ("x", None)


def test_decoders_own_score() -> None:
    assert mapped_format(FieldMapping.parsed(WAV2VEC2_MAP)).score == "logit_score"
    assert mapped_format(FieldMapping.parsed(WAV2VEC2_MAP)).counts_lists
    assert not mapped_format(FieldMapping.parsed(AWS_MAP)).counts_lists


@pytest.mark.parametrize(
    ("text", "mapping", "message"),
    [
        ("[1, 2", "list=.", "line 1: not JSON"),
        ('{"n": 1}', "list=n", "line 1, n: expected an array, not '1'"),
        ('{"n": [1]}', "list=n", r"line 1, \.: expected a string, not '1'"),
        ('{"n": [{"a": "b"}]}', "list=n text=t", "line 1, list '0': a hypothesis without text=t"),
        ('{"n": ["a"], "s": [1, 2]}', "list=n score=s", "line 1, s: 2 scores of 1 hypotheses"),
        ('{"n": [{"t": "a", "s": "x"}]}', "list=n text=t score=s", "line 1, s: 'x' is no number"),
        (
            '{"n": [{"t": "a", "s": true}]}',
            "list=n text=t score=s",
            "expected a number, not 'true'",
        ),
        ('{"m": ["a"]}', "list=n", "list=n leads to no hypotheses, there or in any other file"),
        ('{"n": ["a"]}', "list=n id=u", "line 1: the list number 1 has no id=u"),
        ('null\n["a"]', "list=. id=u", "line 1: the list number 1 has no id=u"),
        ('[{"i": 1, "n": ["a"]}, {"i": 1, "n": []}]', "list=[].n id=i", "a second list '1'"),
    ],
)
def test_bad_lists(read_text: Read, text: str, mapping: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_text(text, mapping=mapping)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("text=a", r"no list=PATH in the mapping 'text=a'"),
        ("list=a list=b", "'list' is there twice in the mapping"),
        ("list=a best=b", "'best=b' in a mapping: expected PART=PATH, a part of list, text, score"),
        ("list", "'list' in a mapping"),
        ("list=", "an empty path of fields"),
        ("list=a]", r"'a\]' is no path of fields"),
        ("list=a[x]", r"is no path of fields"),
        (f"list=[{'9' * 5000}]", "is no path of fields"),
        ("list=.a", "is no path of fields"),
        ("list=a..b", "is no path of fields"),
    ],
)
def test_bad_mappings(mapping: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        FieldMapping.parsed(mapping)


def test_a_mapping_names_the_format(read_text: Read) -> None:
    with pytest.raises(OptionError, match="a mapping is for JSON of another kind, not for jsonl"):
        read_text(VOSK, "jsonl", mapping=VOSK_MAP)
    with pytest.raises(InputError, match=r"or say where its parts are \(`mapping`\)"):
        read_text(VOSK)


def test_paths() -> None:
    assert FieldPath.parsed(r"a\.b[].c[2][]").steps == ("a.b", Each.EACH, "c", 2, Each.EACH)
    assert FieldPath.parsed("[].a").steps == (Each.EACH, "a")
    assert FieldPath.parsed(".").steps == ()


_texts = st.lists(st.text("ab é", max_size=3).map(str.strip), min_size=1, max_size=3)


@given(st.lists(_texts, min_size=1, max_size=3), st.sampled_from([None, 0, 2]), st.booleans())
def test_drawn_lists(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[list[str]], indent: int | None, new: bool
) -> None:
    """As objects, and as texts with an array beside them, a new order comes back."""
    from lmscore.runtime.rescoring.formats import render

    path = tmp_path_factory.mktemp("drawn") / "list"
    documents = {
        "list=r[].n text=t": {"r": [{"n": [{"t": t, "x": {}} for t in texts]} for texts in drawn]},
        "list=r[].n": {"r": [{"z": 1, "n": texts} for texts in drawn]},
        "list=n[]": {"n": drawn, "k": [[]]},
    }
    for mapping, document in documents.items():
        path.write_text(json.dumps(document, indent=indent))
        list_format, lists = read(path, mapping=mapping)
        found = [nbest.reordered(range(len(nbest.hypotheses))[::-1]) for nbest in lists]
        if new:
            found = [
                n.with_feature("s", [-float(i) for i, _ in enumerate(n.hypotheses)]) for n in found
            ]
        text = "".join(render(list_format, found))
        open_node(JsonText("", text), 0, 9)
        json.loads(text)
        path.write_text(text)
        scored = {"list=n[]": " score=s[]"}.get(mapping, " score=s") if new else ""
        again = list(read(path, mapping=mapping + scored)[1])
        assert [[h.text for h in n.hypotheses] for n in again] == [texts[::-1] for texts in drawn]
        if new:
            assert [[h.features["s"] for h in n.hypotheses] for n in again] == [
                [-float(i) for i, _ in enumerate(texts)] for texts in drawn
            ]
