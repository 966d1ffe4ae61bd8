"""The tables of tracking: what `store`, the hot path of `logs`, `history` and `search` read and write.

Inside, a run is its `number` and a name its `key`; the ids that clients know stand once, in `run.id`. Times of runs and
experiments are microseconds since 1970, those of points milliseconds, as clients give them.
"""

import sqlalchemy as sa

from perenne.storage.schema import JsonColumn, give_row, metadata, only_where
from perenne.tracking.model import Provenance, RunState

experiment = sa.Table(
    "experiment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("artifact_location", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger),
    sa.Index(None, "project"),
    sa.Index(None, "created", "id"),
)
give_row(experiment, id=0, name="Default", project="Default", artifact_location="mlflow-artifacts:/0", created=0, updated=0)

experiment_tag = sa.Table(
    "experiment_tag",
    metadata,
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.id"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

key = sa.Table(
    "key",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
)
"""Names of metrics, parameters and tags, each once; it only grows, so no reference to it is checked."""

run = sa.Table(
    "run",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.id"), nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("started_by", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", JsonColumn(RunState), nullable=False),
    sa.Column("data", JsonColumn(tuple[str, ...]), nullable=False),
    sa.Column("provenance", JsonColumn(Provenance), nullable=False),
    sa.Column("flow", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("artifact_uri", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Column("deleted", sa.BigInteger),
    sa.Column("owner", sa.Text),
    sa.Column("lease", sa.BigInteger),
    sa.Index(None, "experiment", "started", "number"),
    sa.Index(None, "project", "started", "number"),
    sa.Index(None, "started", "number"),
    sa.Index("ix_run_flow", "flow", **only_where("flow <> ''")),
    sa.Index("ix_run_held", "lease", **only_where("owner IS NOT NULL")),
)

run_param = sa.Table(
    "run_param",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("run.number"), primary_key=True),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("number", sa.Double),
    sqlite_with_rowid=False,
)
"""Parameters; `number` is the value of those that are numbers, by which they are compared as such."""

run_tag = sa.Table(
    "run_tag",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("run.number"), primary_key=True),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

run_latest = sa.Table(
    "run_latest",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("run.number"), primary_key=True),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("nan", sa.Boolean, nullable=False),
    sa.Index(None, "key", "nan", "value", "run"),
    sqlite_with_rowid=False,
)
"""The last point of each metric: the greatest step, time and value; a value that is no number is stored as 0 with `nan`."""

run_point = sa.Table(
    "run_point",
    metadata,
    sa.Column("id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("key", sa.Integer, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("nan", sa.Boolean, nullable=False),
    sa.Index(None, "run", "key"),
)
"""Points as they come, until they are sealed; the same point may stand here twice, whoever reads them leaves one out."""

run_chunk = sa.Table(
    "run_chunk",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("run.number"), primary_key=True),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("step_min", sa.BigInteger, nullable=False),
    sa.Column("step_max", sa.BigInteger, nullable=False),
    sa.Column("time_min", sa.BigInteger, nullable=False),
    sa.Column("time_max", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=True,
)
"""Sealed points: compressed columns, see `perenne.tracking.chunks`."""

logged_model = sa.Table(
    "logged_model",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.id"), nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("status_message", sa.Text, nullable=False),
    sa.Column("artifact_uri", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.BigInteger),
    sa.Index(None, "experiment", "created", "number"),
    sa.Index(None, "run"),
)
"""Models that clients logged; `run` is the id of the run they came from, or an empty text."""

logged_model_param = sa.Table(
    "logged_model_param",
    metadata,
    sa.Column("model", sa.Integer, sa.ForeignKey("logged_model.number"), primary_key=True),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

logged_model_tag = sa.Table(
    "logged_model_tag",
    metadata,
    sa.Column("model", sa.Integer, sa.ForeignKey("logged_model.number"), primary_key=True),
    sa.Column("key", sa.Integer, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

logged_model_metric = sa.Table(
    "logged_model_metric",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", sa.Integer, sa.ForeignKey("logged_model.number"), nullable=False),
    sa.Column("key", sa.Integer, nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("nan", sa.Boolean, nullable=False),
    sa.Column("time", sa.BigInteger, nullable=False),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("dataset_name", sa.Text, nullable=False),
    sa.Column("dataset_digest", sa.Text, nullable=False),
    sa.Index(None, "model", "key"),
    sa.Index(None, "key", "value", "model"),
)

input_dataset = sa.Table(
    "input_dataset",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("experiment", sa.Integer, sa.ForeignKey("experiment.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("source_type", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("schema", sa.Text),
    sa.Column("profile", sa.Text),
    sa.UniqueConstraint("experiment", "name", "digest"),
)
"""Data sets that clients said they used; the snapshots that perenne keeps itself are named in `run.data`."""

run_input = sa.Table(
    "run_input",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("run.number"), primary_key=True),
    sa.Column("dataset", sa.Integer, sa.ForeignKey("input_dataset.number"), primary_key=True),
    sa.Column("context", sa.Text, nullable=False),
    sa.Column("tags", JsonColumn(dict[str, str]), nullable=False),
    sa.Index(None, "dataset", "context"),
    sqlite_with_rowid=False,
)

run_model = sa.Table(
    "run_model",
    metadata,
    sa.Column("run", sa.Integer, sa.ForeignKey("run.number"), primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("output", sa.Boolean, primary_key=True),
    sa.Column("step", sa.BigInteger, nullable=False),
    sa.Index(None, "model"),
    sqlite_with_rowid=False,
)
"""Logged models that a run used or, as `output`, made."""

SHORT = 250
"""Up to how many characters a value is found by itself: an index of PostgreSQL holds no longer ones."""

for _table in (run_param, run_tag, logged_model_param, logged_model_tag):
    _owner = next(iter(_table.primary_key))
    sa.Index(f"ix_{_table.name}_short", _table.c.key, _table.c.value, _owner, **only_where(f"length(value) <= {SHORT}"))
    sa.Index(f"ix_{_table.name}_long", _table.c.key, _owner, **only_where(f"length(value) > {SHORT}"))
sa.Index("ix_run_param_number", run_param.c.key, run_param.c.number, run_param.c.run, **only_where("number IS NOT NULL"))
