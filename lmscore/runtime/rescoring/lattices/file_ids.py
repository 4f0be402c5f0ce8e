"""The ids of lattices: from their files' names, or from the names of what was recognised."""

from __future__ import annotations

from pathlib import Path

from lmscore.files import STANDARD_INPUT
from lmscore.runtime.rescoring.formats import Document, stem_of

_SUFFIXES = (".lat", ".slf", ".htk", ".mesh", ".wlat")
_FEATURES = (".mfc", ".mfcc", ".plp", ".fea", ".feat", ".fbk", ".fbank", ".cep")
_SOUNDS = (".wav", ".wv1", ".sph", ".flac", ".raw", ".mp3")


def file_name(document: Document) -> str:
    """The name of a file without its directory; "" for standard input."""
    return "" if document.name == STANDARD_INPUT else Path(document.name).name


def file_id(document: Document) -> str:
    """The name of a file without its directory and its suffixes."""
    return stem_of(file_name(document), _SUFFIXES)


def utterance_id(utterance: str) -> str:
    """The id of an utterance, which may be named by the path of its features, as HTK does.

    `/data/utt1.mfc` is `utt1`, as in SRILM, and as HTK looks for its transcript.
    """
    return stem_of(utterance, _FEATURES + _SOUNDS + _SUFFIXES)
