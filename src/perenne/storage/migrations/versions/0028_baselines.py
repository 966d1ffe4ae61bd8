"""Schema 0028: baselines."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "monitor_baseline",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("profiles", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "version", "kind", name=op.f("pk_monitor_baseline")),
    )
    op.create_table(
        "monitor_counted",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("windows", sa.Integer(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("counted_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "version", "variant", "digest", name=op.f("pk_monitor_counted")),
    )
    op.create_table(
        "monitor_drawn",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_length", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "deployment", "variant", "version", "window_start", "window_length", name=op.f("pk_monitor_drawn")
        ),
    )
    op.create_table(
        "monitor_part",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("window_start", sa.BigInteger(), nullable=False),
        sa.Column("window_length", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("latency", sa.Text(), nullable=False),
        sa.Column("agreed", sa.BigInteger(), nullable=False),
        sa.Column("compared", sa.BigInteger(), nullable=False),
        sa.Column("profile", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("judged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("bare", sa.Integer(), server_default="0", nullable=False),
        sa.Column("segments", sa.LargeBinary(), nullable=True),
        sa.Column("columns", sa.Text(), server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint(
            "deployment", "variant", "version", "window_start", "window_length", name=op.f("pk_monitor_part")
        ),
    )
    op.create_index(
        "ix_monitor_part_due",
        "monitor_part",
        ["window_start"],
        unique=False,
        sqlite_where=sa.text("revision > judged"),
        postgresql_where=sa.text("revision > judged"),
    )
    op.add_column("monitor_window", sa.Column("bare", sa.Integer(), server_default="0", nullable=False))
    op.add_column("monitor_window", sa.Column("segments", sa.LargeBinary(), nullable=True))
    op.add_column("monitor_window", sa.Column("columns", sa.Text(), server_default="[]", nullable=False))
