"""Model directories of any size for benchmarks: after one update, speed is all they show."""

from __future__ import annotations

import argparse
from pathlib import Path


def make_model(
    folder: Path,
    text: str,
    *,
    vocab: int = 10_000,
    hidden: int = 650,
    layers: int = 2,
    cell: str = "lstm",
    tokenizer: str = "word",
    variants: tuple[str, ...] = ("fp32", "int8"),
    output: str = "softmax",
) -> Path:
    """A model whose tokenizer is made from `text`, in a folder of its own; made once.

    output: softmax, classes (chosen from the counts of `text`), or self-normalised.
    """
    from lmscore.export import export_model
    from lmscore.train import TrainOptions, train

    kind = "" if output == "softmax" else f"-{output}"
    made = folder / f"{cell}-{tokenizer}-{vocab}-{hidden}x{layers}{kind}"
    if (made / "done").exists():
        return made
    options = TrainOptions(
        train=(text,),
        output=str(made),
        tokenizer=tokenizer,
        vocab_size=vocab,
        hidden_size=hidden,
        layers=layers,
        cell=cell,  # type: ignore[arg-type]
        epochs=1e-9,
        evaluations=0,
        learning_rate=1e-9,
        output_layer="classes" if output == "classes" else "softmax",
        self_normalize=0.1 if output == "self-normalised" else 0.0,
    )
    bundle = train(options)
    if bundle.config.vocab_size < vocab:
        raise SystemExit(
            f"{text} has {bundle.config.vocab_size} types, not {vocab}; give more text"
        )
    export_model(made, variants=variants)
    (made / "done").touch()
    return made


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options that say which model is measured."""
    parser.add_argument("--model", help="default: one with random weights, made from TEXT")
    parser.add_argument("--vocab", type=int, default=10_000)
    parser.add_argument("--hidden", type=int, default=650)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("runs/benchmarks"))


def chosen_model(options: argparse.Namespace) -> str:
    """The directory of the model that the options ask for."""
    sizes = {"vocab": options.vocab, "hidden": options.hidden, "layers": options.layers}
    return options.model or str(make_model(options.work, options.text, **sizes))
