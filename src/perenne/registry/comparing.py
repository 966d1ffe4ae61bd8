"""Two versions held against each other: only what differs."""

from collections.abc import Mapping
from typing import Any

import msgspec

from perenne import tracking
from perenne.auth.principals import Principal, local_principal
from perenne.core.errors import NotFound
from perenne.registry import model_store, store
from perenne.registry.model import Evidence, Version, VersionForm
from perenne.registry.service import get_version
from perenne.storage.transaction import Transaction
from perenne.storage.trees import get_tree
from perenne.storage.workspace import Workspace
from perenne.tracking import Run


class Difference(msgspec.Struct, frozen=True):
    """Something that two versions do not have in common.

    Attributes
    ----------
    kind : str
        metric, parameter, evidence, data, code, environment, file, tag or version.
    name : str
        Of what.
    before, after : str
        In the one and in the other; empty where it has none.
    change : float or None
        By how much a number grew.
    """

    kind: str
    name: str
    before: str
    after: str
    change: float | None = None


def compare(workspace: Workspace, first: str, second: str, actor: Principal | None = None) -> list[Difference]:
    """Return what differs between two versions, kind by kind. Raises NotFound."""
    who = actor or local_principal()
    with workspace.database.read() as tx:
        sides = [_known(tx, who, get_version(tx, identity)) for identity in (first, second)]
    before, after = (known | {"file": _packaged(workspace, version) or known["file"]} for version, known in sides)
    return [item for kind in before for item in differences(kind, before[kind], after[kind])]


def _known(tx: Transaction, actor: Principal, version: Version) -> tuple[Version, dict[str, Mapping[str, Any]]]:
    """Read what is known of a version, by kind and name."""
    run = _run(tx, version)
    return version, {
        "metric": run.metrics if run else {},
        "parameter": run.parameters if run else {},
        "evidence": _facts(store.list_evidence(tx, [version])[version.id]),
        "data": _data(version, run),
        "code": _code(run),
        "environment": _environment(run),
        "file": _logged_files(tx, actor, version),
        "tag": model_store.tags_of(tx, model_store.version_tag, [version.id])[version.id],
        "version": _plain(version),
    }


def differences(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two mappings, by name.

    >>> [(item.name, item.before, item.after, item.change) for item in differences("metric", {"auc": 0.5, "f": 1}, {"auc": 0.75})]
    [('auc', '0.5', '0.75', 0.25), ('f', '1', '', None)]
    """
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return [
        Difference(kind, name, _text(before.get(name)), _text(after.get(name)), _change(before.get(name), after.get(name)))
        for name in names
    ]


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _change(before: Any, after: Any) -> float | None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after))
    return after - before if numbers else None


def _run(tx: Transaction, version: Version) -> Run | None:
    try:
        return tracking.service.get_run(tx, version.run) if version.run else None
    except NotFound:
        return None


def _facts(evidence: list[Evidence]) -> dict[str, str]:
    newest = {item.check: item for item in evidence}
    return {check: item.verdict.value + ("" if item.value is None else f" ({item.value:.6g})") for check, item in newest.items()}


def _data(version: Version, run: Run | None) -> dict[str, str]:
    used = [*(run.data if run else ()), version.snapshot]
    return {"snapshot": ", ".join(dict.fromkeys(digest for digest in used if digest))}


def _code(run: Run | None) -> dict[str, str]:
    if run is None:
        return {}
    said = run.provenance
    source = {f"source {path}": digest for path, digest in said.source.items()}
    return {"commit": said.commit, "uncommitted changes": said.patch, **source}


def _environment(run: Run | None) -> dict[str, str]:
    if run is None:
        return {}
    said = run.provenance
    return {"packages": said.environment, "python": said.python, "system": said.system, "hardware": said.hardware}


def _packaged(workspace: Workspace, version: Version) -> dict[str, str]:
    if version.form is not VersionForm.PACKAGE or not version.tree:
        return {}
    try:
        found = get_tree(workspace.objects, version.tree)
    except NotFound:
        return {}
    return {file.path: f"{file.size} bytes, {file.digest[:12]}" for file in found.files}


def _logged_files(tx: Transaction, actor: Principal, version: Version) -> dict[str, str]:
    root = tracking.artifacts.root_of(version.root) if version.root else None
    place = tracking.artifacts.place_of(tx, actor, root) if root else None
    found = tracking.artifacts.below(tx, actor, place) if place else []
    start = len(place.path) + 1 if place and place.path else 0
    return {file.path[start:]: f"{file.size} bytes, upload {file.blob[:12]}" for file in found}


def _plain(version: Version) -> dict[str, Any]:
    names = ("tree", "source", "state", "stage", "description", "created_by", "author", "form")
    return {name: getattr(version, name) or None for name in names}
