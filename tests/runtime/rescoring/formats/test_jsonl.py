"""Our own lists, an object a line."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError, OptionError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = """\
{"id": "u1", "hypotheses": [{"text": " good day ", "score": -1.50, "am": -2, "best": true}, \
{"score": 1E+2, "text": "", "am": -3.25}], "reference": "good day", "speaker": {"a": [1e400]}}
{"hypotheses":[{"text":"jour n\\u00e9"}],"id":2,"reference":null}
{"id": "u3", "hypotheses": []}
"""


def test_what_is_read(read_text: Read) -> None:
    first, second, third = read_text(SAMPLE)
    assert [nbest.id for nbest in (first, second, third)] == ["u1", "2", "u3"]
    assert [nbest.reference for nbest in (first, second, third)] == ["good day", None, None]
    assert contents(first) == [
        ("good day", {"score": -1.5, "am": -2}),
        ("", {"score": 100, "am": -3.25}),
    ]
    assert contents(second) == [("jour né", {})]
    assert contents(third) == []


def test_a_new_score_stands_beside_the_others(rewrite: Rewrite) -> None:
    assert rewrite(SAMPLE, add("rnn", -1.25, -2)) == (
        '{"id": "u1", "hypotheses": [{"text": " good day ", "score": -1.50, "am": -2, '
        '"rnn": -1.25, "best": true}, {"score": 1E+2, "text": "", "am": -3.25, "rnn": -2.0}], '
        '"reference": "good day", "speaker": {"a": [1e400]}}\n'
        '{"hypotheses":[{"text":"jour n\\u00e9","rnn":-1.25}],"id":2,"reference":null}\n'
        '{"id": "u3", "hypotheses": []}\n'
    )


def test_another_order(rewrite: Rewrite) -> None:
    first = SAMPLE.splitlines()[0]
    assert rewrite(first, order(1, 0)) == (
        '{"id": "u1", "hypotheses": [{"score": 1E+2, "text": "", "am": -3.25}, '
        '{"text": " good day ", "score": -1.50, "am": -2, "best": true}], '
        '"reference": "good day", "speaker": {"a": [1e400]}}'
    )
    assert '"hypotheses": []' in rewrite(first, order())


def test_a_new_score_needs_a_name_of_its_own(rewrite: Rewrite) -> None:
    with pytest.raises(OptionError, match="the list has a feature 'am' already"):
        rewrite(SAMPLE, add("am", -1, -2))
    with pytest.raises(OptionError, match="the list has 'best' for something else"):
        rewrite(SAMPLE, add("best", -1, -2))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", ": not JSON: Expecting value"),
        ("{", ": not JSON: expected a key in double quotes"),
        ("[]", ": expected a JSON object"),
        ('{"id": "u"}', ": no field 'hypotheses' with an array of objects"),
        ('{"id": "u", "hypotheses": {}}', ": no field 'hypotheses' with an array of objects"),
        ('{"hypotheses": []}', ": no field 'id'"),
        ('{"id": true, "hypotheses": []}', ", id: expected a string, not 'true'"),
        (
            '{"id": "u", "hypotheses": ["a"]}',
            ', hypotheses[0]: expected an object with a "text"',
        ),
        (
            '{"id": "u", "hypotheses": [{"text": 1}]}',
            ", hypotheses[0].text: expected a string, not '1'",
        ),
        (
            '{"id": "u", "hypotheses": [{"text": "\\ud800"}]}',
            ", hypotheses[0].text: holds half a surrogate pair",
        ),
        (
            '{"id": "u", "hypotheses": [{"text": "a", "score": "1"}]}',
            ", hypotheses[0].score: expected a number, not '\"1\"'",
        ),
        (
            '{"id": "u", "hypotheses": [{"text": "a", "score": NaN}]}',
            ", hypotheses[0].score: the score NaN cannot be used",
        ),
        (
            '{"id": "u", "hypotheses": [{"text": "a", "score": 1' + "0" * 400 + "}]}",
            ", hypotheses[0].score: the score 1" + "0" * 39 + " cannot be used",
        ),
        (
            '{"id": "u", "hypotheses": [{"text": "a", "score": 1}, {"text": "b", "score": null}]}',
            ", list 'u': hypothesis 2 has the scores [], but the first has ['score']",
        ),
        (
            '{"id": "u", "hypotheses": [], "reference": 1}',
            ", reference: expected a string, not '1'",
        ),
    ],
)
def test_bad_lines(read_text: Read, line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(f'{{"id": "first", "hypotheses": []}}\n{line}\n', "jsonl")
    assert str(caught.value).endswith(f"list, line 2{message}")
