"""Lists whose hypotheses follow a text: scores as with a prefix, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmscore.errors import InputError, OptionError
from lmscore.runtime.load import load
from lmscore.runtime.model import LanguageModel
from lmscore.runtime.rescoring.lists import (
    NBestList,
    scored_after_prefixes,
    with_first_as_prefix,
    with_prefixes,
)
from tests.models import make_model
from tests.runtime.rescoring.toys import make_list

TEXTS = st.lists(st.sampled_from(["the", "cat", "sat", "zebra"]), max_size=4).map(" ".join)
LISTS = st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=4)), max_size=5)


@pytest.mark.parametrize("model", ["document", "sentence"])
@given(drawn=LISTS, eos=st.booleans(), channel=st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_scores_with_prefixes(
    lm: LanguageModel,
    document_lm: LanguageModel,
    model: str,
    drawn: list[tuple[str, list[str]]],
    eos: bool,
    channel: bool,
) -> None:
    used = document_lm if model == "document" else lm
    lists = [
        NBestList(str(i), make_list(*texts).hypotheses, prefix=p)
        for i, (p, texts) in enumerate(drawn)
    ]
    found = list(scored_after_prefixes(lists, used, name="new", channel=channel, eos=eos))
    assert len(found) == len(drawn)
    for scored, (prefix, texts) in zip(found, drawn, strict=True):
        assert scored.counts.hypotheses == len(texts)
        for hypothesis, text in zip(scored.nbest.hypotheses, texts, strict=True):
            read, said = (text, prefix) if channel else (prefix, text)
            expected = used.score(said, prefix=read, eos=eos).log_prob
            assert hypothesis.features["new"] == pytest.approx(expected, abs=1e-4)


def test_texts_are_prepared(lm: LanguageModel) -> None:
    (nbest,) = with_first_as_prefix([make_list("THE CAT", "sat")])
    (found,) = scored_after_prefixes([nbest], lm, name="new", prepare=str.lower)
    assert found.nbest.hypotheses[1].features["new"] == pytest.approx(
        lm.score("sat", prefix="the cat").log_prob, abs=1e-4
    )


def test_prefixes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text("b the cat\na sat\nunused so\n")
    lists = [make_list("x", key="a"), make_list(key="b")]
    found = with_prefixes(lists, path, by_line=False)
    assert [(nbest.id, nbest.prefix) for nbest in found] == [("a", "sat"), ("b", "the cat")]


@pytest.mark.parametrize("first_id", [0, 1])
def test_prefixes_by_line(tmp_path: Path, first_id: int) -> None:
    path = tmp_path / "texts"
    path.write_text("zero\none\n")
    lists = [make_list("x", key=str(key + first_id)) for key in (1, 0)]
    found = with_prefixes(lists, path, by_line=True, first_id=first_id)
    assert [nbest.prefix for nbest in found] == ["one", "zero"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b x\n", "texts: no prefix for the list 'a'"),
        ("a x\na y\n", "texts, line 2: a second prefix for the list 'a'"),
        ("a x\n\n", "texts, line 2: no id; expected the list's id and the prefix"),
        ('{"id": "a"}\n', "texts, line 1: no field 'text' with the prefix"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "texts"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        list(with_prefixes([make_list("x", key="a")], path, by_line=False))
    assert str(error.value) == f"{tmp_path}/{message}"


def test_a_list_without_a_prefix(lm: LanguageModel) -> None:
    with pytest.raises(InputError, match="list 'u' has no prefix"):
        list(scored_after_prefixes([make_list("the")], lm, name="new"))


def test_a_text_that_cannot_be_read(lm: LanguageModel) -> None:
    lists = with_first_as_prefix([make_list("the", key="a"), make_list("so", "\ud800", key="b")])
    with pytest.raises(InputError, match="list 'b', hypothesis 2: text 1"):
        list(scored_after_prefixes(lists, lm, name="new"))


def test_a_backward_model(tmp_path: Path) -> None:
    make_model(tmp_path, direction="backward", variants=["fp32"])
    with pytest.raises(OptionError, match="a prefix is not for a backward model"):
        list(scored_after_prefixes([], load(tmp_path), name="new"))
