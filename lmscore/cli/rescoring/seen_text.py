"""The options for what a model sees of a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from lmscore import names
from lmscore.cli import options
from lmscore.cli.records import words_of_file
from lmscore.cli.usage import UsageError, command_line
from lmscore.forks import lazy


@dataclass(frozen=True, kw_only=True)
class SeenText:
    """The changes to a text before a model scores it."""

    join: Annotated[
        names.SubwordMark | None,
        typer.Option(help="Join subwords for the model: the mark they bear.", show_default=False),
    ] = None
    lowercase: options.Lowercase = False
    case: options.Case = "keep"
    remove: options.Remove = None

    @property
    def is_lower(self) -> bool:
        """Whether the text is lower-cased for the model, whatever it is."""
        return self.lowercase or self.case == "lower"

    def check(self) -> None:
        """Raise UsageError for contradictions, or a --remove that is not one word."""
        if self.lowercase and self.case != "keep":
            raise UsageError("--lowercase is --case lower: give one")
        from lmscore.runtime.rescoring.lists import preparation

        with command_line():
            preparation(remove={word for word in self.remove or [] if not _names_file(word)})

    def preparation(
        self, errors: names.Utf8Errors, *, seen: bool = True, lower: bool = False
    ) -> Callable[[str], str]:
        """A function from the text of a hypothesis to the text that a model scores.

        Args:
            errors: how to treat invalid UTF-8 in files with words.
            seen: False for a comparison with references: the text is not lower-cased.
            lower: whether it is lower-cased, whatever the options say.

        Raises:
            InputFileError: a file with words cannot be read.
            OptionError: a word to remove is not one word.
        """
        from lmscore.runtime.rescoring.lists import preparation

        return preparation(
            join=self.join, remove=self.removed(errors), lowercase=lower or (self.is_lower and seen)
        )

    def removed(self, errors: names.Utf8Errors) -> frozenset[str]:
        """The words of --remove, those in files among them; raises InputFileError."""
        if errors not in self._read:
            self._read[errors] = frozenset(_words(self.remove or [], errors))
        return self._read[errors]

    @lazy
    def _read(self) -> dict[str, frozenset[str]]:
        """The words by `errors`: commands ask for them often, and a pipe can be read only once."""
        return {}


def _words(values: Iterable[str], errors: names.Utf8Errors) -> Iterator[str]:
    for value in values:
        if _names_file(value):
            yield from words_of_file(value[1:], errors=errors)
        else:
            yield value


def _names_file(value: str) -> bool:
    return value.startswith("@") and len(value) > 1
