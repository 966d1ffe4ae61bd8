"""The tables of trust: keys that count, signatures of packages, packages that may be unpickled, and what is required."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from perenne.inference import TrustedKey
from perenne.storage.names import chosen
from perenne.storage.schema import JsonColumn, metadata, read_struct
from perenne.storage.transaction import Transaction

Requirement = Literal["off", "warn", "on"]
Pickles = Literal["never", "signed"]
EVERYWHERE = ""


class TrustPolicy(msgspec.Struct, frozen=True):
    """What is asked of packages before they are served.

    Attributes
    ----------
    require : str
        Whether a valid signature is needed: `off`, `warn` (it is looked at and told), `on` (without one it is refused).
    pickles : str
        Whether a package that this registry has signed may be unpickled: `never`, `signed`.
    """

    require: Requirement = "warn"
    pickles: Pickles = "never"


class KeptKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key whose signatures count, or did.

    Attributes
    ----------
    id, kind, name, pem : str
        See `inference.signing.TrustedKey`.
    withdrawn : int or None
        Since when its signatures count no more.
    """

    id: str
    kind: Literal["own", "key", "certificate"]
    name: str
    pem: str
    created: int
    created_by: str
    withdrawn: int | None = None

    def trusted(self) -> TrustedKey:
        """Return it as signatures are judged by it."""
        return TrustedKey(self.id, self.kind, self.name, self.pem)


class Signature(msgspec.Struct, frozen=True):
    """A signature over a package: the bundle's text, by which key, and who made it when."""

    tree: str
    key: str
    bundle: str
    made: int
    made_by: str


class TrustedTree(msgspec.Struct, frozen=True):
    """A package that somebody vouched for, and why."""

    tree: str
    reason: str
    given: int
    given_by: str


signing_key = sa.Table(
    "signing_key",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("pem", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("withdrawn", sa.BigInteger),
)

signature = sa.Table(
    "signature",
    metadata,
    sa.Column("tree", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, sa.ForeignKey("signing_key.id"), primary_key=True),
    sa.Column("bundle", sa.Text, nullable=False),
    sa.Column("made", sa.BigInteger, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Index(None, "key"),
)

trusted_tree = sa.Table(
    "trusted_tree",
    metadata,
    sa.Column("tree", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("given", sa.BigInteger, nullable=False),
    sa.Column("given_by", sa.Text, nullable=False),
)

trust_policy = sa.Table(
    "trust_policy",
    metadata,
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("body", JsonColumn(TrustPolicy), nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),
)

_key_columns = [signing_key.c[name] for name in KeptKey.__struct_fields__]
_signature_columns = [signature.c[name] for name in Signature.__struct_fields__]


def keys(tx: Transaction) -> list[KeptKey]:
    """Read all keys, oldest first."""
    rows = tx.execute(sa.select(*_key_columns).order_by(signing_key.c.created, signing_key.c.id))
    return [_key(row) for row in rows]


def find_key(tx: Transaction, identity: str) -> KeptKey | None:
    """Read a key by its id."""
    row = tx.execute(sa.select(*_key_columns).where(signing_key.c.id == identity)).one_or_none()
    return None if row is None else _key(row)


def _key(row: Sequence[Any]) -> KeptKey:
    return KeptKey(**dict(zip(KeptKey.__struct_fields__, row, strict=True)))


def insert_key(tx: Transaction, row: KeptKey) -> None:
    """Add a key."""
    tx.execute(signing_key.insert(), {name: getattr(row, name) for name in KeptKey.__struct_fields__})


def withdraw_key(tx: Transaction, identity: str, time: int | None) -> None:
    """Let the signatures of a key count no more; again if no time is given."""
    tx.execute(signing_key.update().where(signing_key.c.id == identity).values(withdrawn=time))


def keep_signature(tx: Transaction, row: Signature) -> None:
    """Keep a signature in place of the one that the same key made before."""
    tx.execute(signature.delete().where(signature.c.tree == row.tree, signature.c.key == row.key))
    tx.execute(signature.insert(), {name: getattr(row, name) for name in Signature.__struct_fields__})


def signatures(tx: Transaction, trees: Iterable[str]) -> dict[str, list[Signature]]:
    """Read the signatures over packages, the newest first, by package."""
    found: dict[str, list[Signature]] = {tree: [] for tree in trees}
    query = sa.select(*_signature_columns).where(signature.c.tree.in_(chosen(found)))
    for row in tx.execute(query.order_by(signature.c.made.desc(), signature.c.key)):
        found[row.tree].append(read_struct(Signature, row))
    return found


def signers(tx: Transaction, trees: Iterable[str]) -> dict[str, list[KeptKey]]:
    """Read whose signatures lie over packages, the newest first, by package."""
    found: dict[str, list[KeptKey]] = {tree: [] for tree in trees}
    query = sa.select(signature.c.tree, *_key_columns).join(signing_key, signing_key.c.id == signature.c.key)
    for row in tx.execute(query.where(signature.c.tree.in_(chosen(found))).order_by(signature.c.made.desc())):
        found[row.tree].append(_key(row[1:]))
    return found


def signed_by(tx: Transaction, key: str) -> list[str]:
    """Return the packages that a key has signed."""
    return [row.tree for row in tx.execute(sa.select(signature.c.tree).where(signature.c.key == key))]


def find_trusted(tx: Transaction, trees: Iterable[str]) -> dict[str, TrustedTree]:
    """Read who vouched for packages, by package."""
    query = sa.select(*[trusted_tree.c[name] for name in TrustedTree.__struct_fields__])
    found = [read_struct(TrustedTree, row) for row in tx.execute(query.where(trusted_tree.c.tree.in_(chosen(trees))))]
    return {row.tree: row for row in found}


def keep_trusted(tx: Transaction, row: TrustedTree) -> None:
    """Keep that somebody vouches for a package."""
    tx.execute(trusted_tree.delete().where(trusted_tree.c.tree == row.tree))
    tx.execute(trusted_tree.insert(), {name: getattr(row, name) for name in TrustedTree.__struct_fields__})


def drop_trusted(tx: Transaction, tree: str) -> bool:
    """Remove that somebody vouches for a package; tell whether anybody did."""
    return tx.execute(trusted_tree.delete().where(trusted_tree.c.tree == tree)).rowcount > 0


def policies(tx: Transaction) -> dict[str, TrustPolicy]:
    """Read what is asked of packages, by project; that of the whole installation has no name."""
    return {row.project: row.body for row in tx.execute(sa.select(trust_policy.c.project, trust_policy.c.body))}


def keep_policy(tx: Transaction, project: str, policy: TrustPolicy, time: int, by: str) -> None:
    """Keep what is asked of a project's packages."""
    tx.execute(trust_policy.delete().where(trust_policy.c.project == project))
    tx.execute(trust_policy.insert(), {"project": project, "body": policy, "changed": time, "changed_by": by})


def versions_with(tx: Transaction, trees: Iterable[str]) -> dict[str, list[str]]:
    """Return the ids of the versions that are of some packages, by package."""
    from perenne.registry.store import LIVE, version

    found: dict[str, list[str]] = {tree: [] for tree in trees}
    query = sa.select(version.c.tree, version.c.id).where(version.c.tree.in_(chosen(found)), LIVE).order_by(version.c.number)
    for row in tx.execute(query):
        found[row.tree].append(row.id)
    return found


def mark(tx: Transaction) -> tuple[int, int, int]:
    """Return what changes whenever keys, signatures or what is asked change: for those who hold what follows from them."""
    withdrawn = sa.func.coalesce(signing_key.c.withdrawn, 0)
    figures = (
        sa.select(sa.func.max(trust_policy.c.changed)),
        sa.select(sa.func.max(signature.c.made)),
        sa.select(sa.func.sum(signing_key.c.created + withdrawn)),
    )
    row = tx.execute(sa.select(*(figure.scalar_subquery() for figure in figures))).one()
    changed, made, keyed = (int(figure or 0) for figure in row)
    return changed, made, keyed
