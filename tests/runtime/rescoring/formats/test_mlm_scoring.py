"""The JSON of mlm-scoring."""

from __future__ import annotations

import json

import pytest

from lmscore.errors import InputError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = """\
{
  "u1": {
    "hyp_1": {
      "score": -1.50,
      "text": " good day"
    },
    "hyp_10": {
      "score": -3,
      "text": ""
    },
    "hyp_2": {
      "score": -2,
      "text": "day"
    },
    "ref": "good day "
  },
  "u2": {"ref": "x", "note": [1], "hyp_1": {"text": "y", "score": null}},
  "u3": {}
}"""


def test_what_is_read(read_text: Read) -> None:
    first, second, third = read_text(SAMPLE)
    assert (first.id, first.reference) == ("u1", "good day")
    assert contents(first) == [
        ("good day", {"score": -1.5}),
        ("day", {"score": -2}),
        ("", {"score": -3}),
    ]
    assert (second.id, second.reference, contents(second)) == ("u2", "x", [("y", {})])
    assert (third.id, third.reference, contents(third)) == ("u3", None, [])


def test_a_new_score_stands_beside_the_old_one(rewrite: Rewrite) -> None:
    expected = SAMPLE
    for old, new in [("-1.50", "-7.5"), ("-2", "-8.0"), ("-3", "-9.0")]:
        expected = expected.replace(f'"score": {old},\n', f'"score": {old},\n      "rnn": {new},\n')
    expected = expected.replace('"score": null}', '"score": null, "rnn": -7.5}')
    assert rewrite(SAMPLE, add("rnn", -7.5, -8, -9)) == expected


def test_another_order_changes_places_under_the_keys(rewrite: Rewrite) -> None:
    first = json.loads(SAMPLE)["u1"]
    text = json.dumps({"u1": first})
    changed = json.loads(rewrite(text, order(2, 0, 1)))["u1"]
    assert list(changed) == list(first)
    assert changed == {
        "hyp_1": first["hyp_10"],
        "hyp_2": first["hyp_1"],
        "hyp_10": first["hyp_2"],
        "ref": first["ref"],
    }
    assert json.loads(rewrite(text, order(1)))["u1"] == {
        "hyp_1": first["hyp_2"],
        "ref": first["ref"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "line 1: expected JSON that begins with '{'"),
        ('{"u": 1}', "line 1, u: expected an object with hyp_1, hyp_2 and so on"),
        ('{"u":\n{"hyp_1": 1}}', 'line 2, u.hyp_1: expected an object with a "text"'),
        ('{"u": {"hyp_1": {"text": 1}}}', "line 1, u.hyp_1.text: expected a string, not '1'"),
        ('{"u": {"ref": {}}}', "line 1, u.ref: expected a string, not '{}'"),
        (
            '{"u": {"hyp_1": {"text": "a"}, "hyp_01": {"text": "a"}}}',
            "line 1, u.hyp_01: is there twice",
        ),
        (
            '{"u": {"hyp_1": {"text": "a", "score": 1}, "hyp_2": {"text": "b"}}}',
            "line 1, list 'u': hypothesis 2 has the scores [], but the first has ['score']",
        ),
        (
            '{"u": {}, "u": {}}',
            (
                "line 1: a second list 'u'; bring its lines together, and give "
                "every list an id of its own"
            ),
        ),
    ],
)
def test_bad_documents(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "mlm-scoring")
    assert str(caught.value).endswith(f"list, {message}")
