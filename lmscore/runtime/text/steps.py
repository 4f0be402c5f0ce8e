"""The steps that a loaded tokenizer is made of, as a tokenizer.json writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Step = dict[str, Any]

_MEMBERS = ("normalizers", "pretokenizers", "processors", "decoders")  # of sequences of steps


def steps_of(part: Any | None) -> list[Step]:
    """The steps of a normalizer, pre-tokenizer, post-processor or decoder; none for None.

    Those of a sequence stand in its place. The vocabulary is not read for them.
    """
    return [] if part is None else list(_flat(json.loads(part.__getstate__())))


def _flat(step: Step) -> Iterator[Step]:
    key = next((key for key in _MEMBERS if key in step), None)
    if key is None:
        yield step
        return
    for member in step[key]:
        yield from _flat(member)
