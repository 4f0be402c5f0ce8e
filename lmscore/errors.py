"""The errors that lmscore raises deliberately.

LmscoreError
├── InputError          (ValueError)         unusable text: bad UTF-8, a token id out of range
├── InputFileError      (OSError)            a file that cannot be opened or read
├── OutputFileError     (OSError)            a file that cannot be written: disk full, no permission
├── OptionError         (ValueError)         an option or argument with an impossible value
├── ModelNotFoundError  (FileNotFoundError)  no model directory, or a file missing in it
├── ModelError          (ValueError)         a model directory whose files are damaged or disagree
├── VariantError        (LookupError)        a variant (fp32, int8) the model does not have
├── MissingExtraError   (ImportError)        an optional package that is not installed
├── DeviceError         (RuntimeError)       a device or provider that cannot be used
├── TrainingError       (RuntimeError)       training that cannot go on
└── ExportError         (RuntimeError)       a graph that does not reproduce the trained model

Each leaf is also the builtin that a caller expects, so `except ValueError` works. A message is one
line: what is wrong, where (file, line, key), and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class LmscoreError(Exception):
    """Base class of all errors that lmscore raises deliberately."""


class InputError(LmscoreError, ValueError):
    """Text or tokens that cannot be used."""


class InputFileError(LmscoreError, OSError):
    """A file that cannot be opened or read."""


class OutputFileError(LmscoreError, OSError):
    """A file that cannot be written."""


class OptionError(LmscoreError, ValueError):
    """An option or argument with an impossible value."""


class ModelNotFoundError(LmscoreError, FileNotFoundError):
    """No model directory, or a file missing in it."""


class ModelError(LmscoreError, ValueError):
    """A model directory whose files are damaged or disagree."""


class VariantError(LmscoreError, LookupError):
    """A variant that the model does not have."""


class MissingExtraError(LmscoreError, ImportError):
    """An optional package that is not installed."""


class DeviceError(LmscoreError, RuntimeError):
    """A device or provider that cannot be used."""


class TrainingError(LmscoreError, RuntimeError):
    """Training that cannot go on."""


class ExportError(LmscoreError, RuntimeError):
    """A graph that does not reproduce the trained model."""


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn the ImportError of an optional package into one that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "lmscore":
            raise
        raise MissingExtraError(
            f"this needs the package {error.name!r}: {how_to_install(extra)}"
        ) from error


def how_to_install(extra: str) -> str:
    """The advice in error messages about an extra; lmscore is installed from a checkout alone."""
    return f"install the extra {extra!r}; in a checkout of lmscore: pip install '.[{extra}]'"
