"""A model's file, or a folder that MLflow logged, served without a registry: a release folder of its own beside the project's.

::

    served/<name>/current.json, versions/<digest>/…    as of a deployment
    served/<name>/made.json                            which package was made of which file: it is made once
"""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

import perenne
from perenne import inference
from perenne.core import json
from perenne.core.errors import Invalid, PerenneError
from perenne.core.hashing import digest_bytes
from perenne.serving.model import Deployment, Release, Role, Variant
from perenne.serving.preparing import rows_of
from perenne.serving.releases import CURRENT, VERSIONS, read_release
from perenne.storage.files import write_atomically

MADE = "made.json"
SUFFIXES = frozenset({".onnx", ".ubj", ".json", ".txt", ".lgb", ".skops", ".pkl", ".pickle", ".joblib", ".pt", ".pth"})
SHORT = 12


class _Made(msgspec.Struct, frozen=True):
    """Which package was made of what, by the digest of both."""

    source: str
    tree: str
    reference: str


class ServedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a file became.

    Attributes
    ----------
    folder : Path
        The release folder.
    name, version : str
        As what it is served.
    packaged : Packaged or None
        What was found and proven; None if it had been packaged before.
    """

    folder: Path
    name: str
    version: str
    packaged: "inference.foreign.Packaged | None"


def is_model_file(text: str) -> bool:
    """Tell whether somebody named a file or a folder rather than a deployment or a version."""
    path = Path(text)
    return path.suffix.lower() in SUFFIXES or (path.is_dir() and (path / "MLmodel").exists()) or "/" in text


def release_file(
    path: Path,
    served: Path,
    *,
    name: str = "",
    rows: Path | None = None,
    trusted: frozenset[str] = frozenset(),
    on_progress: Callable[[str], None] | None = None,
) -> ServedFile:
    """Package a file and release it.

    Parameters
    ----------
    path : Path
        The file or folder.
    served : Path
        Where the release folders of files lie.
    name : str
        What callers call it; the file's own name if not given.
    rows : Path, optional
        A table of real rows.
    trusted : frozenset of str
        Digests of code that somebody vouches for.

    Raises
    ------
    PerenneError
        If it is no model, or code that nobody vouches for.
    """
    name = name or _name_of(path)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise Invalid(
            f"{name[:100]!r} is no name to be called by", code="deployment.name", hint="--name NAME: letters, digits, dot, dash"
        )
    folder = served / name
    trust = inference.foreign.Trust(trusted)
    found = inference.foreign.find(path)
    # Who is trusted is no part of it: what was packaged once is only served again if it may be packaged again.
    inference.foreign.require_trust(found, trust)
    source = digest_bytes(f"{found.digest} {_digest_of(rows)} {perenne.__version__}".encode())
    made, packaged = _known(folder, source), None
    if made is None:
        made, packaged = _package(path, folder, source, rows, trust, on_progress)
    version = f"{name}@{made.tree[:SHORT]}"
    _release(folder, name, Variant(Role.CHAMPION.value, Role.CHAMPION, version, made.tree, made.reference))
    return ServedFile(folder=folder, name=name, version=version, packaged=packaged)


def _package(
    path: Path,
    folder: Path,
    source: str,
    rows: Path | None,
    trust: "inference.foreign.Trust",
    on_progress: Callable[[str], None] | None,
) -> "tuple[_Made, inference.foreign.Packaged]":
    versions = folder / VERSIONS
    versions.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=versions, prefix=".incoming-"))
    try:
        packaged = inference.foreign.package_model(
            path, beside, rows=rows_of(rows), trust=trust, watched=False, on_progress=on_progress
        )
        tree = inference.foreign.digest_of(beside)
        if not (versions / tree).exists():
            beside.rename(versions / tree)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    made = _Made(source, tree, packaged.reference)
    write_atomically(folder / MADE, json.encode(made))
    return made, packaged


def _release(folder: Path, name: str, champion: Variant) -> None:
    try:
        present = read_release(folder).deployment
    except PerenneError:
        present = None
    if present is not None and present.champion == champion:
        return
    generation = 1 if present is None else present.generation + 1
    deployment = Deployment(name=name, project="", generation=generation, variants=(champion,))
    write_atomically(folder / CURRENT, json.encode(Release(deployment=deployment)))
    for version in (folder / VERSIONS).iterdir():
        if version.name != champion.tree and (present is None or version.name != present.champion.tree):
            shutil.rmtree(version, ignore_errors=True)


def _known(folder: Path, source: str) -> _Made | None:
    try:
        made = json.decode((folder / MADE).read_bytes(), _Made, what=MADE)
    except (OSError, PerenneError):
        return None
    return made if made.source == source and (folder / VERSIONS / made.tree).is_dir() else None


def _digest_of(rows: Path | None) -> str:
    return inference.foreign.digest_of(rows) if rows is not None else ""


def _name_of(path: Path) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem if path.is_file() else path.resolve().name).strip("-._")
    return plain or "model"
