"""Repositories of the Hub, through its own client: fetched, kept in its cache, written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmscore.errors import (
    LmscoreError,
    MissingExtraError,
    ModelNotFoundError,
    OutputFileError,
    needs_extra,
)
from lmscore.hub.cache import MODEL_FILES
from lmscore.hub.certificate import check_files
from lmscore.hub.references import HubModel


def kept_snapshot(model: HubModel) -> Path | None:
    """The directory of a revision that was fetched earlier."""
    try:
        client = _client()
    except MissingExtraError:
        return None
    try:
        found = client.snapshot_download(
            model.repository,
            revision=model.revision,
            allow_patterns=list(MODEL_FILES),
            local_files_only=True,
        )
    except client.errors.LocalEntryNotFoundError:
        return None
    return Path(found)


def kept_snapshots() -> Iterator[tuple[HubModel, Path]]:
    """Every model of lmscore in the Hub's cache; other people's repositories lie there, too."""
    try:
        client = _client()
        cached = client.scan_cache_dir(client.constants.HF_HUB_CACHE)
    except MissingExtraError:
        return
    except client.errors.CacheNotFound:
        return
    for repository in sorted(cached.repos, key=lambda each: str(each.repo_id)):
        for revision in repository.revisions:
            path = Path(revision.snapshot_path)
            try:
                check_files(path)
            except LmscoreError:
                continue
            names = sorted(revision.refs) or [revision.commit_hash]
            yield HubModel(repository.repo_id, None if "main" in names else names[0]), path


def fetch_snapshot(model: HubModel) -> Path:
    """Fetch the newest commit of a revision; only files of a model.

    The client takes its server from $HF_ENDPOINT, its token and its cache from where it keeps them,
    and does not connect if $HF_HUB_OFFLINE is set.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        ModelNotFoundError: no such repository or revision, or the server cannot be reached.
        ModelError: it holds no model directory whose files fit its config.json.
    """
    client = _client()
    with _one_line_errors(client, str(model), ModelNotFoundError), _quiet(client):
        found = client.snapshot_download(
            model.repository,
            revision=model.revision,
            allow_patterns=list(MODEL_FILES),
            library_name="lmscore",
            endpoint=_endpoint(),
        )
    return check_files(found).path


def upload(path: str | Path, model: HubModel, *, private: bool = False, message: str = "") -> str:
    """Write a model directory into a repository, which is made if there is none; return its URL.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        ModelNotFoundError, ModelError: it is no model directory, or a file is not the one that
            config.json records.
        OutputFileError: the server refuses, or cannot be reached.
    """
    client, bundle = _client(), check_files(path)
    with _one_line_errors(client, str(model), OutputFileError), _quiet(client):
        api = client.HfApi(endpoint=_endpoint(), library_name="lmscore")
        made = api.create_repo(model.repository, private=private or None, exist_ok=True)
        if model.revision is not None:
            api.create_branch(model.repository, branch=model.revision, exist_ok=True)
        api.upload_folder(
            repo_id=model.repository,
            folder_path=bundle.path,
            revision=model.revision,
            allow_patterns=list(MODEL_FILES),
            commit_message=message or f"A model of lmscore: {bundle.config.architecture}",
        )
    return str(made)


def _client() -> Any:
    with needs_extra("hub"):
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils

    return huggingface_hub


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _quiet(client: Any) -> Iterator[None]:
    """Without the client's bars, which it writes to pipes and logs, too."""
    if client.utils.are_progress_bars_disabled():
        yield
        return
    client.utils.disable_progress_bars()
    try:
        yield
    finally:
        client.utils.enable_progress_bars()


@contextmanager
def _one_line_errors(client: Any, name: str, kind: type[LmscoreError]) -> Iterator[None]:
    """Turn the client's errors, which fill a screen, into one line."""
    errors = client.errors
    try:
        yield
    except LmscoreError:
        raise
    except errors.GatedRepoError as error:
        raise kind(
            f"{name}: only for people whom its owner admits; log in: hf auth login"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise kind(
            f"{name}: no such directory, and no such repository on the Hub, or a private one"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise kind(f"{name}: the repository has no such revision") from error
    except errors.OfflineModeIsEnabled as error:
        raise kind(f"{name}: no such directory, and HF_HUB_OFFLINE forbids to fetch it") from error
    except errors.LocalEntryNotFoundError as error:
        raise kind(
            f"{name}: no such directory, and not fetched before; the Hub cannot be reached"
        ) from error
    except errors.HfHubHTTPError as error:
        raise kind(
            f"{name}: the Hub says {error.response.status_code}: {_first_line(error)}"
        ) from error
    except (OSError, _of_its_library(errors)) as error:
        raise kind(f"{name}: the Hub cannot be reached: {_first_line(error)}") from error


def _of_its_library(errors: Any) -> type[Exception]:
    """What the client's library for HTTP raises; versions of the client have several libraries."""
    base: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    return base


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
