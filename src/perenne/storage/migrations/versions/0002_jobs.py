"""Schema 0002: jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "lock",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("lease", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lock")),
    )
    op.create_table(
        "schedule",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("fired", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schedule")),
    )
    op.create_index(op.f("ix_schedule_due"), "schedule", ["due"], unique=False)
    op.add_column("job", sa.Column("priority", sa.Integer(), server_default="0", nullable=False))
    op.add_column("job", sa.Column("time_limit", sa.BigInteger(), nullable=True))
    op.add_column("job", sa.Column("cancel", sa.Text(), nullable=True))
    op.add_column("job", sa.Column("share", sa.Float(), nullable=True))
    op.add_column("job", sa.Column("message", sa.Text(), nullable=True))
    op.drop_index(op.f("ix_job_state_due"), table_name="job")
    op.create_index(
        "ix_job_claim",
        "job",
        ["priority", "due", "id", "kind"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_job_failed",
        "job",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(
        "ix_job_kept",
        "job",
        ["ended"],
        unique=False,
        sqlite_where=sa.text("ended is not null and (state <> 'done' or key is not null)"),
        postgresql_where=sa.text("ended is not null and (state <> 'done' or key is not null)"),
    )
    op.create_index(
        "ix_job_plain",
        "job",
        ["ended"],
        unique=False,
        sqlite_where=sa.text("state = 'done' and key is null"),
        postgresql_where=sa.text("state = 'done' and key is null"),
    )
    op.create_index(
        "ix_job_running",
        "job",
        ["lease"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.add_column("outbox", sa.Column("ended", sa.BigInteger(), nullable=True))
    op.drop_index(op.f("ix_outbox_state_due"), table_name="outbox")
    op.create_index(
        "ix_outbox_delivered",
        "outbox",
        ["ended"],
        unique=False,
        sqlite_where=sa.text("state = 'delivered'"),
        postgresql_where=sa.text("state = 'delivered'"),
    )
    op.create_index(
        "ix_outbox_set_aside",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'set_aside'"),
        postgresql_where=sa.text("state = 'set_aside'"),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.add_column("project", sa.Column("bundle", sa.Text(), nullable=True))
    op.execute("update outbox set ended = created where state = 'delivered'")
