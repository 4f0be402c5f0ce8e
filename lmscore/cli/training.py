"""The options of `lmscore train`, made from the fields of TrainOptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from lmscore.cli.records import column_names
from lmscore.cli.usage import UsageError
from lmscore.train.options import Field, option_fields


def training_parameters() -> Iterator[Parameter]:
    """A parameter for each field of TrainOptions, group by group; None if it is not given.

    The text to train on is an argument, named `files`.
    """
    for name, field in option_fields().items():
        made = typer.Argument if name == "train" else typer.Option
        flags = field.option.flags or (f"--{name.replace('_', '-')}",)
        shown = made(
            *(() if name == "train" else flags),
            metavar=field.option.metavar,
            help=_help(field),
            show_default=False,
            rich_help_panel=field.heading,
        )
        yield Parameter(
            "files" if name == "train" else name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_kind(field) | None, shown],
        )


def given_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a command line gives, by the names of the fields of TrainOptions.

    Args:
        values: the values of `training_parameters`, by name.

    Raises:
        UsageError: a list of numbers is malformed.
    """
    given: dict[str, Any] = {}
    for name, field in option_fields().items():
        value = values["files" if name == "train" else name]
        if value is None or value == []:
            continue
        if field.type == tuple[int, ...]:
            value = _ids(field, value)
        if name == "columns":
            value = [column for names in value for column in column_names(names)]
        given[name] = tuple(value) if isinstance(value, list) else value
    return given


def _kind(field: Field) -> Any:
    """The type of a field's parameter, without None."""
    if get_origin(field.type) is tuple:
        return str if int in get_args(field.type) else list[str]
    is_union = get_origin(field.type) in (Union, UnionType)
    return get_args(field.type)[0] if is_union else field.type


def _help(field: Field) -> str:
    """The help text of a field, with its default in brackets at the end."""
    default = field.option.default
    if field.type is bool:
        default = "tied" if field.default else ""
    elif not default and isinstance(field.default, str | int | float):
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
    return f"{field.option.help} [{default}]" if default else field.option.help


def _ids(field: Field, text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise UsageError(
            f"--{field.name} is {text!r}, expected ids with commas between them"
        ) from None
