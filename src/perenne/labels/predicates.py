"""Predicates in SQL over rows, as people write them: they see the rows and nothing else, for a limited time."""

import threading
import time
from typing import TYPE_CHECKING, Any

from perenne.core.errors import Invalid

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS = 30.0
"""So long may all conditions together take."""
_SHUT_IN = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "1GB",
    "temp_directory": "",
    "threads": "2",
    "lock_configuration": "true",
}
LONGEST = 4_000


def matching(table: "pa.Table", predicates: dict[str, str], *, seconds: float = SECONDS) -> dict[str, Any]:
    """Tell for each predicate which rows it is true of; null is not true.

    Parameters
    ----------
    predicates : dict
        Conditions as they would stand after WHERE, by name.

    Returns
    -------
    dict
        An array of bool, (rows,), by name.

    Raises
    ------
    Invalid
        If one is no condition over these columns, or takes too long; the message names it.
    """
    import duckdb

    connection, until = duckdb.connect(":memory:", config=_SHUT_IN), time.monotonic() + seconds
    try:
        connection.register("rows", table)
        return {name: _matching(connection, name, text, table.num_rows, until) for name, text in predicates.items()}
    finally:
        connection.close()


def check(name: str, text: str) -> None:
    """Refuse what is no single condition. Raises Invalid."""
    import duckdb

    if not text.strip() or len(text) > LONGEST or "\0" in text:
        raise _wrong(name, f"from 1 to {LONGEST:,} characters, none of them zero")
    try:
        statements = duckdb.extract_statements(_query(text))
    except duckdb.Error as error:
        raise _wrong(name, _said(error)) from None
    if len(statements) != 1:
        raise _wrong(name, "it is more than one statement")


def _query(text: str) -> str:
    return f"select ({text}\n)::boolean from rows"


def _matching(connection: Any, name: str, text: str, rows: int, until: float) -> Any:
    import duckdb
    import numpy as np

    check(name, text)
    timer = threading.Timer(max(0.01, until - time.monotonic()), connection.interrupt)
    timer.start()
    try:
        found = connection.sql(_query(text)).to_arrow_table()
    except duckdb.InterruptException:
        raise _wrong(name, "it takes too long") from None
    except duckdb.Error as error:
        raise _wrong(name, _said(error)) from None
    finally:
        timer.cancel()
    if found.num_columns != 1 or found.num_rows != rows:
        raise _wrong(name, "it is no condition on a row")
    return np.array(found.column(0).fill_null(False).to_numpy(zero_copy_only=False), bool)


def _said(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["it cannot be read"])[0][:300]


def _wrong(name: str, problem: str) -> Invalid:
    return Invalid(
        f"rule {name[:100]!r}: {problem}", code="label.rule", hint="a condition as after WHERE, over columns of the rows"
    )
