"""Packages made of what clients registered: once for each set of files, whoever asked first; a version has that of its files."""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict
from perenne.registry import files, trust
from perenne.registry.approvals import add_evidence
from perenne.registry.model import Evidence, Version, VersionForm
from perenne.storage.schema import metadata, read_struct
from perenne.storage.transaction import Transaction

table = sa.Table(
    "made_package",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("made", sa.BigInteger, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
)


class MadePackage(msgspec.Struct, frozen=True):
    """A package that was made of registered files.

    Attributes
    ----------
    source : str
        The digest of the files, as their version has it for its tree.
    tree, reference : str
        The package, and the monitoring reference in it; empty if it has none.
    made, made_by : int, str
        When, and who asked for it.
    """

    source: str
    tree: str
    reference: str
    made: int
    made_by: str


def find(tx: Transaction, version: Version) -> MadePackage | None:
    """Return the package of a version's files, if one was made."""
    row = tx.execute(sa.select(table).where(table.c.source == version.tree)).one_or_none() if version.tree else None
    return None if row is None else read_struct(MadePackage, row)


def keep(
    tx: Transaction,
    actor: Principal,
    version: Version,
    tree: str,
    reference: str,
    evidence: Iterable[Evidence],
    signature: trust.Made | None,
    *,
    reason: str = "",
) -> MadePackage:
    """Keep the package that was made of a version's files, with its signature and what was proven.

    Raises
    ------
    Conflict
        If the files have changed meanwhile.
    """
    require(actor, Action.LOG, version.project)
    if not files.unchanged(tx, version):
        raise _changed(version)
    known = find(tx, version)
    if known is not None:
        return known
    row = MadePackage(version.tree, tree, reference, SystemClock().now(), actor.name)
    tx.execute(sa.insert(table).values(msgspec.structs.asdict(row)))
    audit.record(tx, actor, "version.package", "version", version.id, after={"tree": tree}, reason=reason)
    add_evidence(tx, actor, version.id, evidence, produced_by=actor.name)
    trust.keep_new(tx, actor, packaged(version, row), signature)
    return row


def packaged(version: Version, made: MadePackage) -> Version:
    """Return a version as it is served: with the package's files in place of the registered ones."""
    return msgspec.structs.replace(version, tree=made.tree, reference=made.reference)


def as_served(tx: Transaction, version: Version) -> Version:
    """Return a version with the files that are served.

    Raises
    ------
    Conflict
        If it is the text of a prompt, no package was made of it yet, or its files are others than were registered.
    """
    if version.form is VersionForm.PACKAGE:
        return version
    if version.form is VersionForm.PROMPT:
        raise Conflict(f"{version.id} is the text of a prompt", code="model.form", hint="models are served")
    if not files.unchanged(tx, version):
        raise _changed(version)
    made = find(tx, version)
    if made is None:
        raise Conflict(
            f"{version.id} was registered by a client, and is not packaged yet",
            code="model.not_packaged",
            hint=f"`perenne deploy version NAME {version.id}` packages it first",
        )
    return packaged(version, made)


def _changed(version: Version) -> Conflict:
    return Conflict(
        f"the files of {version.id} are not those that were registered",
        code="model.files",
        hint="register them as a new version",
    )
