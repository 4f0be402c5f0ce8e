"""Layouts built, compared with the model's own graph, and put in place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lmscore.bundle import (
    PARITY_FILE,
    Bundle,
    Config,
    LayoutRecord,
    Parity,
    Weights,
    layout_file,
    load_weights,
)
from lmscore.errors import ExportError, OptionError, needs_extra
from lmscore.export.builder import GraphBuilder
from lmscore.export.graph import add_network, make_file
from lmscore.export.layouts.comparison import compare
from lmscore.export.layouts.flat_state import RASR, RASR_SCORER, TRITON, triton_config
from lmscore.export.layouts.layout import Layout
from lmscore.export.layouts.sherpa import OFFLINE, ONLINE
from lmscore.files import atomic_write, atomic_write_bytes
from lmscore.runtime.engine import Engine, import_onnxruntime, open_session

with needs_extra("export"):
    from onnx import ModelProto

LAYOUTS: Mapping[str, Layout] = {
    each.name: each for each in (ONLINE, OFFLINE, RASR, RASR_SCORER, TRITON)
}
"""The programs whose contracts are known, by the name of the layout."""

_TOLERANCE = 1e-3  # nats: the same nodes, in a run of another shape
_PADDED = 16  # tokens, at most, whose 8-bit steps depend on padding where the state has no bound


def check_layout(name: str) -> None:
    """Raise OptionError if there is no such layout."""
    if name not in LAYOUTS:
        raise OptionError(f"no layout {name!r}; there are {', '.join(LAYOUTS)}")


def export_layout(path: str | Path, name: str, *, variant: str) -> tuple[Path, LayoutRecord]:
    """Write a model's graph in another program's layout; return its file and what was measured.

    The file takes its name only after it gave the log-probabilities that the model's own graph of
    the variant gives for the sequences of parity.npz; config.json records it.

    Raises:
        OptionError: there is no such layout.
        ModelNotFoundError, ModelError: the directory is not a trained model.
        VariantError: the model was not exported to the variant.
        ExportError: the model reads backwards, or the graph gives something else.
        OutputFileError: a file cannot be written.
    """
    check_layout(name)
    bundle, layout = Bundle.read(path), LAYOUTS[name]
    if bundle.config.direction == "backward":
        raise ExportError(f"{bundle.path}: reads sentences from their ends, and {name} forward")
    weights, parity = load_weights(bundle), Parity.load(bundle)
    engine = Engine.load(bundle, variant, device="cpu", threads=1)
    target = bundle.path / layout_file(name, variant)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = _write(target, layout, weights, engine, parity)
    if layout is TRITON:
        _write_repository(target.parents[1], engine)
    bundle.record_layout(name, variant, record)
    return target, record


def build_layout(config: Config, weights: Weights, variant: str, layout: Layout) -> ModelProto:
    """Build the graph of a layout around the nodes of a variant."""
    builder = GraphBuilder(chooses_rows=False)
    layout.before(builder, config)
    add_network(builder, config, weights, variant, config.graphs[variant].in_fp32)
    layout.after(builder, config)
    metadata = {"layout": layout.name, "variant": variant, **layout.metadata(config)}
    return make_file(builder, layout.inputs(config), layout.outputs(config), metadata)


def _write(
    target: Path, layout: Layout, weights: Weights, engine: Engine, parity: Parity
) -> LayoutRecord:
    config: Config = engine.config
    model = build_layout(config, weights, engine.variant, layout)
    data: bytes = model.SerializeToString(deterministic=True)
    with atomic_write(target) as file:
        file.write(data)
        file.flush()
        session = open_session(Path(os.fspath(file.name)), device="cpu", threads=1)
        difference = compare(session, layout.name, engine, parity)
        moves = config.graphs[engine.variant].max_batching_difference
        if not difference <= _TOLERANCE + _PADDED * moves:
            raise ExportError(
                f"{target} not written: {difference:.2g} nats from the model's own graph on "
                f"{PARITY_FILE}; please report it"
            )
    return LayoutRecord(
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        max_difference=difference,
        checked_with=f"onnxruntime {import_onnxruntime().__version__}",
    )


def _write_repository(folder: Path, engine: Engine) -> None:
    """Write config.pbtxt, and the state after `<s>` that a sequence begins with."""
    state = engine.read(np.zeros(0, np.int64)).state.on_host()
    flat = np.concatenate([np.asarray(tensor)[:, 0].ravel() for tensor in state.tensors])
    (folder / "initial_state").mkdir(exist_ok=True)
    atomic_write_bytes(folder / "initial_state" / "after_bos", flat.astype("<f4").tobytes())
    atomic_write_bytes(folder / "config.pbtxt", triton_config(engine.config).encode())
