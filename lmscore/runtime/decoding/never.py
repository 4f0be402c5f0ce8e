"""Tokens that no continuation has."""

from __future__ import annotations

from lmscore.bundle import Config


def never_generated(config: Config, *, unk: bool) -> list[int]:
    """The ids of <s>, unless it is </s> too, and of <unk>, unless it is wanted (`unk`)."""
    never = [] if config.bos_token_id == config.eos_token_id else [config.bos_token_id]
    if config.unk_token_id is not None and not unk:
        never.append(config.unk_token_id)
    return never
