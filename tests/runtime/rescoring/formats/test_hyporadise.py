"""HyPoradise's lists."""

from __future__ import annotations

import pytest

from lmscore.errors import InputError, OptionError
from tests.runtime.rescoring.formats.conftest import Read, Rewrite, add, contents, order

SAMPLE = (
    '[{"id": "u1", "input": ["good day", "", "good day"], "output": "good day ", '
    '"am_score": [-0.50, -1e1, -2], "words": [["a"], [], ["b"]], "other": [1, 2]}, '
    '{"instruction": "Pick one.", "input": ["caf\\u00e9"], "output": "x"}, {"input": []}]'
)


def test_what_is_read(read_text: Read) -> None:
    first, second, third = read_text(SAMPLE)
    assert (first.id, first.reference) == ("u1", "good day")
    assert contents(first) == [
        ("good day", {"am_score": -0.5}),
        ("", {"am_score": -10}),
        ("good day", {"am_score": -2}),
    ]
    assert (second.id, second.reference, contents(second)) == ("1", "x", [("café", {})])
    assert (third.id, third.reference, contents(third)) == ("2", None, [])


def test_a_new_score_is_an_array_beside_the_old_one(rewrite: Rewrite, read_text: Read) -> None:
    text = rewrite(SAMPLE, add("rnn", -7.5, -8, -9))
    assert text == SAMPLE.replace(
        '"am_score": [-0.50, -1e1, -2]', '"am_score": [-0.50, -1e1, -2], "rnn": [-7.5, -8.0, -9.0]'
    ).replace('["caf\\u00e9"]', '["caf\\u00e9"], "rnn": [-7.5]')
    assert contents(read_text(text)[0])[1] == ("", {"am_score": -10, "rnn": -8})


def test_another_order_takes_all_parallel_arrays_along(rewrite: Rewrite) -> None:
    text = SAMPLE[: SAMPLE.index(', {"instruction"')] + "]"
    assert rewrite(text, order(1, 2, 0)) == (
        '[{"id": "u1", "input": ["", "good day", "good day"], "output": "good day ", '
        '"am_score": [-1e1, -2, -0.50], "words": [[], ["b"], ["a"]], "other": [1, 2]}]'
    )
    assert rewrite(text, order(2)) == (
        '[{"id": "u1", "input": ["good day"], "output": "good day ", '
        '"am_score": [-2], "words": [["b"]], "other": [1, 2]}]'
    )


def test_a_new_score_needs_a_name_of_its_own(rewrite: Rewrite) -> None:
    with pytest.raises(OptionError, match="the list has 'words' for something else"):
        rewrite(SAMPLE, add("words", -1, -2, -3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "line 1: expected JSON that begins with '['"),
        ("[1]", "line 1, [0].input: expected an array of hypotheses"),
        ('[{"input": ["a"]},\n{}]', "line 2, [1].input: expected an array of hypotheses"),
        ('[{"input": "a"}]', "line 1, [0].input: expected an array of hypotheses"),
        ('[{"input": ["a", 1]}]', "line 1, [0].input[1]: expected a string, not '1'"),
        (
            '[{"input": ["a", "b"], "am_score": [1]}]',
            "line 1, [0].am_score: 1 scores of 2 hypotheses",
        ),
        ('[{"input": ["a"], "am_score": null}]', "line 1, [0].am_score: 0 scores of 1 hypotheses"),
        (
            '[{"input": ["a"], "am_score": ["1"]}]',
            "line 1, [0].am_score[0]: expected a number, not '\"1\"'",
        ),
        (
            '[{"input": ["a"], "lm": [NaN]}]',
            "line 1, [0].lm[0]: the score NaN cannot be used",
        ),
        ('[{"input": ["a"], "output": 1}]', "line 1, [0].output: expected a string, not '1'"),
        ('[{"input": ["a"], "id": 1.5}]', "line 1, [0].id: expected a string, not '1.5'"),
    ],
)
def test_bad_documents(read_text: Read, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_text(text, "hyporadise")
    assert str(caught.value).endswith(f"list, {message}")


def test_hypotheses_that_are_there_again(rewrite: Rewrite, read_text: Read) -> None:
    text = (
        '[{"input1": "a b", "input2": "c. d. ", "input": ["a b", "c", "d"], '
        '"score": [-1, -2, -3], "output": "x"}]'
    )
    assert contents(read_text(text)[0])[0] == ("a b", {"score": -1})
    assert rewrite(text) == text
    assert rewrite(text, order(2, 0, 1)) == (
        '[{"input1": "d", "input2": "a b. c. ", "input": ["d", "a b", "c"], '
        '"score": [-3, -1, -2], "output": "x"}]'
    )
    alone = '[{"input1": "a", "input2": "b", "input": ["a", "b"]}]'
    assert rewrite(alone, order(1, 0)) == '[{"input1": "b", "input2": "a", "input": ["b", "a"]}]'
    with pytest.raises(OptionError, match="the list's 'input1' does not repeat its hypotheses"):
        rewrite('[{"input1": "?", "input": ["a", "b"]}]', order(1, 0))
