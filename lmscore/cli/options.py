"""The options that several verbs share, each declared once, some of them in groups.

A group is a dataclass. A verb with a parameter of that type has all options of the group:
`expanded` gives typer one parameter for each.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from lmscore import names
from lmscore.bundle import halves
from lmscore.cli.usage import UsageError, command_line
from lmscore.corpus.reading import located_lines

if TYPE_CHECKING:
    from lmscore.runtime.bidirectional import BidirectionalModel
    from lmscore.runtime.model import LanguageModel
    from lmscore.runtime.rescoring.models import Lodr

_Path = TypeVar("_Path", str, Path)


def unless_standard_output(path: _Path | None) -> _Path | None:
    """The path of an --output; None, which is standard output, for `-`."""
    return None if str(path) == "-" else path


def one_model(argument: Path | None, option: Path | None) -> Path | None:
    """The model, given as an argument or as --model; raises UsageError if given as both."""
    if argument and option:
        raise UsageError("given twice, as an argument and as --model")
    return argument or option


def checked_device(device: str) -> str:
    """The device; raises UsageError if there is no device of that name."""
    from lmscore.runtime.arguments import check_device

    with command_line():
        check_device(device)
    return device


def checked_threads(threads: int | None) -> int | None:
    """The number of threads; raises UsageError if it is too large."""
    from lmscore.runtime.arguments import check_threads

    with command_line():
        if threads is not None:
            check_threads(threads)
    return threads


def checked_unk_penalty(penalty: float | None) -> float | None:
    """The cost of an unknown word; raises UsageError if it is not finite, or below 0."""
    from lmscore.runtime.arguments import check_unk_penalty

    with command_line():
        check_unk_penalty(penalty)
    return penalty


# Options under a heading of their own in the help of a verb.
_model_option = functools.partial(typer.Option, rich_help_panel="The model")
_input_option = functools.partial(typer.Option, rich_help_panel="Input")
_output_option = functools.partial(typer.Option, rich_help_panel="Output")

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="Text, one sentence per line, or records of another kind; packed files are unpacked. "
        "Default: standard input (-).",
        show_default=False,
    ),
]
Input = Annotated[
    list[str] | None,
    _input_option(
        "-i",
        "--input",
        metavar="FILE",
        help="One text per line, where none is an argument; may be given again. "
        "Default: standard input (-).",
        show_default=False,
    ),
]
Model = Annotated[
    Path | None,
    _model_option(
        "-m",
        "--model",
        metavar="PATH",
        help="Model directory, an n-gram model in an ARPA file, org/name on the Hub, or the URL of "
        "an archive. Default: $LMSCORE_MODEL, else the bundled English model.",
    ),
]
ModelArgument = Annotated[
    Path | None, typer.Argument(metavar="MODEL", help="The same as --model.", show_default=False)
]
Variant = Annotated[
    str | None,
    _model_option(metavar="NAME", help="int8, fp32, ... Default: the best for the device."),
]
Device = Annotated[
    str, _model_option(metavar="DEVICE", help="auto, cpu, cuda or cuda:N.", callback=checked_device)
]
Threads = Annotated[
    int | None,
    _model_option(
        metavar="N", min=1, help="CPU threads. Default: one per core.", callback=checked_threads
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Load a tokenizer whatever its steps may do to a text: for models of people whom you "
        "trust.",
    ),
]
UnkPenalty = Annotated[
    float | None,
    _model_option(
        metavar="X",
        help="What an unknown word costs, in nats, in an n-gram model without <unk>. Default: 230, "
        "as in KenLM.",
        callback=checked_unk_penalty,
    ),
]
Backward = Annotated[
    Path | None,
    _model_option(
        "--backward",
        metavar="PATH",
        help="A backward model beside --model: each word is judged by what is before and after it. "
        "A --model that train --direction both made has one.",
    ),
]
Unigram = Annotated[
    Path | None,
    _model_option(
        "--unigram",
        metavar="FILE",
        help="With --backward: text by whose word frequencies the product of both is divided.",
    ),
]
Unnormalized = Annotated[
    bool,
    _model_option(
        "--unnormalized",
        help="Score without the softmax, at a cost that the vocabulary does not raise; for models "
        "trained with --self-normalize.",
    ),
]
ContextMode = Annotated[
    names.Context | None,
    typer.Option(
        "--context",
        help="How lines connect: each on its own, or the state carried from one to the next. "
        "Default: as the model was trained.",
    ),
]
Bos = Annotated[bool, typer.Option("--bos/--no-bos", help="Start every line from <s>.")]
Eos = Annotated[bool, typer.Option("--eos/--no-eos", help="Score the end of every line, </s>.")]
Output = Annotated[
    Path | None,
    _output_option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write to this file, as the scores come. Default: standard output (-).",
        callback=unless_standard_output,
    ),
]
OutputDir = Annotated[
    Path | None,
    _output_option(metavar="DIR", help="Write an output for each input into this directory."),
]
Jobs = Annotated[
    int | None,
    _output_option(
        metavar="N",
        min=1,
        help="Processes that take the files for --output-dir. Default: 1; Ray's: one for each CPU.",
    ),
]
Engine = Annotated[
    str | None,
    _output_option(
        metavar="ray[:ADDRESS]",
        help="Give the files for --output-dir to actors of Ray (extra ray), here or on a cluster.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    _output_option("--resume", help="Go on with an --output that was interrupted, if it is there."),
]
LineBuffered = Annotated[
    bool, _output_option("--line-buffered", help="Answer every line before reading the next.")
]
Quiet = Annotated[bool, _output_option("-q", "--quiet", help="No summary at the end.")]
Compat = Annotated[
    names.Tool | None,
    _output_option(
        "--compat",
        help="Print what KenLM's query or SRILM's ngram -ppl would: words counted, base 10.",
        show_default=False,
    ),
]
Records = Annotated[names.RecordFormat, _output_option("--format")]
Scores = Annotated[names.ScoreFormat, _output_option("--format")]
FileField = Annotated[
    str | None,
    _output_option(metavar="NAME", help="Add the name of its file to each object or row of CSV."),
]
Report = Annotated[names.ReportFormat, _output_option("--format")]
Reading = Annotated[
    names.InputFormat | None,
    _input_option(
        "--input-format",
        help="text; tsv: id<TAB>text; jsonl: an object per line; json: an array of objects. "
        "Default: by the ending of the name, Parquet and Arrow by content, else text.",
        show_default=False,
    ),
]
Field = Annotated[
    str | None,
    _input_option(
        metavar="NAME",
        help="The column or key of the text; doc.text reaches inside. Of TSV, it says that the "
        "first line names the columns. [text]",
        show_default=False,
    ),
]
IdField = Annotated[str | None, _input_option(metavar="NAME", help="The column or key of the id.")]
Columns = Annotated[
    str | None,
    _input_option(
        metavar="NAME,...", help="The columns of CSV or TSV whose first line does not name them."
    ),
]
Delimiter = Annotated[
    str, _input_option(metavar="C", help="Between the columns of CSV: a character, or tab.")
]
Encoding = Annotated[
    str | None,
    _input_option(metavar="NAME", help="Of files without a byte-order mark. Default: utf-8."),
]
Split = Annotated[
    names.Split | None,
    _input_option(
        "--split",
        help="Score the lines, or the sentences (extra sentences), of each text apart, and add "
        "them up. Default: lines, of plain text none.",
        show_default=False,
    ),
]
Segmentation = Annotated[
    names.Segmentation,
    _input_option(
        help="What a word is: text between white space, or a user-perceived character; auto: "
        "characters where the vocabulary spells a script without spaces, as Chinese.",
    ),
]
Documents = Annotated[
    names.Documents,
    _input_option(
        help="In document context, a document begins with each file, and also with each change of "
        "the id, or after each blank line.",
    ),
]
Language = Annotated[
    str, _input_option(metavar="CODE", help="The language of --split sentences: de, zh, ...")
]
OnError = Annotated[
    names.OnError,
    _input_option(
        "--on-error",
        help="A record that cannot be read: stop; skip, and count it; keep, with an error in the "
        "place of its scores.",
    ),
]
Rejected = Annotated[
    Path | None,
    _input_option(metavar="FILE", help="Write the records that cannot be read to this file."),
]
MaxErrors = Annotated[
    int | None,
    _input_option(metavar="N", min=0, help="Stop after more bad records than that."),
]
Prefix = Annotated[
    str | None,
    _input_option(
        metavar="TEXT",
        help="What every text follows, read but not scored: the beginning of its sentence (a space "
        "comes between), or in document context the sentence before.",
    ),
]
Joiner = Annotated[
    str | None,
    _input_option(
        metavar="TEXT",
        help="What stands between a prefix and its text in one sentence, where neither has white "
        "space. Default: a space; nothing where the vocabulary writes no spaces between words.",
        show_default=False,
    ),
]
PrefixField = Annotated[
    str | None,
    _input_option(metavar="NAME", help="The key of each text's own prefix in JSON Lines."),
]
PrefixColumn = Annotated[
    bool, _input_option("--prefix-column", help="tsv input is id<TAB>prefix<TAB>text.")
]
Utf8Errors = Annotated[
    names.Utf8Errors,
    _input_option("--errors", help="Invalid UTF-8: stop, or put U+FFFD in its place."),
]
Feature = Annotated[
    str, typer.Option(metavar="NAME", help="What the new feature is called in the lists.")
]
LodrModel = Annotated[
    Path | None,
    _model_option(
        "--lodr",
        metavar="FILE",
        help="An n-gram model (ARPA) of the text that the recogniser was trained on, over words or "
        "over the model's token ids: its score counts against the model's.",
    ),
]
WithIds = Annotated[bool, _output_option("--with-ids", help="With --best: id<TAB>text.")]
Remove = Annotated[
    list[str] | None,
    _input_option(
        metavar="WORD",
        help="A word that the model does not get to see, such as <unk> or [noise]; @FILE for the "
        "words in it; may be given again.",
        show_default=False,
    ),
]
Case = Annotated[
    names.Case,
    _input_option(
        "--case",
        help="The case of the text for the model; auto: lower, where the models find the first "
        "texts likelier so.",
    ),
]
Lowercase = Annotated[bool, _input_option("--lowercase", help="Lower-case the text for the model.")]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options of verbs that load a model."""

    model: Model = None
    variant: Variant = None
    device: Device = "auto"
    threads: Threads = None
    trust: Trust = False
    unk_penalty: UnkPenalty = None

    def load(self, *, unnormalized: bool = False) -> LanguageModel:
        """Load the model; raises what `lmscore.load` raises."""
        import lmscore

        return lmscore.load(
            self.model,
            variant=self.variant,
            device=self.device,
            threads=self.threads,
            unnormalized=unnormalized,
            trust=self.trust,
            unk_penalty=self.unk_penalty,
        )

    def load_with_lodr(self, path: Path | None) -> tuple[LanguageModel, Lodr | None]:
        """Load the model, and the n-gram model of --lodr beside it if there is a path.

        Raises what `lmscore.load` and `lmscore.runtime.rescoring.models.open_lodr` raise.
        """
        if path is None:
            return self.load(), None
        from lmscore.runtime.rescoring.models import open_lodr

        lm = replace(self, unk_penalty=None).load()
        return lm, open_lodr(path, lm, unk_penalty=self.unk_penalty)


@dataclass(frozen=True, kw_only=True)
class DirectionOptions:
    """The options of verbs that can read a text from both ends."""

    backward: Backward = None
    unigram: Unigram = None

    def check(self, **others: object) -> None:
        """Raise UsageError for --unigram alone, or for another option beside --backward."""
        if self.backward is None and self.unigram is not None:
            raise UsageError("--unigram is for both directions: --backward, or a --model with both")
        for name, given in others.items():
            if self.backward is not None and given:
                raise UsageError(
                    f"--{name.replace('_', '-')} is not for both directions (--backward)"
                )

    def of_folder(self, model: ModelOptions) -> tuple[ModelOptions, DirectionOptions]:
        """The two models in the folder that --model is, if it holds one of each direction."""
        from lmscore.runtime.load import chosen_model

        folder = chosen_model(model.model)
        if not folder or (found := halves(Path(folder))) is None:
            return model, self
        if self.backward is not None:
            raise UsageError(f"{folder}: holds a backward model, so --backward names none")
        forward, backward = found
        return replace(model, model=forward), replace(self, backward=backward)

    def join(self, lm: LanguageModel, model: ModelOptions) -> BidirectionalModel | None:
        """Both models as one, if there is a backward one; raises what loading one raises."""
        if self.backward is None:
            return None
        import lmscore

        backward = replace(model, model=self.backward).load()
        if self.unigram is None:
            return lmscore.bidirectional(lm, backward)
        lines = located_lines([str(self.unigram)])
        return lmscore.bidirectional(lm, backward, unigram=(line.text for line in lines))


def expanded(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with one parameter for each option of its groups instead of the groups."""
    signature = inspect.signature(verb, eval_str=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if dataclasses.is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            parameters += _parameters(parameter.annotation)
        else:
            parameters.append(parameter)
    if not groups:
        return verb

    @functools.wraps(verb)
    def call(**chosen: Any) -> None:
        for name, group in groups.items():
            names = [field.name for field in dataclasses.fields(group)]
            chosen[name] = group(**{name: chosen.pop(name) for name in names})
        verb(**chosen)

    parameters.sort(key=lambda parameter: parameter.kind)
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in dataclasses.fields(group)
    ]
