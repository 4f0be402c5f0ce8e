"""The options of every verb as one page of Markdown: the source of the man page."""

from __future__ import annotations

from typing import Any

from lmscore.cli.app import make_command

_HEAD = """\
# Verbs and options

```text
{help}
```
"""
_VERB = """\

## lmscore {path}

```text
{help}
```
"""
_WIDTH = 90


def manual() -> str:
    """The help of the command, and of each verb with all of its options."""
    command: Any = make_command([])
    pages = [_HEAD.format(help=_help(command, "lmscore"))]
    for name, verb in command.commands.items():
        inner = getattr(verb, "commands", {})
        paths = [(name, verb), *((f"{name} {each}", inner[each]) for each in inner)]
        pages += [
            _VERB.format(path=path, help=_help(each, f"lmscore {path}")) for path, each in paths
        ]
    return "".join(pages)


def _help(command: Any, path: str) -> str:
    context = command.make_context(path, [], resilient_parsing=True, max_content_width=_WIDTH)
    context.terminal_width = _WIDTH
    text: str = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
