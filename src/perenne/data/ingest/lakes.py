"""Tables of lakes: Delta and Iceberg, each at one version, which is told and can be asked for again (extra `lake`)."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pyarrow as pa

from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.data.ingest.places import Kind, Place
from perenne.data.tables import canonical

VERSION = "version"


class Pinned(NamedTuple):
    """A table of a lake at one version."""

    table: pa.Table
    state: dict[str, str]


def read_lake(place: Place, state: Mapping[str, str]) -> Pinned | None:
    """Read a table at its newest version, or at the one that the address names (`?version=7`); None if it is the known one.

    Raises
    ------
    NotFound
        If there is no such table, or the version is gone: vacuumed, or expired.
    Invalid
        If the extra is not installed.
    """
    address, _, query = place.rest.partition("?")
    version = parse_qs(query).get(VERSION, [""])[0]
    if version and not (version.isascii() and version.isdigit()):
        raise Invalid(f"version {version[:40]!r} is no number", code="ingest.version", hint="such as ?version=7")
    reader = _delta if place.kind is Kind.DELTA else _iceberg
    try:
        return reader(address, int(version) if version else None, state.get(VERSION, ""))
    except ImportError as error:
        raise Invalid(f"{place.kind} tables need more", code="ingest.extra", hint="pip install 'perenne[lake]'") from error


def _delta(address: str, version: int | None, known: str) -> Pinned | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        table = DeltaTable(address, version=version)
        if str(table.version()) == known:
            return None
        return Pinned(canonical(pa.table(table.to_pyarrow_table()), "delta"), {VERSION: str(table.version())})
    except TableNotFoundError as error:
        raise NotFound(f"there is no Delta table at {address!r}", code="ingest.no_table", hint=_said(error)) from error
    except (DeltaError, OSError) as error:
        if version is not None:
            raise _gone("Delta", version, error) from error
        raise Unavailable("the Delta table cannot be read", code="ingest.lake", hint=_said(error)) from error


def _iceberg(address: str, version: int | None, known: str) -> Pinned | None:
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    try:
        table = _iceberg_table(address)
        current = table.current_snapshot()
        wanted = version if version is not None else None if current is None else current.snapshot_id
        if version is not None and table.snapshot_by_id(version) is None:
            raise _gone("Iceberg", version, None)
        if str(wanted) == known:
            return None
        return Pinned(canonical(table.scan(snapshot_id=wanted).to_arrow(), "iceberg"), {VERSION: str(wanted)})
    except (NoSuchTableError, NoSuchNamespaceError, FileNotFoundError) as error:
        if version is not None and isinstance(error, FileNotFoundError):
            raise _gone("Iceberg", version, error) from error
        raise NotFound(f"there is no Iceberg table at {address!r}", code="ingest.no_table", hint=_said(error)) from error


def _iceberg_table(address: str) -> Any:
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
