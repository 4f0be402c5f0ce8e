"""A comparison of a model directory with its export records and with PyTorch's results."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lmscore.bundle import (
    EXPORT_AGAIN,
    FP16,
    FP32,
    INT8,
    PARITY_FILE,
    TOKENIZER_FILE,
    Bundle,
    GraphRecord,
    Parity,
    graph_file,
    layout_file,
)
from lmscore.errors import InputFileError, ModelError, ModelNotFoundError, VariantError
from lmscore.runtime.checking.graph_check import (
    MAX_DIFFERENCE,
    MAX_DIFFERENCES,
    MAX_HALF_PERPLEXITY_CHANGE,
    MAX_HEAD_DIFFERENCE,
    Difference,
    GraphCheck,
    check_graph,
    compare_graphs,
)
from lmscore.runtime.engine import CPU_DEVICE, Engine, import_onnxruntime
from lmscore.runtime.load import find_model
from lmscore.runtime.text import TextTokenizer

QUANTIZED_SLACK = 0.05
"""The tolerance for an 8-bit graph's log-probs (nats): another machine may round another way."""

_PERPLEXITY_SLACK = {FP32: MAX_DIFFERENCE, FP16: MAX_HALF_PERPLEXITY_CHANGE}
_QUANTIZED_PERPLEXITY_SLACK = 0.01

_SPOILT = (ModelError, ModelNotFoundError, InputFileError)


@dataclass(frozen=True)
class Finding:
    """One comparison: its numbers, and the problem if there is one."""

    file: str
    what: str
    problem: str | None = None  # what is wrong and what to do; None if all is well
    measured: float | str | None = None  # here; None if there is nothing to measure
    recorded: float | str | None = None  # at export; None if nothing was recorded
    limit: float | None = None  # the largest allowed value


@dataclass(frozen=True)
class ModelCheck:
    """The findings of `check_model`."""

    path: Path
    device: str  # where the graphs ran
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[str]:
        """The problems among the findings, a line each; empty if the model is as exported."""
        return [finding.problem for finding in self.findings if finding.problem is not None]


def check_model(
    path: str | Path | None = None,
    *,
    variants: Sequence[str] | None = None,
    device: str = CPU_DEVICE,
    threads: int | None = None,
    trust: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> ModelCheck:
    """Check that a model computes the same here as in PyTorch where it was trained.

    No torch is needed: `parity.npz` holds PyTorch's results. Each graph runs whole sequences,
    chunks and single steps, padded in a batch and alone, with rows re-ordered by `parents`, with
    all numbers of targets and best tokens, and a held-out sample; int8 is compared with fp32.
    Hashes tie the files to config.json, those of layouts for other programs, too, which are not
    run. The check finds damage, mixed-up files and a machine that
    computes otherwise. It is no signature: whoever can write all the files can make them agree.

    Args:
        path: as in `lmscore.load`.
        variants: "fp32", "int8", ... Default: all variants in the directory.
        device: "cpu", "cuda", ...: where the graphs run.
        threads: the number of CPU threads. Default: one per core.
        trust: as in `lmscore.load`.
        progress: called with the name of each file before it is checked.

    Raises:
        ModelNotFoundError: no such directory, or it has no config.json or parity.npz.
        ModelError: config.json or parity.npz is damaged.
        VariantError: a requested variant, or any variant at all, was not exported.
        OptionError, DeviceError, MissingExtraError: as `lmscore.load`.
    """
    bundle = Bundle.read(find_model(path))
    parity = Parity.load(bundle)
    if not bundle.variants():
        raise VariantError(f"{bundle.path}: no exported graph; {EXPORT_AGAIN}")
    checker = _Checker(bundle, parity, device, threads)
    names = dict.fromkeys(variants or bundle.variants())
    progress("tokenizer.json")
    findings = [checker.tokenizer(trust=trust)]
    for name in names:
        progress(graph_file(name))
        findings += checker.graph(name)
        findings += checker.layouts(name)
    if FP32 in checker.engines and INT8 in checker.engines:
        findings.append(checker.int8_against_fp32())
    devices = {engine.device for engine in checker.engines.values()} or {device}
    return ModelCheck(bundle.path, ", ".join(sorted(devices)), tuple(findings))


class _Checker:
    """Checks one file after the other, and keeps the engines of graphs that could be run."""

    def __init__(self, bundle: Bundle, parity: Parity, device: str, threads: int | None) -> None:
        self.engines: dict[str, Engine] = {}
        self._bundle = bundle
        self._parity = parity
        self._device = device
        self._threads = threads

    def tokenizer(self, *, trust: bool) -> Finding:
        what = "hash, vocabulary, special ids"
        try:
            TextTokenizer.load(self._bundle, trust=trust)
        except _SPOILT as error:
            return Finding(TOKENIZER_FILE, what, str(error))
        return Finding(TOKENIZER_FILE, what)

    def graph(self, variant: str) -> Iterator[Finding]:
        """Read and run a graph; a graph that cannot be read or run is a finding as well."""
        file, what = graph_file(variant), "size, hash, inputs, outputs"
        try:
            engine = Engine.load(self._bundle, variant, device=self._device, threads=self._threads)
            report = check_graph(engine, self._parity)
        except _SPOILT as error:
            yield Finding(file, what, str(error))
            return
        self.engines[variant] = engine
        record = self._bundle.config.graphs[variant]
        yield Finding(file, what)
        yield Finding(file, "run with", None, _runtime_name(), record.checked_with)
        yield from self._differences(file, report, record, variant)
        yield self._perplexity(file, report, record, variant)
        yield from self._scores(file, report, record, variant)

    def layouts(self, variant: str) -> Iterator[Finding]:
        """Compare the layouts of a variant with their hashes."""
        for layout, of_variant in self._bundle.layouts():
            if of_variant != variant:
                continue
            file, what = layout_file(layout, variant), "size, hash"
            try:
                self._bundle.layout_path(layout, variant)
            except _SPOILT as error:
                yield Finding(file, what, str(error))
            else:
                yield Finding(file, what)

    def int8_against_fp32(self) -> Finding:
        """Compare int8 with fp32: they differ at most by the sum of both distances from PyTorch."""
        found = compare_graphs(self.engines[INT8], self.engines[FP32], self._parity)
        records = [self._bundle.config.graphs[variant] for variant in (INT8, FP32)]
        limit = QUANTIZED_SLACK + sum(record.max_log_prob_difference for record in records)
        return self._judge(graph_file(INT8), "log-probs from fp32's, nats", found, None, limit)

    def _differences(
        self, file: str, report: GraphCheck, record: GraphRecord, variant: str
    ) -> Iterator[Finding]:
        log_probs, steps, batching = _limits(record, variant)
        state = MAX_DIFFERENCES.get(variant, math.inf)
        from_pytorch, in_batches = record.max_log_prob_difference, record.max_batching_difference
        for what, found, recorded, limit in (
            ("log-probs from PyTorch's, nats", report.log_probs, from_pytorch, log_probs),
            ("states from PyTorch's, relative", report.state, None, state),
            ("steps from whole sequences, nats", report.steps, None, steps),
            ("rows picked by parents, nats", report.parents, None, steps),
            ("padded in a batch from alone, nats", report.batching, in_batches, batching),
            ("targets and best tokens, nats", report.heads, None, MAX_HEAD_DIFFERENCE),
        ):
            yield self._judge(file, what, found, recorded, limit)

    def _perplexity(
        self, file: str, report: GraphCheck, record: GraphRecord, variant: str
    ) -> Finding:
        measured, recorded = report.perplexity_change, record.perplexity_change
        return self._drift(
            file,
            f"held-out perplexity ({report.perplexity:.4g}) from PyTorch's, relative",
            measured,
            recorded,
            _PERPLEXITY_SLACK.get(variant, _QUANTIZED_PERPLEXITY_SLACK),
            f"held-out perplexity is {report.perplexity:.4g}, {_percent(measured)} from "
            f"PyTorch's, export recorded {_percent(recorded)}",
        )

    def _scores(
        self, file: str, report: GraphCheck, record: GraphRecord, variant: str
    ) -> Iterator[Finding]:
        """Check scores without the softmax and log Z of a self-normalised model."""
        if report.log_z is None or record.log_z is None:
            return
        limit = MAX_DIFFERENCES.get(variant, math.inf)
        yield self._judge(file, "scores from PyTorch's, nats", report.scores, None, limit)
        for what, measured, recorded in (
            ("mean of log Z, nats", report.log_z.mean, record.log_z.mean),
            ("deviation of log Z, nats", report.log_z.std, record.log_z.std),
        ):
            problem = f"{what}: {measured:.3g}, export recorded {recorded:.3g}"
            yield self._drift(file, what, measured, recorded, QUANTIZED_SLACK, problem)

    def _drift(
        self, file: str, what: str, measured: float, recorded: float, slack: float, problem: str
    ) -> Finding:
        """Check that a figure is within `slack` of the one that export recorded."""
        is_near = abs(measured - recorded) <= slack
        found = None if is_near else self._problem(file, problem)
        return Finding(file, what, found, measured, recorded, recorded + slack)

    def _judge(
        self, file: str, what: str, found: Difference, recorded: float | None, limit: float
    ) -> Finding:
        problem = None
        if found.value > limit or not math.isfinite(found.value):
            problem = self._problem(
                file, f"{what}: {found.value:.3g} at {found.where}, limit {limit:.3g}"
            )
        shown = limit if math.isfinite(limit) else None
        return Finding(file, what, problem, found.value, recorded, shown)

    def _problem(self, file: str, what: str) -> str:
        return (
            f"{self._bundle.path / file}: {what}; "
            f"copy it and {PARITY_FILE} again, or {EXPORT_AGAIN}"
        )


def _limits(record: GraphRecord, variant: str) -> tuple[float, float, float]:
    """The largest allowed differences of log-probs, of steps and of batching, in nats."""
    if variant in MAX_DIFFERENCES:
        limit = MAX_DIFFERENCES[variant]
        return limit, limit, limit
    # 8-bit scales that follow the batch (rnn-relu) follow the length of a chunk as well.
    moves = record.max_batching_difference > MAX_DIFFERENCE
    return (
        QUANTIZED_SLACK + record.max_log_prob_difference,
        QUANTIZED_SLACK + (2 * record.max_log_prob_difference if moves else 0),
        QUANTIZED_SLACK + record.max_batching_difference,
    )


def _percent(share: float) -> str:
    return f"{round(share, 4) + 0.0:+.2%}"  # + 0.0: no -0.00


def _runtime_name() -> str:
    return f"onnxruntime {import_onnxruntime().__version__}"
