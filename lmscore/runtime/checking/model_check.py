"""A model directory held against what its export recorded, and against PyTorch; without torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
"""Another machine may move an 8-bit graph's log-probs by this many nats: a rounding tips over."""

_PERPLEXITY_SLACK = {FP32: MAX_DIFFERENCE, FP16: MAX_HALF_PERPLEXITY_CHANGE}
_QUANTIZED_PERPLEXITY_SLACK = 0.01

_SPOILT = (ModelError, ModelNotFoundError, InputFileError)


@dataclass(frozen=True)
class Finding:
    """One comparison: its numbers, and the problem if there is one."""

    file: str
    what: str
    problem: str | None = None  # what is wrong and what to do; None where all is well
    measured: float | str | None = None  # here; None where there is nothing to measure
    recorded: float | str | None = None  # at export, if it was
    limit: float | None = None  # the largest that is allowed


@dataclass(frozen=True)
class ModelCheck:
    """The findings of `check_model`."""

    path: Path
    device: str  # where the graphs ran
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[str]:
        """The findings that are problems, a line each; empty where the model is as exported."""
        return [finding.problem for finding in self.findings if finding.problem is not None]


def check_model(
    path: str | Path | None = None,
    *,
    variants: Sequence[str] | None = None,
    device: str = CPU_DEVICE,
    threads: int | None = None,
) -> ModelCheck:
    """Check that a model computes here what PyTorch computed where it was trained.

    Needs no torch: `parity.npz` holds what it computed. Each graph runs whole sequences, chunks and
    single steps, padded in a batch and alone, with rows re-ordered by `parents`, with all numbers
    of targets and best tokens, and a held-out sample; int8 is compared with fp32. Hashes tie the
    files to config.json. That finds damage, mixed-up files and a machine that computes otherwise;
    it is no signature: whoever can write all the files can make them agree.

    Args:
        path: as in `lmscore.load`.
        variants: "fp32", "int8", ... Default: all that are in the directory.
        device: "cpu", "cuda", ...: where the graphs run.
        threads: of the CPU. Default: one per core.

    Raises:
        ModelNotFoundError: no such directory, or it has no config.json or parity.npz.
        ModelError: config.json or parity.npz is damaged.
        VariantError: a variant, or any, was not exported.
        OptionError, DeviceError, MissingExtraError: as `lmscore.load`.
    """
    bundle = Bundle.read(find_model(path))
    parity = Parity.load(bundle)
    if not bundle.variants():
        raise VariantError(f"{bundle.path}: no exported graph; {EXPORT_AGAIN}")
    checker = _Checker(bundle, parity, device, threads)
    names = dict.fromkeys(variants or bundle.variants())
    findings = [checker.tokenizer(), *(found for name in names for found in checker.graph(name))]
    if FP32 in checker.engines and INT8 in checker.engines:
        findings.append(checker.int8_against_fp32())
    devices = {engine.device for engine in checker.engines.values()} or {device}
    return ModelCheck(bundle.path, ", ".join(sorted(devices)), tuple(findings))


class _Checker:
    """Looks at one file after the other; keeps the graphs that could be run."""

    def __init__(self, bundle: Bundle, parity: Parity, device: str, threads: int | None) -> None:
        self.engines: dict[str, Engine] = {}
        self._bundle = bundle
        self._parity = parity
        self._device = device
        self._threads = threads

    def tokenizer(self) -> Finding:
        what = "hash, vocabulary, special ids"
        try:
            TextTokenizer.load(self._bundle)
        except _SPOILT as error:
            return Finding(TOKENIZER_FILE, what, str(error))
        return Finding(TOKENIZER_FILE, what)

    def graph(self, variant: str) -> Iterator[Finding]:
        """Read and run a graph; what cannot be read or run is a finding as well."""
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

    def int8_against_fp32(self) -> Finding:
        """They cannot be further apart than both together were from PyTorch."""
        found = compare_graphs(self.engines[INT8], self.engines[FP32], self._parity)
        records = self._bundle.config.graphs
        limit = QUANTIZED_SLACK + sum(
            records[variant].max_log_prob_difference for variant in (INT8, FP32)
        )
        return self._judge(graph_file(INT8), "log-probs from fp32's, nats", found, None, limit)

    def _differences(
        self, file: str, report: GraphCheck, record: GraphRecord, variant: str
    ) -> Iterator[Finding]:
        limits = _Limits.of(record, variant)
        rows: list[tuple[str, Difference, float | None, float]] = [
            (
                "log-probs from PyTorch's, nats",
                report.log_probs,
                record.max_log_prob_difference,
                limits.log_probs,
            ),
            ("states from PyTorch's, relative", report.state, None, limits.state),
            ("steps from whole sequences, nats", report.steps, None, limits.steps),
            ("rows picked by parents, nats", report.parents, None, limits.steps),
            (
                "padded in a batch from alone, nats",
                report.batching,
                record.max_batching_difference,
                limits.batching,
            ),
            ("targets and best tokens, nats", report.heads, None, MAX_HEAD_DIFFERENCE),
        ]
        for what, found, recorded, limit in rows:
            yield self._judge(file, what, found, recorded, limit)

    def _perplexity(
        self, file: str, report: GraphCheck, record: GraphRecord, variant: str
    ) -> Finding:
        measured, recorded = report.perplexity_change, record.perplexity_change
        slack = _PERPLEXITY_SLACK.get(variant, _QUANTIZED_PERPLEXITY_SLACK)
        problem = None
        if not abs(measured - recorded) <= slack:
            problem = self._problem(
                file,
                f"held-out perplexity is {report.perplexity:.4g}, {_percent(measured)} from "
                f"PyTorch's, export recorded {_percent(recorded)}",
            )
        what = f"held-out perplexity ({report.perplexity:.4g}) from PyTorch's, relative"
        return Finding(file, what, problem, measured, recorded, recorded + slack)

    def _scores(
        self, file: str, report: GraphCheck, record: GraphRecord, variant: str
    ) -> Iterator[Finding]:
        """Scores without the softmax and log Z, of self-normalised models."""
        if report.log_z is None or record.log_z is None:
            return
        limit = _Limits.of(record, variant).scores
        yield self._judge(file, "scores from PyTorch's, nats", report.scores, None, limit)
        for what, measured, recorded in (
            ("mean of log Z, nats", report.log_z.mean, record.log_z.mean),
            ("deviation of log Z, nats", report.log_z.std, record.log_z.std),
        ):
            problem = None
            if not abs(measured - recorded) <= QUANTIZED_SLACK:
                problem = self._problem(
                    file, f"{what}: {measured:.3g}, export recorded {recorded:.3g}"
                )
            yield Finding(file, what, problem, measured, recorded, recorded + QUANTIZED_SLACK)

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


@dataclass(frozen=True)
class _Limits:
    """The largest allowed differences of a variant here, given what export recorded."""

    log_probs: float
    state: float
    steps: float
    batching: float
    scores: float

    @classmethod
    def of(cls, record: GraphRecord, variant: str) -> _Limits:
        if variant in MAX_DIFFERENCES:
            return cls(*[MAX_DIFFERENCES[variant]] * 5)
        # 8-bit scales that follow the batch (rnn-relu) follow the length of a chunk as well.
        moves = record.max_batching_difference > MAX_DIFFERENCE
        return cls(
            log_probs=record.max_log_prob_difference + QUANTIZED_SLACK,
            state=math.inf,
            steps=QUANTIZED_SLACK + (2 * record.max_log_prob_difference if moves else 0),
            batching=QUANTIZED_SLACK + record.max_batching_difference,
            scores=math.inf,
        )


def _percent(share: float) -> str:
    return f"{round(share, 4) + 0.0:+.2%}"  # + 0.0: no -0.00


def _runtime_name() -> str:
    return f"onnxruntime {import_onnxruntime().__version__}"
