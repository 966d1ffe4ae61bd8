"""Schema 0011: runs; experiments, and what runs have by name, in tables of their own.

The runs that are there get a number and the experiment of their project; their parameters and metrics become rows.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    _make_tables()
    op.execute("CREATE TABLE run_before AS SELECT * FROM run")
    op.drop_table("run")
    _make_runs()
    _make_values()
    op.execute("""INSERT INTO experiment (id, name, project, artifact_location, created, updated)
        VALUES (0, 'Default', 'Default', 'mlflow-artifacts:/0', 0, 0)""")
    op.execute("""INSERT INTO experiment (name, project, artifact_location, created, updated)
        SELECT project, project, '', min(started), max(started) FROM run_before WHERE project <> 'Default'
        GROUP BY project ORDER BY min(started), project""")
    op.execute("UPDATE experiment SET artifact_location = 'mlflow-artifacts:/' || id")
    op.execute("""INSERT INTO run (id, experiment, project, name, started_by, kind, state, data, provenance, flow, outcome,
            artifact_uri, started, ended, owner, lease)
        SELECT old.id, e.id, old.project, '', '', old.kind, old.state, old.data, old.provenance, old.flow, old.outcome,
            e.artifact_location || '/' || old.id || '/artifacts', old.started, old.ended, old.owner, old.lease
        FROM run_before old JOIN experiment e ON e.name = old.project ORDER BY old.started, old.id""")
    _carry_values()
    op.drop_table("run_before")


def _carry_values() -> None:
    connection = op.get_bind()
    keys: dict[str, int] = {}
    old = sa.text("SELECT run.number, o.parameters, o.metrics, o.started FROM run_before o JOIN run ON run.id = o.id")
    for number, parameters, metrics, started in connection.execute(old).all():
        for name, value in _pairs(parameters):
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            row = {"run": number, "key": _key(connection, keys, name), "value": text, "number": _number(value)}
            connection.execute(_PARAM, row)
        for name, value in _pairs(metrics):
            nan = not isinstance(value, int | float)
            row = {"run": number, "key": _key(connection, keys, name), "value": 0.0 if nan else float(value), "nan": nan}
            connection.execute(_POINT, {**row, "step": 0, "time": started // 1_000})
            connection.execute(_LATEST, {**row, "step": 0, "time": started // 1_000})


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    found = msgspec.json.decode(text)
    return iter(found.items()) if isinstance(found, dict) else iter(())


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _key(connection: sa.Connection, keys: dict[str, int], name: str) -> int:
    if name not in keys:
        keys[name] = connection.execute(_KEY, {"name": name}).scalar_one()
    return keys[name]


_KEY = sa.text("INSERT INTO key (name) VALUES (:name) RETURNING id")
_PARAM = sa.text("INSERT INTO run_param (run, key, value, number) VALUES (:run, :key, :value, :number)")
_POINT, _LATEST = (
    sa.text(f"INSERT INTO {table} (run, key, step, time, value, nan) VALUES (:run, :key, :step, :time, :value, :nan)")
    for table in ("run_point", "run_latest")
)


def _make_tables() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("artifact_location", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
        sa.UniqueConstraint("name", name=op.f("uq_experiment_name")),
    )
    op.create_index(op.f("ix_experiment_created_id"), "experiment", ["created", "id"], unique=False)
    op.create_index(op.f("ix_experiment_project"), "experiment", ["project"], unique=False)
    op.create_table(
        "key",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key")),
        sa.UniqueConstraint("name", name=op.f("uq_key_name")),
    )
    op.create_table(
        "run_point",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger(), "postgresql"), autoincrement=True, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("nan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_point")),
    )
    op.create_index(op.f("ix_run_point_run_key"), "run_point", ["run", "key"], unique=False)
    op.create_table(
        "experiment_tag",
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name=op.f("fk_experiment_tag_experiment_experiment")),
        sa.PrimaryKeyConstraint("experiment", "key", name=op.f("pk_experiment_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "input_dataset",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name=op.f("fk_input_dataset_experiment_experiment")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_input_dataset")),
        sa.UniqueConstraint("experiment", "name", "digest", name=op.f("uq_input_dataset_experiment_name_digest")),
    )
    op.create_table(
        "logged_model",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("status_message", sa.Text(), nullable=False),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name=op.f("fk_logged_model_experiment_experiment")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_logged_model")),
        sa.UniqueConstraint("id", name=op.f("uq_logged_model_id")),
    )
    op.create_index(
        op.f("ix_logged_model_experiment_created_number"), "logged_model", ["experiment", "created", "number"], unique=False
    )
    op.create_index(op.f("ix_logged_model_run"), "logged_model", ["run"], unique=False)
    op.create_table(
        "logged_model_metric",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("nan", sa.Boolean(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("dataset_name", sa.Text(), nullable=False),
        sa.Column("dataset_digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["logged_model.number"], name=op.f("fk_logged_model_metric_model_logged_model")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logged_model_metric")),
    )
    op.create_index(
        op.f("ix_logged_model_metric_key_value_model"), "logged_model_metric", ["key", "value", "model"], unique=False
    )
    op.create_index(op.f("ix_logged_model_metric_model_key"), "logged_model_metric", ["model", "key"], unique=False)
    op.create_table(
        "logged_model_param",
        sa.Column("model", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["logged_model.number"], name=op.f("fk_logged_model_param_model_logged_model")),
        sa.PrimaryKeyConstraint("model", "key", name=op.f("pk_logged_model_param")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_logged_model_param_long",
        "logged_model_param",
        ["key", "model"],
        unique=False,
        sqlite_where=sa.text("length(value) > 250"),
        postgresql_where=sa.text("length(value) > 250"),
    )
    op.create_index(
        "ix_logged_model_param_short",
        "logged_model_param",
        ["key", "value", "model"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 250"),
        postgresql_where=sa.text("length(value) <= 250"),
    )
    op.create_table(
        "logged_model_tag",
        sa.Column("model", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["logged_model.number"], name=op.f("fk_logged_model_tag_model_logged_model")),
        sa.PrimaryKeyConstraint("model", "key", name=op.f("pk_logged_model_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_logged_model_tag_long",
        "logged_model_tag",
        ["key", "model"],
        unique=False,
        sqlite_where=sa.text("length(value) > 250"),
        postgresql_where=sa.text("length(value) > 250"),
    )
    op.create_index(
        "ix_logged_model_tag_short",
        "logged_model_tag",
        ["key", "value", "model"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 250"),
        postgresql_where=sa.text("length(value) <= 250"),
    )


def _make_runs() -> None:
    op.create_table(
        "run",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("provenance", sa.Text(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("artifact_uri", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("deleted", sa.BigInteger(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.id"], name=op.f("fk_run_experiment_experiment")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_run")),
        sa.UniqueConstraint("id", name=op.f("uq_run_id")),
    )
    op.create_index(op.f("ix_run_experiment_started_number"), "run", ["experiment", "started", "number"], unique=False)
    op.create_index(op.f("ix_run_project_started_number"), "run", ["project", "started", "number"], unique=False)
    op.create_index(op.f("ix_run_started_number"), "run", ["started", "number"], unique=False)
    for name, column, where in (("ix_run_flow", "flow", "flow <> ''"), ("ix_run_held", "lease", "owner IS NOT NULL")):
        op.create_index(name, "run", [column], unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _make_values() -> None:
    op.create_table(
        "run_chunk",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("step_min", sa.BigInteger(), nullable=False),
        sa.Column("step_max", sa.BigInteger(), nullable=False),
        sa.Column("time_min", sa.BigInteger(), nullable=False),
        sa.Column("time_max", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name=op.f("fk_run_chunk_run_run")),
        sa.PrimaryKeyConstraint("run", "key", "seq", name=op.f("pk_run_chunk")),
        sqlite_with_rowid=True,
    )
    op.create_table(
        "run_input",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset"], ["input_dataset.number"], name=op.f("fk_run_input_dataset_input_dataset")),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name=op.f("fk_run_input_run_run")),
        sa.PrimaryKeyConstraint("run", "dataset", name=op.f("pk_run_input")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_input_dataset_context"), "run_input", ["dataset", "context"], unique=False)
    op.create_table(
        "run_latest",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("nan", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name=op.f("fk_run_latest_run_run")),
        sa.PrimaryKeyConstraint("run", "key", name=op.f("pk_run_latest")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_latest_key_nan_value_run"), "run_latest", ["key", "nan", "value", "run"], unique=False)
    op.create_table(
        "run_model",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("output", sa.Boolean(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name=op.f("fk_run_model_run_run")),
        sa.PrimaryKeyConstraint("run", "model", "output", name=op.f("pk_run_model")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_run_model_model"), "run_model", ["model"], unique=False)
    op.create_table(
        "run_param",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name=op.f("fk_run_param_run_run")),
        sa.PrimaryKeyConstraint("run", "key", name=op.f("pk_run_param")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_param_long",
        "run_param",
        ["key", "run"],
        unique=False,
        sqlite_where=sa.text("length(value) > 250"),
        postgresql_where=sa.text("length(value) > 250"),
    )
    op.create_index(
        "ix_run_param_number",
        "run_param",
        ["key", "number", "run"],
        unique=False,
        sqlite_where=sa.text("number IS NOT NULL"),
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_index(
        "ix_run_param_short",
        "run_param",
        ["key", "value", "run"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 250"),
        postgresql_where=sa.text("length(value) <= 250"),
    )
    op.create_table(
        "run_tag",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name=op.f("fk_run_tag_run_run")),
        sa.PrimaryKeyConstraint("run", "key", name=op.f("pk_run_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_run_tag_long",
        "run_tag",
        ["key", "run"],
        unique=False,
        sqlite_where=sa.text("length(value) > 250"),
        postgresql_where=sa.text("length(value) > 250"),
    )
    op.create_index(
        "ix_run_tag_short",
        "run_tag",
        ["key", "value", "run"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 250"),
        postgresql_where=sa.text("length(value) <= 250"),
    )
