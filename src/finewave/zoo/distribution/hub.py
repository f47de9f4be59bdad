"""Models on the Hugging Face Hub: ``hf:owner/name``, from where they are loaded and to where they are pushed.

A repository has the files of a weights folder, `WEIGHTS` and `CARD`, and a README. Downloads are stored in the cache of
huggingface_hub, one folder per commit, and used from there when the Hub cannot be reached.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from finewave.errors import InputError
from finewave.extras import importing
from finewave.zoo.distribution.bundled_weights import CARD, WEIGHTS

PREFIX = "hf:"
_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[^@\s]+))?", re.ASCII)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


class Address(NamedTuple):
    """A repository, ``owner/name``, and a branch, tag or commit of it; None for its main branch."""

    repository: str
    revision: str | None

    def __str__(self) -> str:
        return self.repository if self.revision is None else f"{self.repository}@{self.revision}"


def parse_address(which: str) -> Address:
    """Return the address that ``"hf:owner/name"`` or ``"hf:owner/name@revision"`` is; ``hf:`` may be left out.

    Raises
    ------
    InputError
        If it is not a valid address.
    """
    match = _ADDRESS.fullmatch(which.removeprefix(PREFIX))
    if match is None:
        raise InputError(f"{which!r} is not an address on the Hub; hf:owner/name or hf:owner/name@revision is expected")
    return Address(match["repository"], match["revision"])


def fetch(which: str) -> Path:
    """Return the folder with weights and card of ``"hf:owner/name[@revision]"``, fetched if the cache lacks them.

    Only `WEIGHTS` and `CARD` are downloaded, both of one commit. If the Hub cannot be reached, or with
    ``HF_HUB_OFFLINE=1``, the cached files are returned.

    Raises
    ------
    InputError
        If there is no such repository or revision, no model of finewave in it, or neither network nor cached files.
    """
    address = parse_address(which)
    hub = _library()
    with _quietly(), _said_plainly(address):
        folder = Path(
            hub.snapshot_download(
                address.repository, revision=address.revision, allow_patterns=[CARD, WEIGHTS], **_who_asks()
            )
        )
        missing = [name for name in (CARD, WEIGHTS) if not (folder / name).is_file()]
        if missing:
            there = hub.HfApi(**_who_asks()).list_repo_files(address.repository, revision=address.revision)
            raise InputError(f"hf:{address} has no model of finewave: {absence(missing[0], there)}")
    return folder


def absence(missing: str, there: Iterable[str]) -> str:
    """Return the error for a missing file, with the likely reason."""
    pickles = sorted(name for name in there if name.endswith(_PICKLES))
    if missing == WEIGHTS and pickles:
        return (
            f"its weights are pickled ({pickles[0]}), and finewave runs no pickles: they may hold any program; "
            "ask for safetensors, or read them with torch.load(weights_only=True) and finewave.from_reference"
        )
    return f"{missing} is missing"


def push(folder: Path, repository: str, revision: str | None, private: bool | None, message: str, token: Any) -> str:
    """Make one commit of all files in ``folder`` and return its address; repository and branch are made if missing.

    Raises
    ------
    InputError
        If the Hub cannot be reached, or refuses.
    """
    address = parse_address(repository)
    if address.revision is not None:
        raise InputError(f"give the branch as revision={address.revision!r}, not within {repository!r}")
    address = Address(address.repository, revision)
    hub = _library()
    api = hub.HfApi(token=token, **_who_asks())
    with _quietly(), _said_plainly(address):
        api.create_repo(address.repository, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(address.repository, branch=revision, exist_ok=True)
        operations = [hub.CommitOperationAdd(path.name, str(path)) for path in sorted(folder.iterdir())]
        commit = api.create_commit(address.repository, operations, commit_message=message, revision=revision)
    return str(commit.commit_url)


def cached() -> dict[str, Path]:
    """Return the folders of finewave's models in the cache, by ``hf:owner/name`` or ``hf:owner/name@revision``."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return {}
    hub = _library()
    try:
        cache = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE)
    except hub.errors.CacheNotFound:
        return {}
    folders = {}
    for repository in cache.repos:
        for revision in repository.revisions:
            folder = revision.snapshot_path
            if (folder / CARD).is_file() and (folder / WEIGHTS).is_file():
                for ref in sorted(revision.refs) or [revision.commit_hash]:
                    folders[f"{PREFIX}{Address(repository.repo_id, None if ref == 'main' else ref)}"] = folder
    return dict(sorted(folders.items()))


def _library() -> Any:
    """Import huggingface_hub; it is an extra."""
    with importing("hub", "the Hub"):
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    return huggingface_hub


def _who_asks() -> dict[str, str]:
    from finewave import __version__

    return {"library_name": "finewave", "library_version": __version__}


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out the library's progress bars where there is no terminal to show them on."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


@contextmanager
def _said_plainly(address: Address) -> Iterator[None]:
    """Convert errors of huggingface_hub to an `InputError` of one line."""
    from huggingface_hub import constants, errors

    place = constants.ENDPOINT
    of_http: Any = errors.HfHubHTTPError.__bases__  # the error of the HTTP library in use
    try:
        yield
    except errors.HFValidationError as error:
        raise InputError(f"hf:{address} is not an address on the Hub: {_first_line(error)}") from None
    except errors.GatedRepoError:
        raise InputError(
            f"hf:{address} is gated: accept its terms on {place}/{address.repository}, and log in"
        ) from None
    except errors.RepositoryNotFoundError:
        raise InputError(
            f"there is no model {address.repository!r} on {place}, or it is private: "
            "mind the spelling, or log in (hf auth login)"
        ) from None
    except errors.RevisionNotFoundError:
        raise InputError(
            f"{address.repository!r} on {place} has no branch, tag or commit {address.revision!r}"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise InputError(f"{place} refuses access to {address}: log in with a token that may write") from None
        raise InputError(f"{place} answers {status} to hf:{address}: {_first_line(error)}") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise InputError(f"hf:{address} is not in the cache, and {place} cannot be reached{_offline()}") from error
    except of_http as error:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError):
            raise  # of the disk
        raise InputError(f"{place} cannot be reached: {_first_line(error)}") from error


def _offline() -> str:
    from huggingface_hub import constants

    return " (HF_HUB_OFFLINE is set)" if constants.HF_HUB_OFFLINE else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
