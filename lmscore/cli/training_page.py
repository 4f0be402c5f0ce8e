"""`lmscore train --html`: the curves of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmscore.cli.report_files import write_page
from lmscore.cli.run_records import RunRecord

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lmscore.pages import Point

Record = Mapping[str, Any]


def write_training_page(path: Path, folder: Path, said: str | None) -> None:
    """Write the curves of the run in a folder; raises OutputFileError.

    `said` is what the run came to; None: it was stopped, or failed.
    """
    from lmscore.pages import element

    records = RunRecord.read(folder).records
    body = [
        element("h1", f"Training of {folder.resolve().name}"),
        element("p", said or "The run has not come to its end."),
    ]
    if records:
        body += _charts(records)
    else:
        body.append(element("p", "Nothing is recorded yet."))
    options = folder / "train.json"
    if options.is_file():
        shown = json.dumps(json.loads(options.read_text(encoding="utf-8")), indent=2)
        body.append(element("details", element("summary", "Options"), element("pre", shown)))
    write_page(path, f"Training of {folder.resolve().name}", body)


def _charts(records: Sequence[Record]) -> Iterator[Element]:
    from lmscore.pages import Axis, Series, chart
    from lmscore.train import EVALUATED

    held_out = [
        key
        for key in dict.fromkeys(key for record in records for key in record)
        if key == EVALUATED or key.startswith(f"{EVALUATED}/")
    ]
    names = {key: f"held out {key.partition('/')[2]}".strip() for key in held_out}
    losses = {"training": _points(records, "loss")}
    losses |= {name: _points(records, key) for key, name in names.items()}
    curves: list[tuple[str, str, dict[str, list[Point]], bool]] = [
        ("Loss", "nats per token", losses, False),
        ("Learning rate", "", {"": _points(records, "learning_rate")}, False),
        ("Gradient norm before clipping", "", _parts(records, "gradient_norms"), True),
        ("Share of updates that were clipped", "", {"": _points(records, "clipping_rate")}, False),
        ("Dead units", "share of a layer", _parts(records, "dead_units"), False),
        ("Speed", "tokens per second", {"": _points(records, "tokens_per_second")}, False),
    ]
    for caption, unit, lines, is_log in curves:
        if any(lines.values()):
            series = [Series(name, points) for name, points in lines.items() if points]
            yield chart(caption, series, x=Axis("update"), y=Axis(unit, is_log=is_log))
    yield from _lags(records)


def _lags(records: Sequence[Record]) -> Iterator[Element]:
    """How far back the loss reaches, at the last evaluation."""
    from lmscore.pages import Axis, Series, chart

    found = [record["gradient_by_lag"] for record in records if "gradient_by_lag" in record]
    if not found:
        return
    series = [
        Series(f"{state}, layer_{layer}", list(enumerate(_numbers(norms), 1)))
        for state, layers in found[-1].items()
        for layer, norms in enumerate(layers)
    ]
    yield chart(
        "How far back the loss reaches",
        series,
        x=Axis("k, tokens back"),
        y=Axis("norm of d loss(t) / d state(t - k)", is_log=True),
    )


def _points(records: Sequence[Record], key: str) -> list[Point]:
    """The values of a key by update; what is null was no finite number."""
    return [(r["step"], r[key]) for r in records if r.get(key) is not None]


def _parts(records: Sequence[Record], key: str) -> dict[str, list[Point]]:
    """The same for a key that holds several values, by name or by layer."""
    found: dict[str, list[Point]] = {}
    for record in records:
        values = record.get(key, {})
        named = values if isinstance(values, Mapping) else dict(enumerate(values))
        for name, value in named.items():
            label = f"layer_{name}" if isinstance(name, int) else name
            if value is not None:
                found.setdefault(label, []).append((record["step"], value))
    return found


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
