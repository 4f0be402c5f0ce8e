"""The command `lmscore`, also as `python -m lmscore` where it is not on the path."""

from __future__ import annotations


def main() -> int:
    """Run the command line; Ctrl-C ends it without a traceback, also during the imports."""
    try:
        from lmscore.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
