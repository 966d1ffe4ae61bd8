"""Where a client says a version comes from, and whether that is a place it may name.

A source that leads elsewhere than it says is how registries were broken into: paths are unquoted until nothing is left to
unquote and compared segment by segment, and a place of this installation must belong to the run or model that is named with it.
"""

import posixpath
import re
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import sees
from perenne.core.errors import Invalid, NotFound, PerenneError
from perenne.registry import store
from perenne.registry.model import Version, VersionForm
from perenne.storage.transaction import Transaction

PLACEHOLDERS = frozenset({"dummy-source", "prompt-template"})
"""What the version of a prompt has for a source: there are no files."""

ELSEWHERE = frozenset(
    {"s3", "gs", "wasb", "wasbs", "abfs", "abfss", "az", "adl", "r2", "b2", "oci", "oss", "http", "https", "dbfs", "uc"}
)
"""Stores whose files this server never opens itself: it only says where they are."""

_API = ("api", "2.0", "mlflow-artifacts", "artifacts")


class Origin(NamedTuple):
    """Where a version comes from, as far as it can be told.

    Attributes
    ----------
    source, storage, root : str
        What was named, where a client reads the files, and where in the artifact store that is; empty if it is elsewhere.
    run, logged_model : str
        The run and the logged model they are of; empty if of none.
    project, author : str
        Those of the run; empty if there is none.
    """

    source: str
    storage: str
    root: str = ""
    run: str = ""
    logged_model: str = ""
    project: str = ""
    author: str = ""


class _Owner(NamedTuple):
    """A run or a logged model: where its files lie, and whose it is."""

    root: str
    run: str
    project: str
    author: str


def origin_of(
    tx: Transaction, actor: Principal, source: str, run: str | None, logged_model: str | None, *, prompt: bool
) -> Origin:
    """Find where a version comes from.

    Parameters
    ----------
    source : str
        As the client names it.
    run, logged_model : str or None
        What it says the files belong to.
    prompt : bool
        Whether it is to be a version of a prompt.

    Raises
    ------
    Invalid
        If the source is no place that may be named; the message is the one that clients of the MLflow protocol know.
    """
    if prompt:
        if source not in PLACEHOLDERS:
            raise _bad(f"Invalid prompt source: '{source}'. Prompt sources must use an MLflow placeholder.")
        return Origin(source, source)
    scheme = urlsplit(_checked(source)).scheme.lower()
    if scheme == "models" and not _model_id(source):
        return _of_version(tx, actor, source, run, logged_model)
    if _is_local(source):
        what, of = ("model_id", "model") if logged_model else ("run_id", "run")
        raise _bad(
            f"Invalid model version source: '{source}'. To use a local path as a model version source, the {what} request "
            f"parameter has to be specified and the local path has to be contained within the artifact directory of the {of} "
            f"specified by the {what}."
        )
    _check_relative(source)
    if logged_model:
        return _of_logged_model(tx, actor, source, run, logged_model)
    return _of_run(tx, actor, source, run)


def _of_run(tx: Transaction, actor: Principal, source: str, run: str | None) -> Origin:
    parts = urlsplit(source)
    scheme = parts.scheme.lower()
    if scheme == "models":
        raise _not_identified(source, "model_id")
    inside = scheme == "runs" or _is_proxied(source)
    owner = _run(tx, actor, run) if run else None
    if not inside:
        found = owner or _Owner("", run or "", "", "")
        return Origin(source, source, "", run or "", "", found.project, found.author)
    if owner is None or not run or (scheme == "runs" and parts.netloc):
        raise _not_identified(source, "run_id")
    if scheme == "runs":
        named, _, path = parts.path.lstrip("/").partition("/")
        if named != run:
            raise _not_identified(source, "run_id")
        return Origin(source, source, f"{owner.root}/{path}".rstrip("/"), run, "", owner.project, owner.author)
    if not _within(source, owner.root):
        raise _not_identified(source, "run_id")
    return Origin(source, source, source, run, "", owner.project, owner.author)


def _of_logged_model(tx: Transaction, actor: Principal, source: str, run: str | None, identity: str) -> Origin:
    parts = urlsplit(source)
    scheme = parts.scheme.lower()
    owner = _logged_model(tx, actor, identity)
    if scheme == "runs" or (scheme == "models" and (parts.netloc or _model_id(source) != identity)):
        raise _not_identified(source, "model_id")
    inside = scheme == "models" or _is_proxied(source)
    if owner is None and inside:
        raise _not_identified(source, "model_id")
    found = owner or _Owner(source, "", "", "")
    if _is_proxied(source) and not _within(source, found.root):
        raise _not_identified(source, "model_id")
    storage = found.root if scheme == "models" else source
    return Origin(source, storage, storage if inside else "", run or found.run, identity, found.project, found.author)


def _of_version(tx: Transaction, actor: Principal, source: str, run: str | None, logged_model: str | None) -> Origin:
    """Follow `models:/name/version` and `models:/name@alias` to what that version comes from."""
    if urlsplit(source).netloc:
        raise _bad(f"Invalid model version source: '{source}'. Registered model sources must use the active model registry.")
    found = _named(tx, actor, source)
    if found.form is VersionForm.PROMPT:
        raise _bad(f"Invalid model version source: '{source}'. Prompt versions cannot be used as model version sources.")
    if (run is not None and run != found.run) or (logged_model is not None and logged_model != found.logged_model):
        raise _bad(
            f"Invalid model version source: '{source}'. The run_id and model_id request parameters must match the referenced "
            "model version."
        )
    plain, storage = f"models:/{found.model}/{found.number}", found.storage or found.source
    return Origin(plain, storage, found.root, found.run, found.logged_model, found.project, found.author)


def _named(tx: Transaction, actor: Principal, source: str) -> Version:
    path = urlsplit(source).path.lstrip("/")
    name, slash, suffix = path.partition("/")
    if slash and suffix.isascii() and suffix.isdecimal() and len(suffix) < 10:
        found = store.find_number(tx, name, int(suffix))
        missing = f"Model Version (name={name}, version={suffix}) not found"
    elif slash:
        staged = store.list_versions(tx, name, 1) if suffix.lower() == "latest" else store.in_stage(tx, name, suffix.capitalize())
        found = staged[0] if staged else None
        missing = f"No versions of model with name '{name}' and stage '{suffix}' found"
    else:
        name, _, alias = path.partition("@")
        identity = store.find_alias(tx, name, alias)
        found = store.find_version(tx, identity) if identity else None
        missing = f"Registered model alias {alias} not found."
    if found is None or not sees(actor, found.project):
        raise NotFound(missing[:1_000], code="version.source", hint="name a version that there is")
    return found


def _run(tx: Transaction, actor: Principal, identity: str) -> _Owner | None:
    try:
        found = tracking.service.get_run(tx, identity)
    except NotFound:
        return None
    if not sees(actor, found.project):
        return None
    return _Owner(found.artifact_uri, found.id, found.project, found.started_by)


def _logged_model(tx: Transaction, actor: Principal, identity: str) -> _Owner | None:
    try:
        found = tracking.models.get(tx, actor, identity)
    except NotFound:
        return None
    (experiment,) = tracking.experiments.some(tx, [found.experiment])
    run = _run(tx, actor, found.run) if found.run else None
    return _Owner(found.artifact_uri, found.run, experiment.project, run.author if run else "")


def _checked(source: str) -> str:
    """Return a source that has a scheme we know. Raises Invalid."""
    try:
        scheme = urlsplit(source).scheme.lower()
    except ValueError:
        raise _relative(source) from None
    if scheme not in ELSEWHERE | {"", "file", "runs", "models", "mlflow-artifacts"}:
        raise _bad(
            f"'source' cannot use the '{scheme}' scheme: it is none that this server knows. Log the files as "
            "artifacts, or name a place in an object store."
        )
    return source


def _is_local(source: str) -> bool:
    """Tell whether a source names a file of some machine."""
    parts = urlsplit(source)
    host = parts.hostname or ""
    here = not host or host == "." or host.startswith(("localhost", "127.0.0.1"))
    return parts.scheme.lower() in ("", "file") or (here and not parts.scheme)


def _is_proxied(source: str) -> bool:
    """Tell whether a source lies in an artifact store behind a server: ours, or another's."""
    scheme, _, parts = _segments(source)
    if scheme == "mlflow-artifacts":
        return True
    spans = (parts[start : start + len(_API)] for start in range(len(parts) - len(_API) + 1))
    return scheme in ("http", "https") and any(span == _API for span in spans)


def _within(source: str, root: str) -> bool:
    """Tell whether a place lies at or below another.

    >>> _within("mlflow-artifacts:/1/r/artifacts/model", "mlflow-artifacts:/1/r/artifacts")
    True
    >>> _within("mlflow-artifacts:/1/r/artifacts-of-others", "mlflow-artifacts:/1/r/artifacts")
    False
    """
    inner, outer = _segments(source), _segments(root)
    return inner[:2] == outer[:2] and bool(outer[2]) and inner[2][: len(outer[2])] == outer[2]


def _segments(place: str) -> tuple[str, str, tuple[str, ...]]:
    parts = urlsplit(place)
    return parts.scheme.lower(), parts.netloc.lower(), tuple(_unquoted(part) for part in parts.path.split("/") if part)


def _unquoted(text: str) -> str:
    while (plain := unquote(text)) != text:
        text = plain
    return text


def _check_relative(source: str) -> None:
    plain = source
    while (unquoted := unquote_plus(plain)) != plain:
        plain = unquoted
    path = re.sub(r"/+", "/", urlsplit(plain).path.rstrip("/"))
    rooted = path if path.startswith("/") else f"/{path}"
    if "\0" in plain or ".." in re.split(r"[/\\]", plain) or (path and posixpath.normpath(rooted) != path):
        raise _relative(source)


def _model_id(source: str) -> str:
    """Return the logged model of `models:/m-…`, an empty text if the source names a registered one.

    >>> _model_id("models:/m-0123"), _model_id("models:/fraud/3"), _model_id("models:/fraud@champion")
    ('m-0123', '', '')
    """
    path = urlsplit(source).path
    name = path.removeprefix("/")
    return name if name and "/" not in name and "@" not in name else ""


def _relative(source: str) -> PerenneError:
    return _bad(
        f"Invalid model version source: '{source}'. If supplying a source as an http, https, local file path, ftp, objectstore, "
        "or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide "
        "an absolute path."
    )


def _not_identified(source: str, what: str) -> PerenneError:
    return _bad(
        f"Invalid model version source: '{source}'. The {what} request parameter must identify the resource that contains the "
        "source."
    )


def _bad(message: str) -> PerenneError:
    return Invalid(message, code="version.source", hint="log the files with a run or a logged model, and name that along")
