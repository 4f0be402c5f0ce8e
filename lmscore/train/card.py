"""The model card, README.md of a model directory: the network, the text, the perplexity.

It begins with fields in YAML, by which the Hub finds models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmscore.bundle import Config
from lmscore.runtime.scoring import rounded

_CARD = """\
---
library_name: lmscore
pipeline_tag: text-generation
tags:
- language-model
- perplexity
- rescoring
- onnx
- {config.cell}
---

# {config.cell} language model

A recurrent language model for lmscore, trained on {training[date]}.

| | |
|---|---|
| architecture | {config.architecture}, {tied} embeddings |
| parameters | {config.num_parameters:,} |
| vocabulary | {config.vocab_size:,} ({config.tokenizer}) |
| output layer | {config.output_summary} |
| context | {config.context} |
| trained on | {files}: {train[lines]:,} lines, {train[words]:,} words, {train[tokens]:,} tokens\
{unknown} |
| training | {training[updates]:,} updates, {training[epochs]:g} epochs, \
{training[minutes]:g} minutes, {training[precision]} on {training[device]}{start} |

Held-out text: {valid_files}. Each line ends with one `</s>`: a token and a word.

| text | tokens | OOVs | perplexity per token | without OOVs | per word | bits per character |
|---|---|---|---|---|---|---|
{rows}
{note}
The licence of the text decides what may be done with the model: state it here before you share it.
"""


_NOTE = """
OOVs are unknown words or characters; their share is of the tokens without `</s>`. The model
predicts that one comes and does not spell it, so bits per character are too low, and not
comparable with those of another vocabulary; `lmscore ppl --oov-cost MODEL` adds what the spelling
costs.
"""


def model_card(config: Config) -> str:
    """The card of a model that has just been trained."""
    training, valid = config.training, config.training["valid"]
    texts = {"held out": valid, **valid.get("texts", {})}
    return _CARD.format(
        config=config,
        tied="tied" if config.tie_word_embeddings else "untied",
        training=training,
        train=training["train"],
        start=_start(training),
        unknown=f", {_oovs(training['train'])} OOVs" if config.unk_token_id is not None else "",
        files=", ".join(training["train_files"]),
        valid_files=", ".join(training["valid_files"]) or "lines of the same files, not trained on",
        rows="\n".join(_row(name, found) for name, found in texts.items()),
        note=_NOTE if valid["oov"] else "",
    )


def _start(training: Mapping[str, Any]) -> str:
    """A note for a model whose weights no update has bettered."""
    if training.get("best_update") != 0:
        return ""
    source = training["options"].get("init_from")
    of = f", of {source}" if source else ""
    return f"; the weights are those that it began with{of}: no evaluation found better ones"


def _row(name: str, found: Mapping[str, Any]) -> str:
    figures = (
        name,
        f"{found['tokens']:,}",
        _oovs(found),
        _figure(found["perplexity"], 2),
        _figure(found["perplexity_excluding_oovs"], 2),
        _figure(found["perplexity_per_word"], 2),
        _figure(found["bits_per_character"], 4),
    )
    return f"| {' | '.join(figures)} |"


def _oovs(found: Mapping[str, Any]) -> str:
    """The number of unknown tokens, and their share of the tokens without </s>."""
    share = found["oov"] / max(1, found["tokens"] - found["lines"])
    return f"{found['oov']:,} ({share:.2%})" if found["oov"] else "0"


def held_out_sentence(config: Config) -> str:
    """One line with the held-out perplexity of a model that has just been trained."""
    valid = config.training["valid"]
    known = f" ({_figure(valid['perplexity_excluding_oovs'], 2)} without OOVs)"
    void = f" (too low: {_oovs(valid)} tokens are OOVs, which are not spelt)"
    return (
        f"held-out perplexity {_figure(valid['perplexity'], 2)} per token"
        f"{known if valid['oov'] else ''}, "
        f"{_figure(valid['perplexity_per_word'], 2)} per word, "
        f"{_figure(valid['bits_per_character'], 4)} bits per character"
        f"{void if valid['oov'] else ''}"
    )


def _figure(value: float | None, digits: int) -> str:
    """Format a figure; if each line is one long word, its perplexity may not fit a float."""
    return "beyond 1e308" if value is None else rounded(value, digits)
