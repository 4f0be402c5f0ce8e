"""`lmscore serve`: models behind a port."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.usage import UsageError
from lmscore.errors import OptionError, needs_extra

if TYPE_CHECKING:
    import socket

    from lmscore.runtime.model import LanguageModel
    from lmscore.serve import Limits, Models

KEY_VARIABLE = "LMSCORE_API_KEY"
SHARED_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """The options that bound requests."""

    max_body: Annotated[int, typer.Option(metavar="BYTES", min=1, help="Of one request.")] = 8 << 20
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of all prompts or texts of one request.")
    ] = 1 << 20
    max_new_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="Of one completion.")] = (
        4096
    )
    max_samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Completions, or states, of one request.")
    ] = 1024
    max_waiting: Annotated[
        int, typer.Option(metavar="N", min=1, help="Unfinished requests; more get status 429.")
    ] = 512
    max_states: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="States of decoders that are kept of each model."),
    ] = 10_000
    state_seconds: Annotated[
        float, typer.Option(metavar="S", min=1, help="That a state is kept after its last use.")
    ] = 300

    def limits(self) -> Limits:
        """The same for the library."""
        from lmscore.serve import Limits

        return Limits(*vars(self).values())


def serve(
    *,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "-m",
            "--model",
            metavar="PATH",
            help="Model directory or ARPA file; may be given again. Default: $LMSCORE_MODEL, else "
            "the bundled English model.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="The name of a model, one for each. Default: its directory's.",
            show_default=False,
        ),
    ] = None,
    variant: options.Variant = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    trust: options.Trust = False,
    unk_penalty: options.UnkPenalty = None,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen on; 0.0.0.0 is every one.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="What every request but /health has to bring, as Authorization: Bearer KEY. "
            f"Default: ${KEY_VARIABLE}, else none.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Processes, each with the models and its share of the cores; they keep no states.",
        ),
    ] = 1,
    bounds: LimitOptions,
) -> None:
    """Serve models over HTTP: completions as OpenAI's, scores, next words, lists, tokens.

    Prints the address on standard error once it listens. SIGTERM and Ctrl-C stop taking requests,
    finish those that have begun, and exit with 0. SIGHUP loads the models again.
    """
    key = api_key if api_key is not None else os.environ.get(KEY_VARIABLE)
    if key == "":
        raise UsageError("--api-key is empty")
    if name and len(name) != len(model or [None]):
        raise UsageError("--name is given for some models only: give one for each")
    if not math.isfinite(bounds.state_seconds):
        raise UsageError(f"--state-seconds is {bounds.state_seconds}, expected a number of seconds")
    chosen = _Served(
        [*model] if model else [None], name, variant, device, threads, trust, unk_penalty
    )
    with _shared_figures(workers), needs_extra("serve"):
        from lmscore.serve import fork_workers, open_socket

        with open_socket(host, port) as bound:
            if workers == 1:
                _serve(chosen, bounds, bound, key)
                return
            chosen = dataclasses.replace(chosen, threads=threads or _share_of_cores(workers))
            number = fork_workers(
                workers, on_restart=lambda pid: streams.note(f"worker {pid} was killed: a new one")
            )
            if number is not None:
                _serve(chosen, dataclasses.replace(bounds, max_states=0), bound, key)


@dataclass(frozen=True)
class _Served:
    """The models that are served, and how they are loaded."""

    paths: Sequence[Path | None]
    names: Sequence[str] | None
    variant: str | None
    device: str
    threads: int | None
    trust: bool
    unk_penalty: float | None

    def load(self) -> dict[str, LanguageModel]:
        """All of them by name."""
        from lmscore.serve import load_whole

        return named([load_whole(path, self._load_one) for path in self.paths], self.names)

    def _load_one(self, path: Path) -> LanguageModel:
        import lmscore

        return lmscore.load(
            path,
            variant=self.variant,
            device=self.device,
            threads=self.threads,
            trust=self.trust,
            unk_penalty=self.unk_penalty,
        )


def _serve(chosen: _Served, bounds: LimitOptions, bound: socket.socket, key: str | None) -> None:
    """Serve in this process until a signal ends it."""
    from lmscore.serve import Models, make_app
    from lmscore.serve import serve as run

    models = Models(chosen.load(), limits=bounds.limits())

    def reload() -> None:
        models.replace(chosen.load())
        streams.note(f"loaded {described(models)} again")

    run(
        make_app(models, api_key=key),
        bound,
        on_start=lambda url: streams.note(f"serving {described(models)} on {url}"),
        on_hangup=reload,
        on_failure=lambda error: streams.note(f"error: {error}; the old models go on"),
    )


@contextmanager
def _shared_figures(workers: int) -> Iterator[None]:
    """A directory in which several processes count together, for as long as this one runs."""
    if workers == 1:
        yield
        return
    parent, path = os.getpid(), tempfile.mkdtemp(prefix="lmscore-")
    os.environ[SHARED_VARIABLE] = path  # prometheus_client reads it when it is imported
    try:
        yield
    finally:
        if os.getpid() == parent:
            shutil.rmtree(path, ignore_errors=True)


def _share_of_cores(workers: int) -> int:
    from lmscore.runtime.engine import usable_cores

    return max(1, usable_cores() // workers)


def named(lms: Sequence[LanguageModel], names: Sequence[str] | None) -> dict[str, LanguageModel]:
    """Models by name; raises OptionError if two have the same."""
    found: dict[str, LanguageModel] = {}
    for lm, name in zip(lms, names or [lm.path.resolve().name for lm in lms], strict=True):
        if name in found:
            raise OptionError(f"two models are called {name!r}: give each a `name`")
        found[name] = lm
    return found


def described(models: Models) -> str:
    """The names of the models, and how they run."""
    return ", ".join(f"{one.name} ({one.lm.variant}, {one.lm.device})" for one in models)
