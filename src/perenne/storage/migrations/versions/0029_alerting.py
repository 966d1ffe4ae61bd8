"""Schema 0029: alerting."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "alert_channel",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("digested", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_channel")),
    )
    op.create_table(
        "alert_comment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_comment")),
    )
    op.create_index(op.f("ix_alert_comment_alert"), "alert_comment", ["alert"], unique=False)
    op.create_table(
        "alert_told",
        sa.Column("alert", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("alert", "key", "channel", name=op.f("pk_alert_told")),
    )
    op.create_index("ix_alert_told_message", "alert_told", ["key", "channel"], unique=False)
    op.add_column("alert", sa.Column("project", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("alert", sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("alert", sa.Column("parent", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("alert", sa.Column("channels", sa.Text(), server_default="[]", nullable=False))
    op.add_column("alert", sa.Column("told", sa.Text(), server_default="[]", nullable=False))
    op.create_index(
        "ix_alert_parent",
        "alert",
        ["parent"],
        unique=False,
        sqlite_where=sa.text("parent <> ''"),
        postgresql_where=sa.text("parent <> ''"),
    )
    op.create_index(
        "ix_alert_source",
        "alert",
        ["source"],
        unique=False,
        sqlite_where=sa.text("ended IS NULL AND source <> ''"),
        postgresql_where=sa.text("ended IS NULL AND source <> ''"),
    )
    op.add_column("alert_silence", sa.Column("matchers", sa.Text(), server_default="[]", nullable=False))
    op.add_column("alert_silence", sa.Column("ended_by", sa.Text(), server_default=sa.text("''"), nullable=False))
