"""Write the next schema version from the tables as they are declared now: `python -m perenne.storage.migrations.generate WHAT`.

`WHAT` is a word or two for the file's name, such as `first` or `run_owner`. Read what comes out before it is committed: a column
that was renamed looks like one dropped and one added.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import api, produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import ops

from perenne.storage.migrations import VERSIONS, revisions, upgrade
from perenne.storage.migrations.declared import import_tables
from perenne.storage.schema import JsonColumn, metadata, statements_of
from perenne.storage.sqlite import Sqlite

_TEMPLATE = '''"""Schema {number}: {what}."""

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {before}


def upgrade() -> None:
{body}
'''


def differences(connection: sa.Connection) -> ops.MigrationScript:
    """Compare the database's schema with the declared tables."""
    return produce_migrations(MigrationContext.configure(connection, opts=_OPTIONS), metadata)


def generate(what: str, versions: Path = VERSIONS) -> Path | None:
    """Write the next version's script and return its path; None if the schema has not changed."""
    known = revisions(versions)
    with tempfile.TemporaryDirectory() as folder, _scratch(Path(folder)) as scratch:
        if known:
            upgrade(scratch, versions=versions)
        with scratch.writing.connect() as connection:
            steps = differences(connection).upgrade_ops
        assert steps is not None
        _spell_out(steps)
        body = api.render_python_code(steps, render_item=_render)
    if steps.is_empty():
        return None
    number = f"{len(known) + 1:04d}"
    made = [operation.table_name for operation in steps.ops if isinstance(operation, ops.CreateTableOp)]
    lines = [*_indented(body), *(line for dialect in ("sqlite", "postgresql") for line in _statements(made, dialect))]
    before = repr(known[-1]) if known else "None"
    path = versions / f"{number}_{what}.py"
    versions.mkdir(exist_ok=True)
    path.write_text(_TEMPLATE.format(number=number, what=what.replace("_", " "), before=before, body="\n".join(lines)))
    return path


@contextmanager
def _scratch(folder: Path) -> Iterator[Sqlite]:
    scratch = Sqlite(sa.make_url(f"sqlite:///{folder}/schema.db"))
    try:
        yield scratch
    finally:
        scratch.close()


def _statements(tables: list[str], dialect: str) -> list[str]:
    """Write the statements that go with new tables, for one database."""
    found = [text for name in tables for text in statements_of(metadata.tables[name], dialect)]
    return found and [
        f'    if op.get_context().dialect.name == "{dialect}":',
        *(f"        op.execute({text!r})" for text in found),
    ]


def _indented(body: str) -> list[str]:
    """Keep the statements only: Alembic indents the first line not at all, and adds comments."""
    lines = [line.rstrip() for line in body.splitlines() if not line.strip().startswith("# ###")]
    return [f"    {line}" if line and not line.startswith("    ") else line for line in lines]


def _spell_out(container: ops.OpContainer) -> None:
    """Turn the condition of a partial index that is just a column into text: Alembic would write its bare name."""
    for operation in container.ops:
        if isinstance(operation, ops.OpContainer):
            _spell_out(operation)
        elif isinstance(operation, ops.CreateIndexOp):
            for name, value in operation.kw.items():
                if isinstance(value, sa.Column):
                    operation.kw[name] = sa.text(value.name)


def _render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    return "sa.Text()" if kind == "type" and isinstance(item, JsonColumn) else False


_OPTIONS: dict[str, Any] = {"compare_type": True, "compare_server_default": True}


def main(arguments: Sequence[str]) -> int:
    """Generate one version."""
    if len(arguments) != 1 or not arguments[0].isidentifier():
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 2
    import_tables()
    path = generate(arguments[0])
    print(path or "the schema has not changed")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
