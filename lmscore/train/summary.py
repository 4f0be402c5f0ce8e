"""What config.json and the model card say about a model's training."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from lmscore.bundle import TOKENIZER_KINDS
from lmscore.train.options import TrainOptions
from lmscore.train.precision import matrix_dtype
from lmscore.train.prepare import Prepared
from lmscore.train.texts import held_out_files
from lmscore.train.trainer import Trainer


def training_summary(
    trainer: Trainer, prepared: Prepared, result: dict[str, Any]
) -> dict[str, Any]:
    """The entry `training` of config.json; `result` are the figures of the held-out text."""
    train, valid = prepared.train, prepared.valid.whole
    options, position = trainer.options, trainer.position
    device = trainer.network.device
    bf16 = matrix_dtype(options.precision, device) == torch.bfloat16
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "options": _shared(options),
        "train_files": [Path(path).name for path in options.train],
        "valid_files": [
            Path(path).name for paths in held_out_files(options).values() for path in paths
        ],
        "train": dataclasses.asdict(train.counts),
        "valid": {**dataclasses.asdict(valid.counts), **result},
        "updates": position.step,
        "best_update": position.best_step,  # the weights are those after it
        "tokens": position.tokens,
        "epochs": round(trainer.epochs, 3),
        "minutes": round(position.seconds / 60, 1),
        "device": device.type,
        "precision": "bf16" if bf16 else "fp32",
        "torch": torch.__version__,
    }


def _shared(options: TrainOptions) -> dict[str, Any]:
    """The options that shaped a model, without the ones that name places on a disk."""
    private = ("output", "train", "valid", "tensorboard", "checkpoint_minutes")
    shown = {key: value for key, value in options.in_force().items() if key not in private}
    if options.tokenizer not in TOKENIZER_KINDS:
        shown["tokenizer"] = Path(options.tokenizer).name
    for name in ("vocabulary", "embeddings"):
        if path := getattr(options, name):
            shown[name] = Path(path).name
    if options.init_from:
        shown["init_from"] = Path(options.init_from).resolve().name
    if options.teacher:
        shown["teacher"] = [Path(path).resolve().name for path in options.teacher]
    return shown
