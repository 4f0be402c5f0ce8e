"""The record of a training run, as pictures and findings need it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmscore.errors import InputFileError

Record = Mapping[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """A training directory, and what its metrics.jsonl says."""

    folder: Path
    records: Sequence[Record]

    @classmethod
    def read(cls, folder: Path) -> RunRecord:
        """Read a run; of one that never came to training there are no records.

        Raises InputFileError if a line is no record.
        """
        from lmscore.train import METRICS_FILE

        path = folder / METRICS_FILE
        if not path.is_file():
            return cls(folder, [])
        records = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise InputFileError(f"{path}:{number}: not JSON: {error}") from error
            if not isinstance(record, dict) or not isinstance(record.get("step"), int):
                raise InputFileError(f"{path}:{number}: no record of a training")
            records.append(record)
        return cls(folder, records)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.resolve().name

    @property
    def title(self) -> str:
        """The name, and the network in a few words where the run has recorded it."""
        try:
            options = json.loads((self.folder / "train.json").read_text(encoding="utf-8"))
            network = f"{options['layers']} x {options['cell']}, {options['hidden_size']} units"
        except (OSError, ValueError, KeyError, TypeError):
            return self.name
        return f"{self.name}: {network}"

    @property
    def updates(self) -> list[Record]:
        """The records of updates, with their loss and gradients."""
        return [record for record in self.records if "gradient_norms" in record]

    @property
    def evaluations(self) -> list[Record]:
        """The records of evaluations, with the held-out loss and the gradients by lag."""
        return [record for record in self.records if "gradient_by_lag" in record]

    @property
    def failure(self) -> Record | None:
        """The record of the update whose loss or gradient was not finite, if there was one."""
        failed = [record for record in self.records if "failed_loss" in record]
        return failed[-1] if failed else None
