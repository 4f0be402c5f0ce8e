"""The weights of the best evaluations, kept on disk so that their mean can be taken."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmscore.bundle import Bundle, Config, load_weights, save_weights
from lmscore.files import make_directory

BEST = "best"
"""The folder of a run that holds them."""

_Weights = Mapping[str, NDArray[np.float32]]


class BestWeights:
    """The weights of the `count` evaluations with the lowest losses: a folder for each."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder / BEST, count

    def add(self, weights: _Weights, loss: float, step: int) -> None:
        """Keep the weights of an evaluation if they are among the best, and their loss is finite.

        Raises OutputFileError if they cannot be written.
        """
        if not math.isfinite(loss):
            return
        # The names sort by the loss. An evaluation that is repeated after a crash replaces itself.
        place = self._folder / f"loss-{loss:012.6f}-step-{step:09d}"
        temporary = self._folder / f".{place.name}.tmp"
        make_directory(temporary)
        save_weights(temporary, weights)
        shutil.rmtree(place, ignore_errors=True)
        os.replace(temporary, place)
        for worse in self._kept()[self._count :]:
            shutil.rmtree(worse)

    def forget_after(self, step: int) -> None:
        """Remove what a run that goes on from an earlier update will do again."""
        for place in self._kept():
            if int(place.name.rpartition("-")[2]) > step:
                shutil.rmtree(place)

    def mean(self, config: Config) -> _Weights | None:
        """The mean of the kept weights; None if fewer than two are kept."""
        kept = self._kept()
        if len(kept) < 2:
            return None
        total = dict(load_weights(Bundle(kept[0], config)))
        for place in kept[1:]:
            for name, weight in load_weights(Bundle(place, config)).items():
                total[name] = total[name] + weight
        return {name: weight / np.float32(len(kept)) for name, weight in total.items()}

    def _kept(self) -> list[Path]:
        return sorted(self._folder.glob("loss-*"))
