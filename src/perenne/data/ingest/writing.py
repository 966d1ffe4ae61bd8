"""Bringing a snapshot to where others read it: a folder of Parquet, a Delta or an Iceberg table; what is there then is pinned."""

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid
from perenne.data import store
from perenne.data.ingest.folders import write_folder
from perenne.data.ingest.lake_tables import How, write_delta, write_iceberg
from perenne.data.model import Snapshot
from perenne.data.origins import pins
from perenne.data.origins.places import Kind, absolute, place_of, without_secrets
from perenne.data.snapshots import get_snapshot, read_snapshot, record_snapshot
from perenne.data.tombstones import check_not_erased
from perenne.storage.links import TAKEN_FOR, add_link, links_from
from perenne.storage.links import Kind as Thing
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

WRITTEN_FROM = "written_from"


class Written(msgspec.Struct, frozen=True):
    """What was written: the snapshot, the pointer to what is there now, and whether that was done now or before."""

    snapshot: str
    pinned: Snapshot
    pointer: pins.Pin
    done: bool


def write(
    workspace: Workspace,
    actor: Principal,
    snapshot: str,
    to: str,
    *,
    how: How = How.NEW,
    partition: Sequence[str] = (),
    dataset: str = "",
) -> Written:
    """Write the rows of a snapshot; the same ones are appended once, however often that is asked for.

    Parameters
    ----------
    snapshot : str
        Its id, or a beginning of it.
    to : str
        A folder, `s3://…` and the like, `delta:…`, `iceberg:CATALOG.NAMESPACE.TABLE`.
    how : How
        What may be there already, and becomes of it.
    partition : sequence of str
        Columns by whose values the files are parted.
    dataset : str
        What the pinned version is recorded as; the snapshot's if not given.

    Raises
    ------
    NotFound, Invalid, Conflict, Unavailable
        If there is no such snapshot, or it cannot be written there.
    """
    require(actor, Action.LOG)
    uri = absolute(to)
    _check(uri, how, partition)
    with workspace.database.read() as tx:
        taken = get_snapshot(tx, snapshot)
        check_not_erased(tx, taken.id)
        projects = [link.target for link in links_from(tx, Thing.SNAPSHOT, taken.id) if link.relation == TAKEN_FOR]
    rows = read_snapshot(workspace.objects, taken.id)
    done = _bring(uri, rows, taken.id, how, partition)
    pointer = pins.pin(uri)
    digest = workspace.objects.put(pointer.to_bytes())
    name = dataset or taken.dataset

    def keep(tx: Transaction) -> Snapshot:
        new = store.find(tx, digest, name) is None
        pinned = record_snapshot(tx, actor, dataset=name, digest=digest, objects=workspace.objects, source=uri)
        for project in projects:
            add_link(tx, (Thing.SNAPSHOT, digest), TAKEN_FOR, (Thing.PROJECT, project))
        add_link(tx, (Thing.SNAPSHOT, digest), WRITTEN_FROM, (Thing.SNAPSHOT, taken.id))
        if done or new:
            after = {"to": uri, "how": how.value, "rows": taken.rows, "version": pointer.version, "pinned": digest}
            audit.record(tx, actor, "snapshot.write", "snapshot", taken.id, after=after)
        return pinned

    return Written(taken.id, workspace.database.write(keep), pointer, done)


def _bring(uri: str, rows: pa.Table, digest: str, how: How, partition: Sequence[str]) -> bool:
    place = place_of(uri)
    if place.kind is Kind.DELTA:
        return write_delta(place.rest, rows, digest, how, partition)
    if place.kind is Kind.ICEBERG:
        return write_iceberg(place.rest, rows, digest, how)
    return write_folder(place.rest, rows, digest, how, partition)


def _check(uri: str, how: How, partition: Sequence[str]) -> None:
    """Make sure that rows can be written there at all."""
    kind = place_of(uri, "select 1" if uri.partition(":")[0] in {"sqlite", "duckdb", "postgresql", "postgres"} else "").kind
    if kind not in {Kind.FILES, Kind.BUCKET, Kind.DELTA, Kind.ICEBERG}:
        raise Invalid(f"{kind} is not written to", code="data.write", hint="a folder, s3://…, delta:… or iceberg:…")
    if without_secrets(uri) != uri:
        raise Invalid("the address holds a secret", code="data.write", hint="let credentials come from the environment")
    if "?" in uri and kind in pins.LAKES:
        raise Invalid("a version that was is not written to", code="data.write", hint="leave ?version= out")
    if kind is Kind.ICEBERG and "/" in uri:
        raise Invalid("a file of metadata is not written to", code="data.write", hint="iceberg:CATALOG.NAMESPACE.TABLE")
    if partition and (kind is Kind.ICEBERG or (how is How.APPEND and kind is Kind.DELTA)):
        raise Invalid(
            "the table itself says how it is parted", code="data.partition", hint="leave --partition out; make the table so"
        )
