"""JSON with places, against the json module."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.rescoring.formats.json_text import (
    JsonText,
    Node,
    check_end,
    open_node,
    top_elements,
    with_numbers,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)
INDENTS = st.none() | st.integers(0, 3)


def value_of(node: Node) -> Any:
    if node.items is None:
        return node.value
    if node.is_array():
        return [value_of(item) for item in node.items]
    return {item.key: value_of(item) for item in node.items}


def opened(text: str, depth: int = 9) -> Node:
    source = JsonText("file", text)
    node = open_node(source, source.skip(0), depth)
    check_end(source, node.end)
    return node


@given(JSON, INDENTS, st.booleans(), st.integers(0, 3))
def test_it_reads_what_json_reads(value: Any, indent: int | None, plain: bool, depth: int) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=plain)
    node = opened(f" {text}\n", depth)
    assert value_of(node) == value
    assert node.raw == text


@given(st.lists(JSON) | st.dictionaries(st.text(), JSON), INDENTS)
def test_replacing_elements_by_themselves_changes_nothing(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    node = opened(text)
    assert node.replaced([item.prefix + item.raw for item in node.items or ()]) == text


@given(JSON, st.data())
def test_what_json_rejects_is_an_error(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text) - 1))
    broken = (
        text[:at] + data.draw(st.sampled_from(["", ",", "]", "}", ":", '"', "x"])) + text[at + 1 :]
    )
    try:
        expected = json.loads(broken)
    except ValueError:
        with pytest.raises(InputError, match=r"^file, line \d+: not JSON: "):
            opened(broken)
    else:
        assert value_of(opened(broken)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: not JSON: Expecting value"),
        ('{\n"a" 1}', "line 2: not JSON: expected ':' after the key 'a'"),
        ("{\na: 1}", "line 2: not JSON: expected a key in double quotes"),
        ("[1\n2]", "line 2: not JSON: expected ',' or ']'"),
        ('{"a": 1', "line 1: not JSON: expected ',' or '}'"),
        ("[1,\n]", "line 2: not JSON: a comma before ']'"),
        ("[]\n\n[]", "line 3: not JSON: text after the end"),
        ("[\n01]", "line 2: not JSON: expected ',' or ']'"),
        ('["\n"]', "line 1: not JSON: Invalid control character at"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        opened(text)
    assert str(caught.value) == f"file, {message}"


def test_a_nesting_without_end_is_an_error() -> None:
    with pytest.raises(InputError, match="not JSON: maximum recursion depth exceeded"):
        opened("[" * 100_000)


def test_a_number_without_end_is_an_error() -> None:
    with pytest.raises(InputError, match="not JSON: Exceeds the limit"):
        opened("9" * 10_000)


def test_top_elements_are_read_one_by_one() -> None:
    elements = top_elements(JsonText("file", "[1, 2, ?]"), "[", 1)
    assert [next(elements).value, next(elements).value] == [1, 2]
    with pytest.raises(InputError, match="not JSON: Expecting value"):
        next(elements)
    with pytest.raises(InputError, match=r"line 1: expected JSON that begins with '\['"):
        list(top_elements(JsonText("file", "{}"), "[", 1))
    with pytest.raises(InputError, match="text after the end"):
        list(top_elements(JsonText("file", "[1] 2"), "[", 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a", "score": 1, "x": "b"}', '{"text": "a", "score": 1, "n": 2.5, "x": "b"}'),
        ('{"text":"a","score":1}', '{"text":"a","score":1,"n":2.5}'),
        ('{"text": "a"}', '{"text": "a", "n": 2.5}'),
        ('{\n  "text": "a"\n}', '{\n  "text": "a",\n  "n": 2.5\n}'),
        ('{"text": "a", "ok": true}', '{"text": "a", "ok": true, "n": 2.5}'),
    ],
)
def test_a_new_number_stands_behind_the_last_one(text: str, expected: str) -> None:
    assert with_numbers(opened(text), {"n": 2.5}, {}) == expected


def test_a_new_number_takes_no_key_away() -> None:
    with pytest.raises(OptionError, match="the list has 'text' for something else"):
        with_numbers(opened('{"text": "a"}'), {"text": 1.0}, {})
