"""Markdown tables of models: perplexity on validation and test text, and what export measured.

Usage: python recipes/table.py MODEL...   (each holding ppl-valid.json and ppl-test.json)
"""

from __future__ import annotations

import json
import sys

from lmscore.bundle import Bundle


def print_perplexities(models: list[Bundle]) -> None:
    print("| row | network | parameters | epochs | minutes | validation | test |")
    print("|---|---|---|---|---|---|---|")
    for model in models:
        valid, test = (
            json.loads((model.path / f"ppl-{text}.json").read_text())["perplexity"]
            for text in ("valid", "test")
        )
        print(
            f"| {model.path.name} | {describe(model)} | {model.config.num_parameters / 1e6:.2f}M "
            f"| {model.config.training['epochs']:.2f} | {model.config.training['minutes']:.0f} "
            f"| {valid:.1f} | {test:.1f} |"
        )


def describe(model: Bundle) -> str:
    tied = "tied" if model.config.tie_word_embeddings else "untied"
    return f"{model.config.architecture}, {tied}"


def print_parity(models: list[Bundle]) -> None:
    print("| row | fp32: largest difference | int8: largest difference ", end="")
    print("| int8: batched or alone | int8: perplexity |\n|---|---|---|---|---|")
    for model in models:
        fp32, int8 = model.config.graphs["fp32"], model.config.graphs["int8"]
        print(
            f"| {model.path.name} | {fp32.max_log_prob_difference:.1e} "
            f"| {int8.max_log_prob_difference:.2f} | {int8.max_batching_difference:.2g} "
            f"| {100 * int8.perplexity_change:+.3f} % |"
        )


def main() -> None:
    models = [Bundle.read(path) for path in sys.argv[1:]]
    print_perplexities(models)
    print()
    print_parity(models)


if __name__ == "__main__":
    main()
