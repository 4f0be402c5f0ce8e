"""The ATIS lists of HyPoradise, parted: what a model is trained on, and what weights are tuned on.

Usage: python recipes/atis_split.py TRAIN.json DIR

A model's scores of sentences it was trained on are too good, so weights are not tuned on those: of
the lists, in random order, the references of 2,900 go to DIR/adapt.txt and of 100 to DIR/valid.txt;
the other lists go to DIR/tune.json. DIR/adapt.tsv and DIR/valid.tsv have a pair for each hypothesis
of the same lists: what the recogniser heard, and the reference.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path


def main() -> None:
    lists, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    random.Random(0).shuffle(lists)
    for name, part in {"adapt": lists[:2900], "valid": lists[2900:3000]}.items():
        references = [one["output"] for one in part]
        (out / f"{name}.txt").write_text("".join(f"{line}\n" for line in references))
        pairs = [f"{heard}\t{one['output']}\n" for one in part for heard in one["input"]]
        (out / f"{name}.tsv").write_text("".join(pairs))
    (out / "tune.json").write_text(json.dumps(lists[3000:]))


if __name__ == "__main__":
    main()
