"""Directories of ESPnet2 and FunASR: `1best_recog/`, `2best_recog/`, ... with `text`, `score`, ...

Each file has lines `utterance value`, as Kaldi's have. Every file that comes with hypotheses beyond
the first moves with them; what only `1best_recog` has belongs to the utterance. A new score is one
more file in each directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePath

from lmscore.errors import InputError, OptionError
from lmscore.files import is_directory
from lmscore.runtime.rescoring.formats.document import Document, Line, ListSource, joined_lines
from lmscore.runtime.rescoring.formats.format import Format, Head, ReadOptions, Surety
from lmscore.runtime.rescoring.formats.kaldi import single_spaced, split_key
from lmscore.runtime.rescoring.formats.numbers import parse_score, to_float
from lmscore.runtime.rescoring.lists import Hypothesis, NBestList

_DIRECTORY = re.compile(r"(?P<rank>[1-9][0-9]*)best_recog(?P<rest>.*)")
_TENSOR = re.compile(r"tensor\(\s*([^,()\s]+)\s*(?:,.*)?\)")
_TEXT = "text"
_NO_SCORES = ("text", "token")  # what the names of files with words and their numbers begin with

_Lines = dict[str, Line]  # of a file, by utterance


@dataclass(frozen=True)
class _Ranks:
    """The files of all directories, read."""

    root: Path
    rest: str  # what the names of the directories end in: "", or a speaker
    files: tuple[dict[str, _Lines], ...]  # of each rank, by name

    @property
    def moving(self) -> set[str]:
        """The names of the files that belong to hypotheses."""
        return {_TEXT}.union(*self.files[1:])

    def directory(self, rank: int) -> str:
        """The name of a rank's directory."""
        return f"{rank}best_recog{self.rest}"

    def where(self, rank: int, name: str) -> str:
        """The place of a file, for messages."""
        return str(self.root / self.directory(rank) / name)


def directories_in(path: str | Path) -> list[Path]:
    """The files with the best texts in a directory of ESPnet2, one for each speaker; else none."""
    if not is_directory(path):
        return []
    matches = ((inner, _DIRECTORY.fullmatch(inner.name)) for inner in Path(path).iterdir())
    return sorted(inner / _TEXT for inner, match in matches if match and match["rank"] == "1")


def place_below(text: str | Path) -> PurePath | None:
    """Where such a file is written, below the output directory; None for any other file."""
    path = Path(text)
    if path.name != _TEXT or _DIRECTORY.fullmatch(path.parent.name) is None:
        return None
    return PurePath(path.parents[1].resolve().name, path.parent.name, path.name)


def _read(document: Document, options: ReadOptions) -> Iterator[NBestList]:  # noqa: ARG001
    ranks = _ranks(document)
    scores = _scores(ranks)
    index = 0
    for index, (key, line) in enumerate(ranks.files[0][_TEXT].items(), 1):
        there = [rank for rank, files in enumerate(ranks.files) if key in files[_TEXT]]
        hypotheses = tuple(_hypothesis(ranks, scores, rank, key) for rank in there)
        source = ListSource(document, index - 1, line.number, line.size, content=ranks)
        yield NBestList(key, hypotheses, source=source)
    document.finish(index)


def _ranks(document: Document) -> _Ranks:
    place = Path(document.name)
    match = _DIRECTORY.fullmatch(place.parent.name)
    if match is None or match["rank"] != "1" or place.name != _TEXT:
        raise InputError(f"{document.name}: expected a directory with 1best_recog/text in it")
    root, rest = place.parent.parent, match["rest"]
    files: list[dict[str, _Lines]] = []
    for rank in count(1):
        directory = root / f"{rank}best_recog{rest}"
        if not directory.is_dir():
            break
        names = sorted(p for p in directory.iterdir() if p.is_file() and p.name[0] != ".")
        known = {
            path.name: _lines(document if path == place else Document(path, errors=document.errors))
            for path in names
        }
        if _TEXT not in known:
            raise InputError(f"{directory}: no file 'text' with the hypotheses")
        files.append(known)
    ranks = _Ranks(root, rest, tuple(files))
    _check(ranks)
    return ranks


def _lines(document: Document) -> _Lines:
    with document:
        found: _Lines = {}
        for line in document.lines():
            key, _ = split_key(line.text)
            if not key or key in found:
                problem = f"a second line of {key!r}" if key else "no utterance"
                raise InputError(f"{document.where(line.number)}: {problem}")
            found[key] = line
        return found


def _check(ranks: _Ranks) -> None:
    """Raise InputError where a file has another utterance than the texts."""
    for rank, files in enumerate(ranks.files, 1):
        for name, lines in files.items():
            texts = files[_TEXT] if name != _TEXT else ranks.files[0][_TEXT]
            strange = next((key for key in lines if key not in texts), None)
            if strange is not None:
                other = _TEXT if name != _TEXT else f"{ranks.directory(1)}/{_TEXT}"
                raise InputError(
                    f"{ranks.where(rank, name)}: the utterance {strange!r} is not in {other}"
                )


def _scores(ranks: _Ranks) -> list[str]:
    """The names of the files with one number for each hypothesis."""
    names = [name for name in ranks.files[0] if not name.startswith(_NO_SCORES)]
    return [
        name
        for name in sorted(names, key=lambda name: (name != "score", name))
        if name == "score"
        or all(_number(split_key(line.text)[1]) is not None for line in _all(ranks, name))
    ]


def _all(ranks: _Ranks, name: str) -> Iterator[Line]:
    for files in ranks.files:
        yield from files.get(name, {}).values()


def _number(text: str) -> str | None:
    """The number in a value, as it is spelt: that of a tensor, or the value itself."""
    match = _TENSOR.fullmatch(text)
    value = match[1] if match else text
    return None if to_float(value) is None else value


def _hypothesis(ranks: _Ranks, scores: Sequence[str], rank: int, key: str) -> Hypothesis:
    files = ranks.files[rank]
    features = {}
    for name in scores:
        where = ranks.where(rank + 1, name)
        if key not in files.get(name, {}):
            raise InputError(f"{where}: no score of the utterance {key!r}")
        line = files[name][key]
        text = split_key(line.text)[1]
        features[name] = parse_score(_number(text) or text, f"{where}, line {line.number}")
    text = single_spaced(split_key(files[_TEXT][key].text)[1])
    lines = {name: found[key] for name, found in files.items() if key in found}
    return Hypothesis(text, features, source=lines)


def _render(nbest: NBestList) -> str:
    """The lines of the texts; the directories are written by `_files`."""
    return "".join(f"{h.source[_TEXT].text}\n" for h in nbest.hypotheses)


def _files(lists: Sequence[NBestList]) -> Iterator[tuple[str, str]]:
    """The files to write, by their names below the directory to write into."""
    ranks: _Ranks = lists[0].source.content
    by_key = {nbest.id: nbest.hypotheses for nbest in lists}
    added = dict.fromkeys(name for nbest in lists for h in nbest.hypotheses for name in h.added)
    moving = ranks.moving
    for name in added:
        if name in ranks.files[0] or PurePath(name).name != name:
            raise OptionError(f"{name!r} cannot name a file of new scores; choose another name")
    for rank, files in enumerate(ranks.files, 1):
        below = PurePath(ranks.root.resolve().name, ranks.directory(rank))
        there = {key: found[rank - 1] for key, found in by_key.items() if len(found) >= rank}
        for name, lines in files.items():
            moved = {key: h.source[name] for key, h in there.items() if name in h.source}
            yield str(below / name), _text(lines, moved if name in moving else lines)
        for name in added:
            rows = [f"{key} {h.features[name]!r}\n" for key, h in there.items()]
            yield str(below / name), "".join(rows)


def _text(order: Mapping[str, Line], lines: Mapping[str, Line]) -> str:
    """Lines in the order of the utterances that a file had, and with its line ends."""
    keys = [*(key for key in order if key in lines), *(key for key in lines if key not in order)]
    if not keys:
        return ""
    ends = [line.end for line in order.values()]
    usual = next((end for end in ends if end), "\n")
    rows = [(key, order[key].end if key in order else usual) for key in keys]
    last = ends[-1] if ends else usual
    return joined_lines(
        [*((lines[k].text, end) for k, end in rows[:-1]), (lines[keys[-1]].text, last)]
    )


def _recognises(head: Head) -> Surety:
    place = PurePath(head.name)
    is_own = place.name == _TEXT and _DIRECTORY.fullmatch(place.parent.name)
    return Surety.CERTAIN if is_own else Surety.NO


ESPNET2 = Format("espnet2", _recognises, _read, _render, is_whole=True, files=_files)
