"""The typer command `lmscore`: its options and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import typer
from typer.main import get_command

import lmscore
from lmscore.cli import streams
from lmscore.cli.help import CommandPage, VerbPage
from lmscore.cli.options import expanded


class Verb(NamedTuple):
    """A verb of the command: where its function is, and what `--help` says beside its docstring."""

    function: str
    group: str
    example: str
    module: str = ""  # of `lmscore.cli.verbs`; by default it has the verb's name
    verbs: Mapping[str, Verb] = {}  # of its own, in place of a function


MAKE, SCORE = "Make a model", "Score text"
RESCORE, CONTINUE, LOOK = "Rescore hypotheses", "Continue text", "Look inside a model"
SERVE = "Answer over HTTP"
SHARE = "Share models"

_NGRAM = {
    "train": Verb("train", MAKE, "lmscore ngram train corpus.txt --order 3 -o my.arpa"),
    "approximate": Verb(
        "approximate", MAKE, "lmscore ngram approximate -m my-lm --sentences 100000 -o my.arpa"
    ),
    "prune": Verb(
        "prune_model", MAKE, "lmscore ngram prune my.arpa --threshold 1e-8 -o small.arpa"
    ),
    "fst": Verb("fst", MAKE, "lmscore ngram fst bigram.arpa --tokens tokens.txt -o lodr.fst"),
    "mix": Verb("mix", MAKE, "lmscore ngram mix a.arpa b.arpa --fit held-out.txt -o ab.arpa"),
}

VERBS = {  # by name, in the order of the help
    "train": Verb("train", MAKE, "lmscore train corpus.txt -o my-lm --minutes 30"),
    "export": Verb("export", MAKE, "lmscore export my-lm --variant fp16"),
    "import": Verb(
        "import_weights",
        MAKE,
        "lmscore import state.pt --vocabulary words.txt -o their-lm",
        module="import_weights",  # Python keeps the word `import` for itself
    ),
    "ngram": Verb("", MAKE, "lmscore ngram train corpus.txt --order 3 -o my.arpa", verbs=_NGRAM),
    "score": Verb("score", SCORE, "lmscore score text.txt > scores.tsv"),
    "regions": Verb("regions", SCORE, "lmscore regions words.csv --group-by sentence --field word"),
    "ppl": Verb("ppl", SCORE, "lmscore ppl -m my-lm held-out.txt"),
    "compare": Verb("compare", SCORE, "lmscore compare my-lm my.arpa --text held-out.txt"),
    "filter": Verb("filter_lines", SCORE, "lmscore filter --max-ppl 300 crawl.txt > clean.txt"),
    "pairs": Verb("pairs", SCORE, "lmscore pairs minimal-pairs.jsonl"),
    "choose": Verb("choose", SCORE, 'lmscore choose "I have ___ dogs." two too to'),
    "rescore": Verb("rescore", RESCORE, "lmscore rescore lists.jsonl -o rescored.jsonl"),
    "lattice": Verb("lattice", RESCORE, "lmscore lattice lattices/ --best --with-ids > best.txt"),
    "tune": Verb("tune", RESCORE, "lmscore tune lists.jsonl --references references.txt"),
    "next": Verb("next_words", CONTINUE, 'lmscore next -k 3 "Thanks for all the"'),
    "sample": Verb("sample", CONTINUE, 'lmscore sample "Once upon a time" --seed 1'),
    "features": Verb("features", LOOK, "lmscore features text.txt -o features.npy"),
    "check": Verb("check", LOOK, "lmscore check my-lm"),
    "info": Verb("info", LOOK, "lmscore info my-lm"),
    "plot": Verb("plot", LOOK, "lmscore plot my-lm other-lm -o runs.png"),
    "bench": Verb("bench", LOOK, "lmscore bench -m my-lm"),
    "pull": Verb("pull", SHARE, "lmscore pull https://models.example.org/my-lm.tar.gz"),
    "push": Verb("push", SHARE, "lmscore push my-lm my-name/my-lm"),
    "list": Verb("list_models", SHARE, "lmscore list"),
    "serve": Verb("serve", SERVE, "lmscore serve -m my-lm --port 8000"),
}


def make_command(argv: Sequence[str]) -> Callable[..., Any]:
    """Build the command with the verb that the command line names, or else with all verbs.

    Each verb costs about 4 ms of start-up time.
    """
    app = typer.Typer(
        name="lmscore",
        cls=CommandPage,
        help="Train a compact recurrent language model, export it to ONNX, and score text with it.",
        no_args_is_help=True,
        rich_markup_mode=None,  # Rich would cost start-up time
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    named = next((word for word in argv if not word.startswith("-")), None)
    for name in [named] if named in VERBS else VERBS:
        verb = VERBS[name]
        module = import_module(f"lmscore.cli.verbs.{verb.module or name}")
        if verb.verbs:
            app.add_typer(_group(verb, module), name=name, rich_help_panel=verb.group)
        else:
            _add(app, name, verb, getattr(module, verb.function))
    return get_command(app)


def _group(verb: Verb, module: ModuleType) -> typer.Typer:
    """A verb that has verbs of its own."""
    group = typer.Typer(
        cls=CommandPage,
        help=module.HELP,
        epilog=verb.example,
    )
    group.callback()(_options_of_group)
    for name, inner in verb.verbs.items():
        _add(group, name, inner, getattr(module, inner.function))
    return group


def _add(app: typer.Typer, name: str, verb: Verb, function: Callable[..., None]) -> None:
    command = app.command(name, cls=VerbPage, epilog=verb.example, rich_help_panel=verb.group)
    command(expanded(function))


def _version(asked: bool) -> None:
    if asked:
        streams.write(f"lmscore {lmscore.__version__}\n")
        raise typer.Exit


def _options(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj.debug = debug
    _choose(context)


def _options_of_group(context: typer.Context) -> None:
    _choose(context)


def _choose(context: typer.Context) -> None:
    """Tell the error messages which verb it is, and how its help is asked for."""
    context.obj.verb = getattr(context.command, "commands", {}).get(context.invoked_subcommand)
    context.obj.path = f"{context.command_path} {context.invoked_subcommand}"
