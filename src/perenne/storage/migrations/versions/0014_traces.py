"""Schema 0014: traces."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "evaluation_dataset",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=True),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("updated_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_evaluation_dataset")),
        sa.UniqueConstraint("id", name=op.f("uq_evaluation_dataset_id")),
    )
    op.create_index(op.f("ix_evaluation_dataset_created_id"), "evaluation_dataset", ["created", "id"], unique=False)
    op.create_table(
        "issue",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("root_causes", sa.Text(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("source_run", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_issue")),
        sa.UniqueConstraint("id", name=op.f("uq_issue_id")),
    )
    op.create_index(op.f("ix_issue_experiment_created"), "issue", ["experiment", "created"], unique=False)
    op.create_table(
        "label_schema",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("instruction", sa.Text(), nullable=True),
        sa.Column("enable_comment", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_label_schema")),
        sa.UniqueConstraint("experiment", "name", name=op.f("uq_label_schema_experiment_name")),
        sa.UniqueConstraint("id", name=op.f("uq_label_schema_id")),
    )
    op.create_table(
        "review_queue",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("users", sa.Text(), nullable=False),
        sa.Column("schemas", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_review_queue")),
        sa.UniqueConstraint("experiment", "name_key", name=op.f("uq_review_queue_experiment_name_key")),
        sa.UniqueConstraint("id", name=op.f("uq_review_queue_id")),
    )
    op.create_table(
        "scorer",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_scorer")),
        sa.UniqueConstraint("experiment", "name", name=op.f("uq_scorer_experiment_name")),
        sa.UniqueConstraint("id", name=op.f("uq_scorer_id")),
    )
    op.create_table(
        "trace",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("duration", sa.BigInteger(), nullable=True),
        sa.Column("client_request_id", sa.Text(), nullable=True),
        sa.Column("request_preview", sa.Text(), nullable=True),
        sa.Column("response_preview", sa.Text(), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("total_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_creation_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("input_cost", sa.Double(), nullable=True),
        sa.Column("output_cost", sa.Double(), nullable=True),
        sa.Column("total_cost", sa.Double(), nullable=True),
        sa.Column("finalized", sa.Boolean(), nullable=False),
        sa.Column("spans", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_trace")),
        sa.UniqueConstraint("id", name=op.f("uq_trace_id")),
    )
    op.create_index(op.f("ix_trace_experiment_started_id"), "trace", ["experiment", "started", "id"], unique=False)
    op.create_index(
        "ix_trace_session",
        "trace",
        ["experiment", "session", "started"],
        unique=False,
        sqlite_where=sa.text("session IS NOT NULL"),
        postgresql_where=sa.text("session IS NOT NULL"),
    )
    op.create_table(
        "trace_block",
        sa.Column("trace", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("trace", "seq", name=op.f("pk_trace_block")),
    )
    op.create_table(
        "trace_span",
        sa.Column("trace", sa.Integer(), nullable=False),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("total_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_creation_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("input_cost", sa.Double(), nullable=True),
        sa.Column("output_cost", sa.Double(), nullable=True),
        sa.Column("total_cost", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("trace", "span_id", name=op.f("pk_trace_span")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "assessment",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("trace", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("measure", sa.Double(), nullable=True),
        sa.Column("numeric", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("rationale", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("overrides", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["trace"], ["trace.number"], name=op.f("fk_assessment_trace_trace")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_assessment")),
        sa.UniqueConstraint("id", name=op.f("uq_assessment_id")),
    )
    op.create_index(
        "ix_assessment_issue",
        "assessment",
        ["name", "trace"],
        unique=False,
        sqlite_where=sa.text("kind = 'issue'"),
        postgresql_where=sa.text("kind = 'issue'"),
    )
    op.create_index(
        "ix_assessment_run",
        "assessment",
        ["run"],
        unique=False,
        sqlite_where=sa.text("run <> ''"),
        postgresql_where=sa.text("run <> ''"),
    )
    op.create_index(op.f("ix_assessment_trace_kind_name"), "assessment", ["trace", "kind", "name"], unique=False)
    op.create_table(
        "evaluation_dataset_experiment",
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("experiment", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"], ["evaluation_dataset.number"], name=op.f("fk_evaluation_dataset_experiment_dataset_evaluation_dataset")
        ),
        sa.PrimaryKeyConstraint("dataset", "experiment", name=op.f("pk_evaluation_dataset_experiment")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_evaluation_dataset_experiment_experiment"), "evaluation_dataset_experiment", ["experiment"], unique=False
    )
    op.create_table(
        "evaluation_dataset_tag",
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"], ["evaluation_dataset.number"], name=op.f("fk_evaluation_dataset_tag_dataset_evaluation_dataset")
        ),
        sa.PrimaryKeyConstraint("dataset", "key", name=op.f("pk_evaluation_dataset_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "evaluation_record",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("updated_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset"], ["evaluation_dataset.number"], name=op.f("fk_evaluation_record_dataset_evaluation_dataset")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_evaluation_record")),
        sa.UniqueConstraint("dataset", "digest", name=op.f("uq_evaluation_record_dataset_digest")),
        sa.UniqueConstraint("id", name=op.f("uq_evaluation_record_id")),
    )
    op.create_index(op.f("ix_evaluation_record_dataset_number"), "evaluation_record", ["dataset", "number"], unique=False)
    op.create_table(
        "review_item",
        sa.Column("queue", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("completed_by", sa.Text(), nullable=True),
        sa.Column("completed", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["queue"], ["review_queue.number"], name=op.f("fk_review_item_queue_review_queue")),
        sa.PrimaryKeyConstraint("queue", "item", name=op.f("pk_review_item")),
    )
    op.create_index(op.f("ix_review_item_item"), "review_item", ["item"], unique=False)
    op.create_table(
        "scorer_version",
        sa.Column("scorer", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["scorer"], ["scorer.number"], name=op.f("fk_scorer_version_scorer_scorer")),
        sa.PrimaryKeyConstraint("scorer", "version", name=op.f("pk_scorer_version")),
    )
    op.create_table(
        "trace_link",
        sa.Column("trace", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace"], ["trace.number"], name=op.f("fk_trace_link_trace_trace")),
        sa.PrimaryKeyConstraint("trace", "kind", "target", name=op.f("pk_trace_link")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_trace_link_kind_target"), "trace_link", ["kind", "target"], unique=False)
    op.create_table(
        "trace_metadata",
        sa.Column("trace", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace"], ["trace.number"], name=op.f("fk_trace_metadata_trace_trace")),
        sa.PrimaryKeyConstraint("trace", "key", name=op.f("pk_trace_metadata")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_trace_metadata_short",
        "trace_metadata",
        ["key", "value", "trace"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 250"),
        postgresql_where=sa.text("length(value) <= 250"),
    )
    op.create_table(
        "trace_tag",
        sa.Column("trace", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["trace"], ["trace.number"], name=op.f("fk_trace_tag_trace_trace")),
        sa.PrimaryKeyConstraint("trace", "key", name=op.f("pk_trace_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_trace_tag_short",
        "trace_tag",
        ["key", "value", "trace"],
        unique=False,
        sqlite_where=sa.text("length(value) <= 250"),
        postgresql_where=sa.text("length(value) <= 250"),
    )
