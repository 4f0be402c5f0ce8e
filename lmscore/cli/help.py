"""The pages that `--help` prints: verbs and options in groups, an example for each verb."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand, TyperGroup

# The contexts and formatters are of classes that typer keeps to itself.


class VerbPage(TyperCommand):
    """The help of a verb: its options under the headings that they were declared with."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options of the verb alone, and then each group of options."""
        sections: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections[_heading(parameter)].append(record)
        for heading in sorted(sections, key=_place):
            _write(formatter, heading, sections[heading])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the example."""
        _write_example(formatter, self.epilog)


class CommandPage(TyperGroup):
    """The help of the whole command: its verbs under the headings that they were declared with."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write each group of verbs with the first sentence of each."""
        groups: defaultdict[str, list[Any]] = defaultdict(list)
        for command in self.commands.values():
            groups[getattr(command, "rich_help_panel", None) or "Commands"].append(command)
        widest = max(map(len, self.commands))
        room = formatter.width - widest - 6
        for heading, commands in groups.items():
            rows = [(f"{c.name:{widest}}", c.get_short_help_str(room)) for c in commands]
            _write(formatter, heading, rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the example of a group of verbs."""
        _write_example(formatter, self.epilog)


_ORDER = ("Arguments", "Options", "Input", "The model", "Output")


def _place(heading: str) -> int:
    """Where a section stands; one that nobody thought of here stands at the end."""
    return _ORDER.index(heading) if heading in _ORDER else len(_ORDER)


def _heading(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def _write(formatter: Any, heading: str, rows: Iterable[tuple[str, str]]) -> None:
    with formatter.section(heading):
        formatter.write_dl(list(rows))


def _write_example(formatter: Any, example: str | None) -> None:
    """Write an example in a line of its own that is never wrapped."""
    if example:
        with formatter.section("Example"):
            formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
