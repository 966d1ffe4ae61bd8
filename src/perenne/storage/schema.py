"""What tables are declared with: the one MetaData, a column that holds a Struct as JSON, and statements that go with a table."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

S = TypeVar("S")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_STATEMENTS = "statements"
_GIVEN = "given"


class JsonColumn(sa.types.TypeDecorator[Any]):
    """A text column that holds a Struct, or any type msgspec can read, as JSON.

    Parameters
    ----------
    kind : type
        What the text is read into.
    """

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def process_bind_param(self, value: Any, dialect: object) -> str | None:
        """Write the value as JSON; None stays NULL."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: object) -> Any:
        """Read the JSON into the column's type."""
        return None if value is None else self._decoder.decode(value)


def read_struct(kind: Callable[..., S], row: "sa.Row[Any]") -> S:
    """Make a Struct of a row whose columns stand in the order of the Struct's fields."""
    return kind(*row)


def only_where(condition: str) -> dict[str, Any]:
    """Return the options of an index over just the rows that meet a condition, for every database."""
    return {f"{dialect}_where": sa.text(condition) for dialect in ("sqlite", "postgresql")}


def add_statement(table: sa.Table, statement: str, *, dialect: str = "sqlite") -> None:
    """Have a statement, such as one that makes a trigger, run right after its table is made; migrations repeat it.

    Parameters
    ----------
    dialect : str
        The database that it is for: ``sqlite`` or ``postgresql``.
    """
    table.info.setdefault(_STATEMENTS, []).append((dialect, statement))

    @sa.event.listens_for(table, "after_create")
    def run(_: sa.Table, connection: sa.Connection, **options: object) -> None:
        if connection.dialect.name == dialect:
            connection.exec_driver_sql(statement)


def statements_of(table: sa.Table, dialect: str) -> list[str]:
    """Return the statements that go with a table on a database, in order."""
    return [statement for name, statement in table.info.get(_STATEMENTS, ()) if name == dialect]


def give_row(table: sa.Table, **values: Any) -> None:
    """Say that a row is there from the start: the migration that makes the table puts it in. What is not named is NULL."""
    table.info.setdefault(_GIVEN, []).append({column.name: values.get(column.name) for column in table.columns})


def given_rows(name: str) -> list[dict[str, Any]]:
    """Return the rows that a table of that name has from the start."""
    table = metadata.tables.get(name)
    return [] if table is None else list(table.info.get(_GIVEN, ()))
