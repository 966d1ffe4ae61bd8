"""What clients registered, made ready to be served: fetched, packaged with proof, signed, kept by content: done once."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from perenne import data, inference, registry, tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import NotFound
from perenne.core.paths import confined
from perenne.registry import Evidence, Verdict, Version, VersionForm
from perenne.stats.columns import Columns, Field
from perenne.storage.transaction import Transaction
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace

PARITY = "parity: the compiled form answers like the model"
Notify = Callable[[str], None]


def prepare(
    workspace: Workspace,
    actor: Principal,
    identity: str,
    *,
    trusted: frozenset[str] = frozenset(),
    rows: Path | None = None,
    reason: str = "",
    on_progress: Notify | None = None,
) -> "inference.foreign.Packaged | None":
    """Package a version that a client registered; None if it is a package already, or was packaged before.

    Parameters
    ----------
    identity : str
        `name@number`.
    trusted : frozenset of str
        Digests of code that the caller vouches for; beside those that an administrator did (`perenne model trust`).
    rows : Path, optional
        A table of real rows to compare forms on; else those that were logged with the model.

    Raises
    ------
    Denied
        If the model is code that nobody vouches for.
    NotFound
        If the files do not lie in this installation.
    """
    with workspace.database.read() as tx:
        version = registry.get_version(tx, identity)
        if version.form is not VersionForm.LOGGED or registry.placing.package_of(tx, version) is not None:
            return None
    require(actor, Action.LOG, version.project)
    if trusted:
        require(actor, Action.ADMINISTER)
    with tempfile.TemporaryDirectory(prefix="perenne-packaging-") as folder:
        source, made = Path(folder, "source"), Path(folder, "package")
        fetch(workspace, actor, version, source)
        found = inference.foreign.find(source)
        code = found.digest if found.code else ""
        trust = inference.foreign.Trust(trusted | vouched(workspace, code))
        packaged = inference.foreign.package_model(source, made, rows=rows_of(rows), trust=trust, on_progress=on_progress)
        tree = put_tree(workspace.objects, made)
    signature = registry.trust.make(workspace, identity, tree)
    evidence = [Evidence(check=PARITY, verdict=_verdict(packaged), detail=packaged.parity.sentence)]

    def keep(tx: Transaction) -> None:
        registry.placing.keep_package(tx, actor, version, tree, packaged.reference, evidence, signature, reason=reason)
        if code and packaged.parity.converter == "source":  # the code itself is in the package
            registry.trust.carry_over(tx, actor, code, tree, made_of=identity)

    workspace.database.write(keep)
    return packaged


def fetch(workspace: Workspace, actor: Principal, version: Version, folder: Path) -> None:
    """Write the files of a version below a folder. Raises NotFound if they do not lie in this installation."""
    with workspace.database.read() as tx:
        location = tracking.artifacts.root_of(version.root) if version.root else None
        place = tracking.artifacts.place_of(tx, actor, location) if location else None
        found = [] if place is None else tracking.artifacts.below(tx, actor, place)
    if not found or place is None:
        raise NotFound(
            f"the files of {version.id} do not lie in this installation",
            code="model.files",
            hint=f"it was registered from {version.source[:200]}: log it here, or serve the files by their path",
        )
    for artifact in found:
        target = confined(folder, artifact.path.removeprefix(f"{place.path}/") if place.path else artifact.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as stream:
            for chunk in tracking.artifacts.chunks(workspace.blobs, artifact):
                stream.write(chunk)


def vouched(workspace: Workspace, digest: str) -> frozenset[str]:
    """Return a digest of code, if somebody vouched for it."""
    with workspace.database.read() as tx:
        return frozenset({digest}) if digest and registry.trust.is_vouched(tx, digest) else frozenset()


def rows_of(path: Path | None) -> "Callable[[tuple[Field, ...]], Columns] | None":
    """Return how a table of real rows is read."""
    if path is None:
        return None
    table = data.read_source(path)
    return lambda fields: data.fields.to_columns(table, fields)


def _verdict(packaged: "inference.foreign.Packaged") -> Verdict:
    return Verdict.PASS if packaged.parity.rows or packaged.parity.converter == "source" else Verdict.UNKNOWN
