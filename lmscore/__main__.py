"""`python -m lmscore`: the command `lmscore`, where it is not on the path."""

from __future__ import annotations


def _main() -> int:
    from lmscore.cli import main

    return main()


if __name__ == "__main__":
    raise SystemExit(_main())
