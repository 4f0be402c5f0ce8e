"""A bigram as an automaton, which OpenFst itself reads where it is there."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmscore.errors import ModelError
from lmscore.runtime.ngram import LN10, bigram_fst, read_arpa, token_ids

ARPA = """\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-1.0\t</s>
-0.6\t7\t-0.25
-0.4\t3\t-0.125

\\2-grams:
-0.2\t<s> 3
-0.3\t3 7
-0.7\t7 7
-0.8\t7 </s>

\\end\\
"""

Arc = tuple[int, int, float, int]


def read(data: bytes) -> tuple[list[float], list[list[Arc]]]:
    """Final costs and arcs of each state, by the format of OpenFst's vector-fst.h."""
    magic, place = struct.unpack_from("<i", data)[0], 4
    names = []
    for _ in range(2):
        (length,) = struct.unpack_from("<i", data, place)
        names.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    version, flags, _, start, states, number = struct.unpack_from("<iiQqqq", data, place)
    assert (magic, names, version, flags, start) == (2125659606, [b"vector", b"standard"], 2, 0, 0)
    place += 40
    finals, arcs = [], []
    for _ in range(states):
        final, count = struct.unpack_from("<fq", data, place)
        found = list(struct.iter_unpack("<iifi", data[place + 12 : place + 12 + 16 * count]))
        place += 12 + 16 * count
        finals.append(final)
        arcs.append(found)
    assert place == len(data)
    assert sum(map(len, arcs)) == number
    return finals, arcs


@pytest.fixture
def fst(tmp_path: Path) -> bytes:
    (tmp_path / "a.arpa").write_text(ARPA)
    model = read_arpa(tmp_path / "a.arpa")
    data, back_off = bigram_fst(model, token_ids(model))
    assert back_off == 8
    return data


def nats(base_10: float) -> Any:
    return pytest.approx(base_10 * LN10, rel=1e-5)


def test_states_and_arcs(fst: bytes) -> None:
    finals, arcs = read(fst)
    start, backed_off, after_7, after_3 = arcs  # in the order of the ARPA file's words
    assert start == [(3, 3, nats(0.2), 3), (8, 0, nats(0.5), 1)]
    assert backed_off == [(3, 3, nats(0.4), 3), (7, 7, nats(0.6), 2)]
    assert after_3 == [(7, 7, nats(0.3), 2), (8, 0, nats(0.125), 1)]
    assert after_7 == [(7, 7, nats(0.7), 2), (8, 0, nats(0.25), 1)]
    assert finals == [nats(1.5), nats(1.0), nats(0.8), nats(1.125)]


def test_openfst_reads_it(fst: bytes, tmp_path: Path) -> None:
    kaldifst = pytest.importorskip("kaldifst")
    (tmp_path / "lodr.fst").write_bytes(fst)
    found = kaldifst.StdVectorFst.read(str(tmp_path / "lodr.fst"))
    finals, arcs = read(fst)
    assert (found.num_states, found.start) == (4, 0)
    for state, own in enumerate(arcs):
        assert found.final(state).value == pytest.approx(finals[state])
        same = [
            (a.ilabel, a.olabel, a.weight.value, a.nextstate)
            for a in kaldifst.ArcIterator(found, state)
        ]
        assert same == own


def test_unknown_tokens_cost_what_unk_does(tmp_path: Path) -> None:
    spelt = ARPA.replace("\t7", "\tb").replace("\t3", "\ta")
    spelt = spelt.replace(" 7", " b").replace(" 3", " a")
    (tmp_path / "a.arpa").write_text(spelt)
    model = read_arpa(tmp_path / "a.arpa")
    data, back_off = bigram_fst(model, {"a": 3, "b": 7, "c": 5, "<unk>": 2})
    assert back_off == 8
    _, arcs = read(data)
    assert [arc[0] for arc in arcs[1]] == [2, 3, 5, 7]
    assert arcs[1][2] == (5, 5, nats(1.5), 1)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({"7": 7}, "the word '3' is not among the tokens"),
        ({"7": 7, "3": 0}, "the word '3' has the id 0, which is that of no label"),
        ({"7": 7, "3": 7}, "two words have the same id"),
    ],
)
def test_ids_that_do_not_fit(ids: dict[str, int], message: str, tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text(ARPA)
    with pytest.raises(ModelError, match=message):
        bigram_fst(read_arpa(tmp_path / "a.arpa"), ids)


def test_other_models(tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_text(
        "\\data\\\nngram 1=2\n\n\\1-grams:\n-1\ta\n-1\t</s>\n\n\\end\\\n"
    )
    model = read_arpa(tmp_path / "a.arpa")
    with pytest.raises(ModelError, match="the word 'a' is no token id; name a list of tokens"):
        token_ids(model)
    with pytest.raises(ModelError, match="a model of order 1: LODR takes a bigram"):
        bigram_fst(model, {"a": 1})
    assert np.isfinite(model.tables[0].log_probs).all()
