"""`lmscore serve`: the model behind a port."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lmscore.cli import options, streams
from lmscore.cli.usage import UsageError
from lmscore.errors import needs_extra

if TYPE_CHECKING:
    from lmscore.runtime.model import LanguageModel

KEY_VARIABLE = "LMSCORE_API_KEY"


def serve(
    *,
    model: options.ModelOptions,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model's name. Default: its directory's."),
    ] = None,
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
    max_body: Annotated[int, typer.Option(metavar="BYTES", min=1, help="Of one request.")] = 8
    << 20,
    max_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of all prompts or texts of one request.")
    ] = 1 << 20,
    max_new_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of one completion.")
    ] = 4096,
    max_samples: Annotated[
        int, typer.Option(metavar="N", min=1, help="Completions of one request.")
    ] = 1024,
    max_waiting: Annotated[
        int, typer.Option(metavar="N", min=1, help="Unfinished requests; more get status 429.")
    ] = 512,
) -> None:
    """Serve a model over HTTP: completions as OpenAI's, scores, tokens.

    Prints the address on standard error once it listens. SIGTERM and Ctrl-C stop taking requests,
    finish those that have begun, and exit with 0.
    """
    key = api_key if api_key is not None else os.environ.get(KEY_VARIABLE)
    if key == "":
        raise UsageError("--api-key is empty")
    with needs_extra("serve"):
        from lmscore.serve import Limits, Models, make_app, open_socket
        from lmscore.serve import serve as run
    limits = Limits(max_body, max_tokens, max_new_tokens, max_samples, max_waiting)
    with open_socket(host, port) as bound:
        lm = model.load()
        shown = name or served_name(lm)

        def started(url: str) -> None:
            streams.note(f"serving {shown} ({lm.variant}, {lm.device}) on {url}")

        run(make_app(Models({shown: lm}), limits=limits, api_key=key), bound, on_start=started)


def served_name(lm: LanguageModel) -> str:
    """The name of a model's directory."""
    return Path(lm.path).resolve().name
