"""Write the next schema version from the tables as they are declared now: `python -m perenne.storage.migrations.generate WHAT`.

`WHAT` is a word or two for the file's name, such as `first` or `run_owner`. Read what comes out before it is committed: a column
that was renamed looks like one dropped and one added.
"""

import pkgutil
import re
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import api, produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import ops

import perenne
from perenne.storage.database import Database
from perenne.storage.migrations import VERSIONS, revisions, upgrade
from perenne.storage.schema import JsonColumn, metadata, statements_of

_DECLARATION = re.compile(r"^\w+ = sa\.Table\(", re.MULTILINE)

_TEMPLATE = '''"""Schema {number}: {what}."""

import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {before}


def upgrade() -> None:
{body}
'''


def import_tables() -> None:
    """Import every module of perenne that declares a table, so that the metadata is complete."""
    for module in pkgutil.walk_packages(perenne.__path__, "perenne."):
        spec = find_spec(module.name)
        if spec and spec.origin and _DECLARATION.search(Path(spec.origin).read_text()):
            import_module(module.name)


def differences(connection: sa.Connection) -> ops.MigrationScript:
    """Compare the database's schema with the declared tables."""
    return produce_migrations(MigrationContext.configure(connection, opts=_OPTIONS), metadata)


def generate(what: str, versions: Path = VERSIONS) -> Path | None:
    """Write the next version's script and return its path; None if the schema has not changed."""
    known = revisions(versions)
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/schema.db")
        try:
            if known:
                upgrade(database._writing, versions=versions)
            with database.read() as tx:
                steps = differences(tx.connection).upgrade_ops
                assert steps is not None
                _spell_out(steps)
                body = api.render_python_code(steps, render_item=_render)
        finally:
            database.close()
    if steps.is_empty():
        return None
    number = f"{len(known) + 1:04d}"
    made = [operation.table_name for operation in steps.ops if isinstance(operation, ops.CreateTableOp)]
    lines = [*_indented(body), *(f"    op.execute({text!r})" for name in made for text in statements_of(metadata.tables[name]))]
    before = repr(known[-1]) if known else "None"
    path = versions / f"{number}_{what}.py"
    versions.mkdir(exist_ok=True)
    path.write_text(_TEMPLATE.format(number=number, what=what.replace("_", " "), before=before, body="\n".join(lines)))
    return path


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
