"""ESPnet 1's data.json."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = """\
{
    "utts": {
        "spk-1": {
            "output": [
                {
                    "name": "target1[1]",
                    "rec_text": "good<space>day<eos>",
                    "rec_token": "g o o d <space> d a y <eos>",
                    "score": -1.50,
                    "shape": [8, 30],
                    "text": "good day"
                },
                {
                    "name": "target1[2]",
                    "rec_text": "<eos>",
                    "rec_token": "<eos>",
                    "score": -12.5,
                    "shape": [8, 30],
                    "text": "good day"
                }
            ],
            "utt2spk": "spk"
        },
        "spk-2": {"output": [{"name": "x", "rec_text": "▁caf\\u00e9 ▁au  lait ", "score": 0}]},
        "spk-3": {"output": []}
    }
}
"""
SPEAKERS = (
    '{"utts": {"u": {"output": ['
    '[{"name": "target1[1]", "rec_text": "a", "score": -1, "text": "a"}, '
    '{"name": "target1[2]", "rec_text": "b", "score": -2, "text": "a"}], '
    '[{"name": "target2[1]", "rec_text": "c", "score": -3, "text": "d"}]]}}}'
)


def test_what_is_read(read_text: Read) -> None:
    first, second, third = read_text(SAMPLE)
    assert (first.id, first.reference) == ("spk-1", "good day")
    assert contents(first) == [("good day", {"score": -1.5}), ("", {"score": -12.5})]
    assert (second.id, second.reference) == ("spk-2", None)
    assert contents(second) == [("café au lait", {"score": 0})]
    assert (third.id, contents(third)) == ("spk-3", [])


def test_every_speaker_has_a_list(read_text: Read) -> None:
    first, second = read_text(SPEAKERS)
    assert (first.id, first.reference) == ("u[1]", "a")
    assert contents(first) == [("a", {"score": -1}), ("b", {"score": -2})]
    assert (second.id, second.reference) == ("u[2]", "d")
    assert contents(second) == [("c", {"score": -3})]


def test_a_new_score_stands_beside_the_old_one(rewrite: Rewrite) -> None:
    text = rewrite(SAMPLE, add("rnn", -2.5, -3))
    expected = SAMPLE.replace(
        '"score": -1.50,', '"score": -1.50,\n                    "rnn": -2.5,'
    ).replace('"score": -12.5,', '"score": -12.5,\n                    "rnn": -3.0,')
    assert text == expected.replace('"score": 0}', '"score": 0, "rnn": -2.5}')


def test_another_order_gets_new_ranks(rewrite: Rewrite) -> None:
    assert rewrite(SPEAKERS, lambda nbest: order(*range(len(nbest.hypotheses))[::-1])(nbest)) == (
        '{"utts": {"u": {"output": ['
        '[{"name": "target1[1]", "rec_text": "b", "score": -2, "text": "a"}, '
        '{"name": "target1[2]", "rec_text": "a", "score": -1, "text": "a"}], '
        '[{"name": "target2[1]", "rec_text": "c", "score": -3, "text": "d"}]]}}}'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "line 1, utts: expected an object with the utterances"),
        ('{"a": 1}', "line 1, utts: expected an object with the utterances"),
        ('{"utts": []}', "line 1, utts: expected an object with the utterances"),
        ('{"utts": {"u": 1}}', "line 1, utts.u.output: expected an array of hypotheses"),
        (
            '{"utts": {\n"u": {"output": 1}}}',
            "line 2, utts.u.output: expected an array of hypotheses",
        ),
        (
            '{"utts": {"u": {"output": [\n{"text": "a"}]}}}',
            (
                'line 2, utts.u.output[0]: expected an object with a "rec_text"; '
                "has this been decoded?"
            ),
        ),
        (
            '{"utts": {"u": {"output": [{"rec_text": "a"}, {"rec_text": "a", "score": []}]}}}',
            "line 1, utts.u.output[1].score: expected a number, not '[]'",
        ),
        (
            '{"utts": {"u": {"output": [{"rec_text": "a", "text": 1}]}}}',
            "line 1, utts.u.output[0].text: expected a string, not '1'",
        ),
        ('{"utts": {}', "line 1: not JSON: expected ',' or '}'"),
    ],
)
def test_bad_documents(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "espnet")
    assert str(caught.value).endswith(f"list, {message}")
