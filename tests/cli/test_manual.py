"""The page of all options, of which the man page is made."""

from __future__ import annotations

from lmscore.cli.app import VERBS
from lmscore.cli.manual import manual


def test_every_verb_with_its_options() -> None:
    page = manual()
    names = [line.split(maxsplit=2)[2] for line in page.splitlines() if line.startswith("## ")]
    inner = [f"{name} {each}" for name, verb in VERBS.items() for each in verb.verbs]
    assert set(names) == {*VERBS, *inner}
    assert page.count("```") == 2 * (1 + len(names))
    score = page.partition("## lmscore score\n")[2].partition("## ")[0]
    for option in ("--model", "--per", "--threads", "--input-format"):
        assert option in score
    assert VERBS["score"].example in score
