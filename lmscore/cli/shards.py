"""`lmscore filter --output-dir`: one output for each input, by one process or several."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lmscore.cli import streams
from lmscore.cli.filtering import Models, Settings, Tally, write_chosen
from lmscore.cli.outfile import same_file
from lmscore.cli.progress import Progress
from lmscore.cli.ray_shards import ray_results
from lmscore.cli.records import note_bad_records
from lmscore.cli.rejected import rejected_records
from lmscore.cli.shard_workers import Workers
from lmscore.cli.usage import UsageError
from lmscore.compression import compression_named, packed
from lmscore.corpus.reading import file_records
from lmscore.errors import LmscoreError, OptionError, OutputFileError
from lmscore.files import make_directory, open_input, open_output
from lmscore.locks import is_open_as, take_lock

if TYPE_CHECKING:
    from lmscore.corpus import Selection


@dataclass(frozen=True)
class Shard:
    """A file to read, and the one to write."""

    source: str
    target: Path
    rejected: Path | None


def shards_of(paths: Sequence[str], directory: Path, rejected: Path | None) -> list[Shard]:
    """The outputs of some inputs, of the same name in a directory, and those of what is rejected.

    Raises:
        UsageError: an input has no name, two have the same, or one would be its own output.
    """
    shards: dict[str, Shard] = {}
    for path in paths:
        if path == "-":
            raise UsageError("--output-dir needs files: standard input has no name")
        name = Path(path).name
        if name in shards:
            raise UsageError(f"{path} and {shards[name].source}: would have the same output")
        target = directory / name
        if same_file(path, target):
            raise UsageError(f"{path}: would be its own output; name another --output-dir")
        shards[name] = Shard(path, target, None if rejected is None else rejected / name)
    return list(shards.values())


@dataclass(frozen=True)
class Team:
    """The processes that do the work.

    Attributes:
        jobs: how many there are. Default: one, or as many as Ray has CPUs.
        engine: "ray" or "ray:ADDRESS". Default: processes of our own.
    """

    jobs: int | None = None
    engine: str | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for another engine."""
        if self.engine is not None and self.engine.split(":")[0] != "ray":
            raise UsageError(f"--engine is {self.engine!r}, expected ray or ray:ADDRESS")

    @property
    def address(self) -> str | None:
        """That of a cluster of Ray."""
        return (self.engine or "").partition(":")[2] or None


def filter_shards(
    settings: Settings, shards: Sequence[Shard], *, resume: bool, team: Team, quiet: bool
) -> None:
    """Filter each shard into a file of its own, which is in place once it is whole.

    Args:
        settings: the options.
        shards: the files.
        resume: leave out the shards whose outputs are there.
        team: the processes that do it.
        quiet: print no summary.

    Raises:
        OptionError: an output is there already.
        OutputFileError: an output cannot be written, or a process was killed.
    """
    done = [shard for shard in shards if shard.target.exists()]
    if done and not resume:
        raise OptionError(
            f"{done[0].target}: is there already; go on with the others by --resume, remove it, or "
            "name another directory"
        )
    for shard in shards:
        make_directory(shard.target.parent)
        if shard.rejected is not None:
            make_directory(shard.rejected.parent)
    waiting = [shard for shard in shards if shard not in done]
    models = settings.load()
    how = str(models)
    selection = models.selection(quiet=quiet)
    with Progress("filtering", total=len(waiting)) as progress:
        found: list[Tally | None] = []
        for tally in _tallies(models, selection, waiting, team):
            found.append(tally)
            lines = sum(each.lines for each in found if each)
            rate = f"{lines / progress.seconds:,.0f} lines/s"
            progress.update(len(found), f"{len(found)} of {len(waiting)} files, {rate}")
    total = sum((each for each in found if each), Tally())
    if not quiet:
        streams.note(f"{how}: {total}")
        _note_files(len(found) - found.count(None), len(done), found.count(None))
        note_bad_records(total.bad)


def _note_files(written: int, before: int, busy: int) -> None:
    parts = [f"{written} files written"]
    parts += [f"{before} were there before"] * bool(before)
    parts += [f"{busy} are being written by other processes"] * bool(busy)
    streams.note(", ".join(parts))


def _tallies(
    models: Models, selection: Selection, shards: Sequence[Shard], team: Team
) -> Iterator[Tally | None]:
    """The tally of each shard, in any order; None for one that another process writes."""
    jobs = team.jobs or 1
    if team.engine is not None and shards:
        yield from ray_results(models, selection, shards, actors=team.jobs, address=team.address)
    elif jobs == 1 or len(shards) < 2:
        for shard in shards:
            yield filter_shard(models, selection, shard)
    else:
        with Workers(min(jobs, len(shards)), models.settings, selection) as workers:
            yield from workers.results(shards)


def filter_shard(models: Models, selection: Selection, shard: Shard) -> Tally | None:
    """Filter one shard; None if another process writes it, or has written it meanwhile."""
    settings = models.settings
    reading = settings.text.reading()
    bad = settings.text.bad_records()
    with _claimed(shard.target) as file:
        if file is None:
            return None
        with (
            rejected_records(shard.rejected, reading, bad) as reject,
            _packed(shard, file) as stream,
        ):
            records = bad.handled(file_records(shard.source, reading))
            figured = models.figured(records)
            with settings.writer(stream.write) as writer:
                tally = write_chosen(
                    figured, settings.selecting, selection, writer=writer, reject=reject
                )
                writer.finish(bad.first)
            tally.bad = bad.count
            if bad.first is None:
                _copy(shard.source, stream)
        if bad.first is None and shard.rejected is not None:
            with open_output(shard.rejected) as others:
                _copy(shard.source, others)
    return tally


def _copy(path: str, stream: IO[bytes]) -> None:
    """Copy an input without records: the names of its columns, or []."""
    with open_input(path) as source:
        shutil.copyfileobj(source, stream)


@contextmanager
def _claimed(target: Path) -> Iterator[IO[bytes] | None]:
    """A file that becomes `target` at the end, locked; None if somebody else has the target.

    What a killed process left of it is written anew.

    Raises:
        OutputFileError: the file cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with open(partial, "ab") as file:
            taken = take_lock(file.fileno())
            if taken is False or not is_open_as(file.fileno(), partial):
                yield None
                return
            if target.exists():  # written between the first look and the lock
                partial.unlink()
                yield None
                return
            with _removed_on_failure(partial):
                file.truncate(0)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
    except LmscoreError:  # may be an OSError too
        raise
    except OSError as error:
        raise OutputFileError(f"{target}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


@contextmanager
def _packed(shard: Shard, file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Compress what is written as the name of the output says."""
    kind = compression_named(shard.target.name)
    if kind is None:
        yield file
    else:
        with packed(file, kind) as stream:
            yield stream
