"""Model directories of any size for benchmarks: after one update, speed is all they show."""

from __future__ import annotations

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
) -> Path:
    """A model whose tokenizer is made from `text`, in a folder of its own; made once."""
    from lmscore.export import export_model
    from lmscore.train import TrainOptions, train

    made = folder / f"{cell}-{tokenizer}-{vocab}-{hidden}x{layers}"
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
    )
    bundle = train(options)
    if bundle.config.vocab_size < vocab:
        raise SystemExit(
            f"{text} has {bundle.config.vocab_size} types, not {vocab}; give more text"
        )
    export_model(made, variants=variants)
    (made / "done").touch()
    return made
