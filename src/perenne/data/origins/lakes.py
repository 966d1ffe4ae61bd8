"""Tables of lakes: Delta and Iceberg, each at one version, which is told and can be asked for again (extra `lake`)."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs

import pyarrow as pa

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.origins.places import Kind, Place
from perenne.data.tables import canonical

VERSION = "version"
T = TypeVar("T")


class Pinned(NamedTuple):
    """A table of a lake at one version."""

    table: pa.Table
    state: dict[str, str]


class Seen(NamedTuple):
    """What a table says of one of its versions without being read: which table it is, the version, columns, and rows."""

    table: str
    version: str
    schema: pa.Schema
    rows: int


def look(place: Place) -> Seen:
    """Look at a table at its newest version, or at the one that the address names; raises as `read_lake`."""
    address, version = _asked(place)
    return _told(place.kind, lambda: (_look_delta if place.kind is Kind.DELTA else _look_iceberg)(address, version))


def _look_delta(address: str, version: int | None) -> Seen:
    table = _delta_table(address, version)
    schema: Any = table.schema().to_arrow()
    return Seen(str(table.metadata().id), str(table.version()), pa.schema(schema), table.count())


def _look_iceberg(address: str, version: int | None) -> Seen:
    table, wanted = _iceberg_at(address, version)
    if wanted is None:
        return Seen(str(table.metadata.table_uuid), "", table.schema().as_arrow(), 0)
    scan = table.scan(snapshot_id=wanted)
    return Seen(str(table.metadata.table_uuid), str(wanted), scan.projection().as_arrow(), scan.count())


def _told(kind: Kind, work: Callable[[], T]) -> T:
    try:
        return work()
    except ImportError as error:
        raise Invalid(f"{kind} tables need more", code="ingest.extra", hint="pip install 'perenne[lake]'") from error


def read_lake(place: Place, state: Mapping[str, str]) -> Pinned | None:
    """Read a table at its newest version, or at the one that the address names (`?version=7`); None if it is the known one.

    Raises
    ------
    NotFound
        If there is no such table, or the version is gone: vacuumed, or expired.
    Invalid
        If the extra is not installed.
    """
    address, version = _asked(place)
    reader = _delta if place.kind is Kind.DELTA else _iceberg
    return _told(place.kind, lambda: reader(address, version, state.get(VERSION, "")))


def _asked(place: Place) -> tuple[str, int | None]:
    """Part an address from the version that it names."""
    address, _, query = place.rest.partition("?")
    version = parse_qs(query).get(VERSION, [""])[0]
    if version and not (version.isascii() and version.isdigit()):
        raise Invalid(f"version {version[:40]!r} is no number", code="ingest.version", hint="such as ?version=7")
    return address, int(version) if version else None


def _delta_table(address: str, version: int | None) -> Any:
    """Open a table at a version; one that cannot be opened so, though it can be at its newest, is gone."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        newest = DeltaTable(address)
    except TableNotFoundError as error:
        raise NotFound(f"there is no Delta table at {address!r}", code="ingest.no_table", hint=_said(error)) from error
    except (DeltaError, OSError) as error:
        raise Unavailable("the Delta table cannot be read", code="ingest.lake", hint=_said(error)) from error
    if version is None or version == newest.version():
        return newest
    try:
        return DeltaTable(address, version=version)
    except (DeltaError, OSError) as error:
        raise _gone("Delta", version, error) from error


def _delta(address: str, version: int | None, known: str) -> Pinned | None:
    from deltalake.exceptions import DeltaError

    table = _delta_table(address, version)
    if str(table.version()) == known:
        return None
    try:
        return Pinned(canonical(pa.table(table.to_pyarrow_table()), "delta"), {VERSION: str(table.version())})
    except FileNotFoundError as error:
        raise _gone("Delta", table.version(), error) from error
    except (DeltaError, OSError) as error:
        raise Unavailable("the Delta table cannot be read", code="ingest.lake", hint=_said(error)) from error


def _iceberg_at(address: str, version: int | None) -> tuple[Any, int | None]:
    """Open a table, and return it with the snapshot that is asked for; None if it has none yet."""
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    try:
        table = iceberg_table(address)
    except (NoSuchTableError, NoSuchNamespaceError, FileNotFoundError) as error:
        raise NotFound(f"there is no Iceberg table at {address!r}", code="ingest.no_table", hint=_said(error)) from error
    current = table.current_snapshot()
    if version is not None and table.snapshot_by_id(version) is None:
        raise _gone("Iceberg", version, None)
    return table, version if version is not None else None if current is None else current.snapshot_id


def _iceberg(address: str, version: int | None, known: str) -> Pinned | None:
    table, wanted = _iceberg_at(address, version)
    if str(wanted) == known:
        return None
    try:
        return Pinned(canonical(table.scan(snapshot_id=wanted).to_arrow(), "iceberg"), {VERSION: str(wanted)})
    except FileNotFoundError as error:
        raise _gone("Iceberg", wanted or 0, error) from error


def iceberg_table(address: str) -> Any:
    """Open a table by its metadata file, or by its name in a catalog that pyiceberg's own settings tell of."""
    if "/" in address:
        from pyiceberg.table import StaticTable

        return StaticTable.from_metadata(address)
    from pyiceberg.catalog import load_catalog

    catalog, _, name = address.partition(".")
    if not name:
        raise Invalid(f"{address!r} names no table", code="ingest.table", hint="iceberg:CATALOG.NAMESPACE.TABLE, or a file")
    return load_catalog(catalog).load_table(name)


def _gone(kind: str, version: int, error: Exception | None) -> NotFound:
    more = f" ({_said(error)})" if error is not None else ""
    return NotFound(
        f"version {version} of the {kind} table is gone{more}",
        code="ingest.version_gone",
        hint="it was vacuumed or has expired: read it as a snapshot while it is there",
    )


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
