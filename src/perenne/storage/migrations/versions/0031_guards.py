"""Schema 0031: guards."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.create_table(
        "deployment_ticket",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("suggested", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("decided", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("told", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_ticket")),
    )
    op.create_index("ix_deployment_ticket_of", "deployment_ticket", ["deployment", "opened"], unique=False)
    op.create_index(
        "ix_deployment_ticket_open",
        "deployment_ticket",
        ["deployment", "id"],
        unique=False,
        sqlite_where=sa.text("decided IS NULL"),
        postgresql_where=sa.text("decided IS NULL"),
    )
    op.create_index(
        "ix_deployment_ticket_untold",
        "deployment_ticket",
        ["id"],
        unique=False,
        sqlite_where=sa.text("decided IS NOT NULL AND told = 0"),
        postgresql_where=sa.text("decided IS NOT NULL AND told = 0"),
    )
    op.create_table(
        "monitor_fairness",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_length", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("seen", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "deployment", "variant", "version", "window_start", "window_length", "by", name=op.f("pk_monitor_fairness")
        ),
    )
    op.create_table(
        "monitor_outcome",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_length", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("squares", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "deployment",
            "variant",
            "version",
            "window_start",
            "window_length",
            "name",
            "by",
            "group",
            name=op.f("pk_monitor_outcome"),
        ),
    )
    op.create_table(
        "monitor_outcome_batch",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("received_by", sa.Text(), nullable=False),
        sa.Column("waiting", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("joined", sa.Integer(), nullable=False),
        sa.Column("orphans", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_monitor_outcome_batch")),
        sa.UniqueConstraint("sequence", name=op.f("uq_monitor_outcome_batch_sequence")),
    )
    op.create_index(
        "ix_monitor_outcome_batch_waiting",
        "monitor_outcome_batch",
        ["sequence", "due"],
        unique=False,
        sqlite_where=sa.text("waiting IS NOT NULL"),
        postgresql_where=sa.text("waiting IS NOT NULL"),
    )
    op.create_table(
        "monitor_reported",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("deviation", sa.Float(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("received_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_monitor_reported")),
    )
    op.create_index("ix_monitor_reported_time", "monitor_reported", ["deployment", "start"], unique=False)
    op.create_table(
        "monitor_running",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_length", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "deployment", "variant", "version", "window_start", "window_length", name=op.f("pk_monitor_running")
        ),
    )
    op.create_table(
        "monitor_window_outcomes",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_length", sa.BigInteger(), nullable=False),
        sa.Column("rows_at", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "deployment", "variant", "version", "window_start", "window_length", name=op.f("pk_monitor_window_outcomes")
        ),
    )
    op.create_index("ix_monitor_window_outcomes_object", "monitor_window_outcomes", ["rows_at"], unique=False)
    op.add_column("deployment", sa.Column("holdout", sa.Text(), nullable=True))
