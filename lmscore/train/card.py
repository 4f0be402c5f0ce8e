"""README.md of a model directory: what was trained, on what, how well."""

from __future__ import annotations

from typing import Any

from lmscore.bundle import Config
from lmscore.runtime.scoring import rounded

_CARD = """\
# {name}

A recurrent language model for lmscore, trained on {date}.

| | |
|---|---|
| architecture | {architecture}, {tied} embeddings |
| parameters | {parameters:,} |
| vocabulary | {vocab:,} ({tokenizer}) |
| output layer | {output} |
| context | {context} |
| trained on | {files}: {lines:,} lines, {words:,} words, {tokens:,} tokens |
| training | {updates:,} updates, {epochs:g} epochs, {minutes:g} minutes, {precision} on {device} |

Held-out text ({valid_files}; {valid_tokens:,} tokens, one `</s>` a line):

| perplexity per token | per word, with `</s>` | bits per character |
|---|---|---|
| {perplexity} | {per_word} | {bits} |

The licence of the text decides what may be done with the model: state it here before you share it.
"""


def model_card(config: Config) -> str:
    """The card of a model that has just been trained."""
    training: dict[str, Any] = dict(config.training)
    train, valid = training["train"], training["valid"]
    return _CARD.format(
        name=f"{config.cell} language model",
        date=training["date"],
        architecture=config.architecture,
        tied="tied" if config.tie_word_embeddings else "untied",
        parameters=config.num_parameters,
        vocab=config.vocab_size,
        tokenizer=config.tokenizer,
        output=config.output_summary,
        context=config.context,
        files=", ".join(training["train_files"]),
        lines=train["lines"],
        words=train["words"],
        tokens=train["tokens"],
        updates=training["updates"],
        epochs=training["epochs"],
        minutes=training["minutes"],
        precision=training["precision"],
        device=training["device"],
        valid_files=", ".join(training["valid_files"]) or "every 100th line",
        valid_tokens=valid["tokens"],
        perplexity=_figure(valid["perplexity"], 2),
        per_word=_figure(valid["perplexity_per_word"], 2),
        bits=_figure(valid["bits_per_character"], 4),
    )


def held_out_sentence(config: Config) -> str:
    """How well the model that has just been trained predicts the held-out text, in one line."""
    valid = config.training["valid"]
    return (
        f"held-out perplexity {_figure(valid['perplexity'], 2)} per token, "
        f"{_figure(valid['perplexity_per_word'], 2)} per word, "
        f"{_figure(valid['bits_per_character'], 4)} bits per character"
    )


def _figure(value: float | None, digits: int) -> str:
    """Text without spaces is one word a line, whose perplexity may not fit a float."""
    return "beyond 1e308" if value is None else rounded(value, digits)
