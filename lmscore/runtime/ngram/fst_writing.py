"""A bigram over token ids as an OpenFst file, as LODR of icefall and sherpa-onnx reads it.

LODR subtracts a bigram's scores where a language model's are added (Zheng et al. 2022, "An
empirical study of language model integration for transducer based speech recognition").
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lmscore.errors import ModelError
from lmscore.runtime.ngram.model import BOS, CONTROL, EOS, UNK, Ids, NgramModel

# OpenFst's fst.h and vector-fst.h: a file of StdVectorFst, version 2, without symbols.
_MAGIC = 2125659606
_EXPANDED_AND_MUTABLE = 3
_ARC = np.dtype([("input", "<i4"), ("output", "<i4"), ("cost", "<f4"), ("next", "<i4")])

_MOST_DIGITS = 9  # of an id, which has 32 bits
_START, _BACKED_OFF = 0, 1  # states: after <s>; after nothing that is known


def token_ids(model: NgramModel) -> dict[str, int]:
    """The ids of a model's words that are spelt as ids, as `lmscore ngram train --ids` does.

    Raises:
        ModelError: a word is none.
    """
    words = [word for word in model.words if word not in CONTROL]
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) <= _MOST_DIGITS):
            raise ModelError(
                f"the word {word!r} is no token id; name a list of tokens and their ids"
            )
    return {word: int(word) for word in words}


def bigram_fst(model: NgramModel, ids: Mapping[str, int]) -> tuple[bytes, int]:
    """The file of a bigram's automaton, and the label of its back-off arcs.

    Costs are -ln P. A state stands for the token before: its arcs, sorted by label, lead to the
    tokens that the model has seen there, and one arc, the only kind with output label 0, to a
    state with every token. The cost of ending is that of `</s>`. Tokens of `ids` that the model
    lacks cost what `<unk>` does, if it has one.

    Raises:
        ModelError: the model is no bigram; a word has no id, or the id 0 of the blank, or two
            words have one.
    """
    if model.order != 2:
        raise ModelError(f"a model of order {model.order}: LODR takes a bigram")
    labels = _labels(model, ids)
    used = np.flatnonzero(labels)
    back_off = int(max(labels.max(initial=0), max(ids.values(), default=0))) + 1
    states = np.full(model.vocab_size, -1, np.int64)
    states[BOS] = _START
    states[used] = 2 + np.arange(len(used))
    unigrams = model.tables[0]
    every = _arcs(labels[used], -unigrams.log_probs[used], states[used])
    arcs = [_arcs_after(model, word, labels, states, back_off) for word in (BOS, *used.tolist())]
    arcs.insert(_BACKED_OFF, np.sort(np.concatenate([every, _unseen(model, ids)]), order="input"))
    contexts = np.array([BOS, *used.tolist()])
    rows = np.stack([contexts, np.full(len(contexts), EOS)], axis=1).astype(np.int32)
    ends = -model.log_probs_of(rows)
    finals = np.insert(ends, _BACKED_OFF, -unigrams.log_probs[EOS])
    return _file(arcs, finals), back_off


def _labels(model: NgramModel, ids: Mapping[str, int]) -> Ids:
    """The label of every word, 0 for those that no arc has."""
    labels = np.zeros(model.vocab_size, np.int64)
    for number, word in enumerate(model.words):
        if number in (BOS, EOS) or (number == UNK and word not in ids):
            continue
        if word not in ids:
            raise ModelError(f"the word {word!r} is not among the tokens")
        if ids[word] < 1:
            raise ModelError(f"the word {word!r} has the id {ids[word]}, which is that of no label")
        labels[number] = ids[word]
    if len(set(labels[labels > 0])) < np.count_nonzero(labels):
        raise ModelError("two words have the same id")
    if not model.has_unknown:
        labels[UNK] = 0
    return labels


def _arcs(labels: Ids, costs: NDArray[np.floating], states: Ids) -> NDArray[np.void]:
    made = np.empty(len(labels), _ARC)
    made["input"] = made["output"] = labels
    made["cost"], made["next"] = costs, states
    return made


def _arcs_after(
    model: NgramModel, word: int, labels: Ids, states: Ids, back_off: int
) -> NDArray[np.void]:
    """The arcs of the state after a word: the bigrams that begin with it, and the back-off arc."""
    unigrams, bigrams = model.tables
    V = model.vocab_size
    first, last = np.searchsorted(bigrams.keys, (word * V, (word + 1) * V))
    following = bigrams.keys[first:last] % V
    seen = labels[following] > 0
    following, costs = following[seen], -bigrams.log_probs[first:last][seen]
    own = np.sort(_arcs(labels[following], costs, states[following]), order="input")
    back = _arcs(np.array([back_off]), -unigrams.backoffs[[word]], np.array([_BACKED_OFF]))
    back["output"] = 0
    return np.concatenate([own, back])


def _unseen(model: NgramModel, ids: Mapping[str, int]) -> NDArray[np.void]:
    """Arcs of tokens that the model lacks, back to where nothing is known."""
    if not model.has_unknown:
        return np.empty(0, _ARC)
    missing = sorted(i for word, i in ids.items() if i > 0 and word not in model.numbers)
    costs = np.full(len(missing), -model.tables[0].log_probs[UNK])
    return _arcs(np.array(missing, np.int64), costs, np.full(len(missing), _BACKED_OFF))


def _file(arcs: list[NDArray[np.void]], finals: NDArray[np.floating]) -> bytes:
    header = struct.pack("<i", _MAGIC)
    for name in (b"vector", b"standard"):
        header += struct.pack("<i", len(name)) + name
    number = sum(map(len, arcs))
    sizes = (2, 0, _EXPANDED_AND_MUTABLE, _START, len(arcs), number)
    parts = [header, struct.pack("<iiQqqq", *sizes)]
    for final, own in zip(finals.tolist(), arcs, strict=True):
        parts += [struct.pack("<fq", final, len(own)), own.tobytes()]
    return b"".join(parts)
