"""A vocabulary that grows: words, characters or pieces of a new text, behind the old ones."""

from __future__ import annotations

import heapq
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from lmscore.bundle import Config
from lmscore.errors import OptionError

_Pair = tuple[str, str]


def extend_tokenizer(
    tokenizer: Tokenizer, lines: Iterable[str], *, size: int, min_count: int, source: str
) -> Tokenizer:
    """The tokenizer with the commonest units of a text that it lacks; old ids stay.

    Args:
        tokenizer: of words or characters (WordLevel), which gets more of them, or BPE, which gets
            merges behind its own.
        lines: the text.
        size: the number of new units at most.
        min_count: how often a unit occurs at least; a merge twice or more.
        source: the name of the tokenizer in errors.

    Raises OptionError if the tokenizer is of another kind.
    """
    counts = Counter(unit for line in lines for unit in _units(tokenizer, line))
    state = json.loads(tokenizer.to_str())
    first = tokenizer.get_vocab_size(with_added_tokens=True)
    known = tokenizer.get_vocab(with_added_tokens=True)
    model = state["model"]
    if isinstance(tokenizer.model, models.WordLevel):
        units = [u for u, count in counts.most_common() if count >= min_count and u not in known]
        new = units[:size]
    elif isinstance(tokenizer.model, models.BPE) and not _has_affixes(model):
        words = {
            tuple(token.value for token in tokenizer.model.tokenize(unit)): count
            for unit, count in counts.items()
        }
        unknown = tokenizer.model.unk_token
        merges = list(
            _learn_merges(
                words, size=size, min_count=max(2, min_count), known=known, unknown=unknown
            )
        )
        model["merges"] += [list(pair) for pair in merges]
        new = [left + right for left, right in merges]
    else:
        raise OptionError(
            f"extend_vocabulary adds words, characters or the merges of a BPE: {source} is a "
            f"{model['type']}, which cannot be extended"
        )
    model["vocab"].update({unit: first + index for index, unit in enumerate(new)})
    return Tokenizer.from_str(json.dumps(state, ensure_ascii=False))


def extended_weights(
    weights: Mapping[str, NDArray[np.float32]],
    tokenizer: Tokenizer,
    config: Config,
    counts: NDArray[np.int64],
) -> dict[str, NDArray[np.float32]]:
    """The weights of a model with rows for the new units of its vocabulary.

    A new piece starts from the mean of its old pieces. A new word or character was unknown before:
    it starts from the row of `<unk>`, with a share of the probability of `<unk>` by its frequency,
    so that no probability of a known word changes.

    Args:
        weights: the model's, [V, ...] for the old V.
        tokenizer: the extended one.
        config: with the new V.
        counts: the frequency of each id in the new text, [V].
    """
    old = weights["embedding.weight"].shape[0]
    new = config.vocab_size - old
    grown = dict(weights)
    unk = config.unk_token_id if isinstance(tokenizer.model, models.WordLevel) else None
    if unk is not None:
        sources = [[unk]] * new
        shares = np.append(counts[unk], counts[old:]) + 1.0
        shifts = np.log(shares / shares.sum()).astype(np.float32)
    else:
        sources = _old_pieces(tokenizer, old)
        shifts = np.zeros(new + 1, np.float32)
    for name in ("embedding.weight", "output.weight", "output.bias"):
        if name in weights:
            rows = [weights[name][pieces].mean(0) for pieces in sources]
            grown[name] = np.concatenate([weights[name], np.stack(rows).astype(np.float32)])
    grown["output.bias"][old:] += shifts[1:]
    if unk is not None:
        grown["output.bias"][unk] += shifts[0]
    return grown


def _units(tokenizer: Tokenizer, line: str) -> Iterator[str]:
    """What the tokenizer looks up: words, characters, or words as bytes."""
    text = tokenizer.normalizer.normalize_str(line) if tokenizer.normalizer else line
    if tokenizer.pre_tokenizer is None:
        return iter([text] if text else [])
    return (unit for unit, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text))


def _has_affixes(model: dict[str, object]) -> bool:
    return bool(model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"))


def _learn_merges(
    words: Mapping[tuple[str, ...], int],
    *,
    size: int,
    min_count: int,
    known: Mapping[str, int],
    unknown: str | None = None,
) -> Iterator[_Pair]:
    """Yield the commonest pairs of neighbours, each merged before the next is chosen.

    As in Sennrich et al. 2016; equally common pairs come in alphabetical order. A pair that spells
    a known token is left alone, and so is one with the name of the unknown piece, `unknown`.
    """
    spelt, frequencies = [list(word) for word in words], list(words.values())
    counts: Counter[_Pair] = Counter()
    where: defaultdict[_Pair, set[int]] = defaultdict(set)
    for index, symbols in enumerate(spelt):
        _count(symbols, index, frequencies[index], counts, where)
    waiting = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(waiting)
    while size and waiting:
        count, pair = heapq.heappop(waiting)
        if -count != counts[pair]:  # it became rarer while it waited
            if counts[pair] >= min_count:
                heapq.heappush(waiting, (-counts[pair], pair))
            continue
        if -count < min_count:
            return
        if "".join(pair) in known or unknown in pair:
            continue
        yield pair
        size -= 1
        changed: set[_Pair] = set()
        for index in list(where[pair]):
            symbols, frequency = spelt[index], frequencies[index]
            for old in itertools.pairwise(symbols):
                counts[old] -= frequency
            spelt[index] = merged = _merge(symbols, pair)
            changed |= _count(merged, index, frequency, counts, where)
        for each in changed:
            heapq.heappush(waiting, (-counts[each], each))


def _count(
    symbols: list[str],
    index: int,
    frequency: int,
    counts: Counter[_Pair],
    where: defaultdict[_Pair, set[int]],
) -> set[_Pair]:
    """Count the pairs of a word, and return them."""
    pairs = list(itertools.pairwise(symbols))
    for pair in pairs:
        counts[pair] += frequency
        where[pair].add(index)
    return set(pairs)


def _merge(symbols: list[str], pair: _Pair) -> list[str]:
    merged: list[str] = []
    position = 0
    while position < len(symbols):
        found = tuple(symbols[position : position + 2]) == pair
        merged.append("".join(pair) if found else symbols[position])
        position += 2 if found else 1
    return merged


def _old_pieces(tokenizer: Tokenizer, old: int) -> list[list[int]]:
    """The old pieces that each new one is merged from, by the ids from `old` on."""
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    pieces = {token: [index] for token, index in vocabulary.items() if index < old}
    for left, right in json.loads(tokenizer.to_str())["model"]["merges"]:
        pieces.setdefault(left + right, [*pieces[left], *pieces[right]])
    by_id = sorted((index, token) for token, index in vocabulary.items() if index >= old)
    return [pieces[token] for _, token in by_id]
