"""Writing to tables of lakes: each write is one commit that names the snapshot, so that none is made twice (extra `lake`)."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import pyarrow as pa

from perenne.core.errors import Conflict, Invalid, NotFound, Unavailable
from perenne.data.origins.lakes import iceberg_table

MARK = "perenne.snapshot"
MOST_COMMITS = 1_000


class How(StrEnum):
    """What a write does to what is there: nothing may be there, the rows come behind it, or in its place."""

    NEW = "new"
    APPEND = "append"
    OVERWRITE = "overwrite"


def write_delta(address: str, rows: pa.Table, digest: str, how: How, partition: Sequence[str] = ()) -> bool:
    """Write rows to a Delta table; tell whether that was done, and not before.

    Raises
    ------
    Conflict, Invalid
        If it is not how it is said to be, or the columns do not fit.
    """
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError

    there = DeltaTable.is_deltatable(address)
    if there and how is How.NEW:
        raise _taken(address)
    table = DeltaTable(address) if there else None
    mark = _mark(digest, how)
    if table is not None and _is_done(_commits_of_delta(table), mark):
        return False
    # Of two that write it at once, the one that comes second finds the transaction made.
    once = CommitProperties(custom_metadata={MARK: mark}, app_transactions=[Transaction(f"perenne {mark}", 1)])
    mode: Any = "overwrite" if how is How.OVERWRITE else "append"
    schema: Any = "overwrite" if how is How.OVERWRITE else None
    try:
        write_deltalake(
            table or address, rows, mode=mode, schema_mode=schema, partition_by=list(partition) or None, commit_properties=once
        )
    except CommitFailedError as error:
        raise Conflict("another wrote to the Delta table meanwhile", code="data.lake_raced", hint="try again") from error
    except DeltaError as error:
        raise _unfit(address, error) from error
    except OSError as error:
        raise Unavailable("the Delta table cannot be written", code="data.lake", hint=_said(error)) from error
    except Exception as error:  # what does not fit a column is a plain Exception of the library's
        raise _unfit(address, error) from error
    return True


def _mark(digest: str, how: How) -> str:
    return f"{How.OVERWRITE if how is How.OVERWRITE else How.APPEND} {digest}"


def _is_done(commits: Iterable[tuple[str, bool]], mark: str) -> bool:
    """Tell, by the marks of commits, newest first, whether a write was made since all that was there was replaced.

    An overwrite was made if nothing came after it; what was appended may have been replaced since, and may come again then.
    """
    for said, replaces in commits:
        if said == mark:
            return True
        if replaces or mark.startswith(How.OVERWRITE):
            return False
    return False


def _commits_of_delta(table: Any) -> Iterator[tuple[str, bool]]:
    for commit in table.history(MOST_COMMITS):
        parameters = commit.get("operationParameters") or {}
        yield str(commit.get(MARK, "")), str(parameters.get("mode", "")).lower() == "overwrite"


def _commits_of_iceberg(table: Any) -> Iterator[tuple[str, bool]]:
    snapshot = table.current_snapshot()
    while snapshot is not None:
        summary = snapshot.summary
        replaces = summary is not None and summary.operation.value in {"overwrite", "delete"}
        yield ("" if summary is None else str(summary.additional_properties.get(MARK, ""))), replaces
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else table.snapshot_by_id(parent)


def write_iceberg(address: str, rows: pa.Table, digest: str, how: How) -> bool:
    """Write rows to an Iceberg table, made if it is not there; tell whether that was done, and not before.

    Raises
    ------
    Conflict, Invalid
        If it is not how it is said to be, or the columns do not fit.
    """
    from pyiceberg.exceptions import CommitFailedException, NoSuchTableError

    try:
        table = iceberg_table(address)
    except NoSuchTableError:
        table = _made(address, rows)
    else:
        if how is How.NEW and table.current_snapshot() is not None:
            raise _taken(address)
    mark = _mark(digest, how)
    if _is_done(_commits_of_iceberg(table), mark):
        return False
    write = table.overwrite if how is How.OVERWRITE else table.append
    try:
        write(rows, snapshot_properties={MARK: mark})
    except CommitFailedException as error:
        raise Conflict("another wrote to the Iceberg table meanwhile", code="data.lake_raced", hint="try again") from error
    except ValueError as error:
        raise _unfit(address, error) from error
    except OSError as error:
        raise Unavailable("the Iceberg table cannot be written", code="data.lake", hint=_said(error)) from error
    return True


def _made(address: str, rows: pa.Table) -> Any:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchNamespaceError, TableAlreadyExistsError

    catalog, _, name = address.partition(".")
    try:
        return load_catalog(catalog).create_table(name, schema=rows.schema)
    except TableAlreadyExistsError:
        return iceberg_table(address)
    except NoSuchNamespaceError as error:
        raise NotFound(
            f"there is no namespace {name.rpartition('.')[0]!r}", code="data.namespace", hint="make it in the catalog first"
        ) from error


def _taken(address: str) -> Conflict:
    return Conflict(f"there is a table at {address!r}", code="data.table_exists", hint="--append, or --overwrite")


def _unfit(address: str, error: Exception) -> Invalid:
    return Invalid(f"the rows do not fit the table at {address!r}", code="data.lake_columns", hint=_said(error))


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
