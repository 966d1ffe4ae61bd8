"""A version of the registry as what a bill is written of, with the parts it needs."""

from typing import NamedTuple

import msgspec

from perenne import data, registry, tracking
from perenne.core import json
from perenne.core.errors import NotFound
from perenne.delivery.bill.gathering import gather
from perenne.delivery.bill.model import Materials, Subject
from perenne.inference import Signature
from perenne.registry import Version
from perenne.storage.transaction import Transaction
from perenne.storage.trees import get_tree
from perenne.storage.workspace import Workspace


class _Manifest(msgspec.Struct):
    """What a bill needs of `package.json`, whatever else stands there."""

    form: str
    estimator: str
    signature: Signature
    libraries: dict[str, str]


class Billed(NamedTuple):
    """What a bill is written of: the version, and what it needs."""

    subject: Subject
    materials: Materials


def of_version(workspace: Workspace, identity: str) -> Billed:
    """Read what a version is made of.

    Raises
    ------
    NotFound
        If there is no such version, or no package in it.
    Conflict
        If a client registered it, and it was not packaged yet.
    """
    with workspace.database.read() as tx:
        version = registry.get_version(tx, identity)
        dataset, rows = _data(tx, version)
        parameters = _parameters(tx, version)
        version = registry.placing.as_served(tx, version)
    files = {file.path: file.digest for file in get_tree(workspace.objects, version.tree).files}
    if "package.json" not in files:
        raise NotFound(f"there is no package in {identity}", code="bill.package", hint="package the version again")
    manifest = json.decode(workspace.objects.get(files["package.json"]), _Manifest, what="package.json")
    subject = Subject(
        name=version.model,
        number=str(version.number),
        tree=version.tree,
        form=manifest.form,
        estimator=manifest.estimator,
        signature=manifest.signature,
        created=version.created,
        snapshot=version.snapshot if dataset else "",
        dataset=dataset,
        rows=rows,
        parameters=parameters,
        files=files,
    )
    return Billed(subject, gather(manifest.libraries, manifest.form))


def _data(tx: Transaction, version: Version) -> tuple[str, int]:
    try:
        found = data.snapshots.get_snapshot(tx, version.snapshot)
    except NotFound:
        return "", 0
    return found.dataset, found.rows


def _parameters(tx: Transaction, version: Version) -> dict[str, str]:
    found = tracking.summary.some(tx, [version.run]).get(version.run)
    return {} if found is None else {name: str(value) for name, value in found.parameters.items()}
