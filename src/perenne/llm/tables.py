"""The tables of traces and of all that is said about them.

Inside, a trace is its `number`. Times are milliseconds since 1970, those of spans nanoseconds. Experiments are tracking's, which
is asked whether there is one before anything is written: no reference to them is checked.
"""

from typing import Any

import sqlalchemy as sa

from perenne.storage.schema import JsonColumn, metadata, only_where


def _tokens_and_costs() -> list["sa.Column[Any]"]:
    names = ("input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    costs = ("input_cost", "output_cost", "total_cost")
    return [*(sa.Column(name, sa.BigInteger) for name in names), *(sa.Column(name, sa.Double) for name in costs)]


trace = sa.Table(
    "trace",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("duration", sa.BigInteger),
    sa.Column("client_request_id", sa.Text),
    sa.Column("request_preview", sa.Text),
    sa.Column("response_preview", sa.Text),
    sa.Column("session", sa.Text),
    *_tokens_and_costs(),
    sa.Column("finalized", sa.Boolean, nullable=False),
    sa.Column("spans", sa.Integer, nullable=False),
    sa.Index(None, "experiment", "started", "id"),
    sa.Index("ix_trace_session", "experiment", "session", "started", **only_where("session IS NOT NULL")),
)

trace_tag = sa.Table(
    "trace_tag",
    metadata,
    sa.Column("trace", sa.Integer, sa.ForeignKey("trace.number"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

trace_metadata = sa.Table(
    "trace_metadata",
    metadata,
    sa.Column("trace", sa.Integer, sa.ForeignKey("trace.number"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

SHORT = 250
"""Up to how many characters a value is found by itself: an index of PostgreSQL holds no longer ones."""

for _table in (trace_tag, trace_metadata):
    sa.Index(f"ix_{_table.name}_short", _table.c.key, _table.c.value, _table.c.trace, **only_where(f"length(value) <= {SHORT}"))

trace_link = sa.Table(
    "trace_link",
    metadata,
    sa.Column("trace", sa.Integer, sa.ForeignKey("trace.number"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Index(None, "kind", "target"),
    sqlite_with_rowid=False,
)
"""What a trace belongs to besides its experiment: a `run` by its id, a `prompt` as ``name/version``."""

trace_block = sa.Table(
    "trace_block",
    metadata,
    sa.Column("trace", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
"""The spans themselves, compressed: one block once the root has come, see `perenne.llm.blocks`."""

trace_span = sa.Table(
    "trace_span",
    metadata,
    sa.Column("trace", sa.Integer, primary_key=True),
    sa.Column("span_id", sa.Text, primary_key=True),
    sa.Column("parent_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.Column("model", sa.Text),
    sa.Column("provider", sa.Text),
    *_tokens_and_costs(),
    sqlite_with_rowid=False,
)
"""What is searched and summed of each span. Its trace is not checked: it is written in the same transaction."""

assessment = sa.Table(
    "assessment",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("trace", sa.Integer, sa.ForeignKey("trace.number"), nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("source_kind", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("measure", sa.Double),
    sa.Column("numeric", sa.Boolean, nullable=False),
    sa.Column("error", JsonColumn(dict[str, Any])),
    sa.Column("span_id", sa.Text, nullable=False),
    sa.Column("rationale", sa.Text),
    sa.Column("metadata", JsonColumn(dict[str, str]), nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("overrides", sa.Text, nullable=False),
    sa.Column("valid", sa.Boolean, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Index(None, "trace", "kind", "name"),
    sa.Index("ix_assessment_run", "run", **only_where("run <> ''")),
    sa.Index("ix_assessment_issue", "name", "trace", **only_where("kind = 'issue'")),
)
"""`value` is JSON; `measure` what it counts as in averages, `numeric` whether it is a number; `run` the run that judged."""

evaluation_dataset = sa.Table(
    "evaluation_dataset",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("schema", JsonColumn(dict[str, Any])),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.Index(None, "created", "id"),
)

evaluation_dataset_tag = sa.Table(
    "evaluation_dataset_tag",
    metadata,
    sa.Column("dataset", sa.Integer, sa.ForeignKey("evaluation_dataset.number"), primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

evaluation_dataset_experiment = sa.Table(
    "evaluation_dataset_experiment",
    metadata,
    sa.Column("dataset", sa.Integer, sa.ForeignKey("evaluation_dataset.number"), primary_key=True),
    sa.Column("experiment", sa.Integer, primary_key=True),
    sa.Index(None, "experiment"),
    sqlite_with_rowid=False,
)

evaluation_record = sa.Table(
    "evaluation_record",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("dataset", sa.Integer, sa.ForeignKey("evaluation_dataset.number"), nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("updated_by", sa.Text),
    sa.UniqueConstraint("dataset", "digest"),
    sa.Index(None, "dataset", "number"),
)
"""`digest` is the SHA-256 of the inputs in canonical JSON: a record is what it asks. `body` has the rest as JSON."""

scorer = sa.Table(
    "scorer",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.UniqueConstraint("experiment", "name"),
)

scorer_version = sa.Table(
    "scorer_version",
    metadata,
    sa.Column("scorer", sa.Integer, sa.ForeignKey("scorer.number"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
)

issue = sa.Table(
    "issue",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("severity", sa.Text),
    sa.Column("root_causes", JsonColumn(list[str]), nullable=False),
    sa.Column("categories", JsonColumn(list[str]), nullable=False),
    sa.Column("source_run", sa.Text),
    sa.Column("created_by", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Index(None, "experiment", "created"),
)

label_schema = sa.Table(
    "label_schema",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("input", JsonColumn(dict[str, Any]), nullable=False),
    sa.Column("instruction", sa.Text),
    sa.Column("enable_comment", sa.Boolean, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("experiment", "name"),
)

review_queue = sa.Table(
    "review_queue",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("experiment", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("users", JsonColumn(list[str]), nullable=False),
    sa.Column("schemas", JsonColumn(list[str]), nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("experiment", "name_key"),
)
"""`name_key` is the name without its case: two queues may not differ by that alone."""

review_item = sa.Table(
    "review_item",
    metadata,
    sa.Column("queue", sa.Integer, sa.ForeignKey("review_queue.number"), primary_key=True),
    sa.Column("item", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("completed_by", sa.Text),
    sa.Column("completed", sa.BigInteger),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Index(None, "item"),
)
