"""The options of `lmscore score` that say what each text follows."""

from __future__ import annotations

from dataclasses import dataclass

from lmscore.bundle import Context
from lmscore.cli import options
from lmscore.cli.usage import UsageError
from lmscore.errors import OptionError
from lmscore.names import InputFormat


@dataclass(frozen=True, kw_only=True)
class Prefixes:
    """What each text follows: one prefix for all, or one of its own, or nothing."""

    prefix: options.Prefix = None
    prefix_field: options.PrefixField = None
    prefix_column: options.PrefixColumn = False
    joiner: options.Joiner = None

    @property
    def are_own(self) -> bool:
        """Whether each record has a prefix of its own."""
        return self.prefix_field is not None or self.prefix_column

    @property
    def are_given(self) -> bool:
        """Whether there are prefixes."""
        return self.prefix is not None or self.are_own

    def check(self, input_format: InputFormat) -> None:
        """Raise UsageError for options that exclude each other, or that the input does not have."""
        given = (self.prefix is not None, self.prefix_field is not None, self.prefix_column)
        if given.count(True) > 1:
            raise UsageError("give one of --prefix, --prefix-field and --prefix-column")
        if self.prefix_field is not None and input_format == "text":
            raise UsageError(
                "--prefix-field needs --input-format jsonl, or another with named fields"
            )
        if self.prefix_column and input_format != "tsv":
            raise UsageError("--prefix-column needs --input-format tsv")
        if self.joiner is not None and not self.are_given:
            raise UsageError("--joiner stands between a prefix and its text: give a prefix")

    def check_context(self, context: Context) -> None:
        """Raise OptionError for a joiner in a context in which it joins nothing."""
        if self.joiner is not None and context == "document":
            raise OptionError(
                "--joiner stands between a prefix and its text in one sentence; in document "
                "context the prefix is the sentence before: leave it out, or give --context "
                "sentence"
            )
