"""Schema 0005: scale."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index(
        "ix_alert_open",
        "alert",
        ["id"],
        unique=False,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_index(op.f("ix_alias_version"), "alias", ["version"], unique=False)
    op.create_index("ix_episode_project", "episode", ["project", "id"], unique=False)
    op.create_index(op.f("ix_flow_run_started_id"), "flow_run", ["started", "id"], unique=False)
    op.create_index(
        "ix_monitor_verdict_newest",
        "monitor_verdict",
        ["deployment", "variant", "window_start", "version", "state"],
        unique=False,
    )
    op.create_index(op.f("ix_monitor_watch_version"), "monitor_watch", ["version"], unique=False)
    op.create_index(op.f("ix_snapshot_created"), "snapshot", ["created"], unique=False)
    op.add_column("version", sa.Column("waiting", sa.BigInteger(), nullable=True))
    op.create_index("ix_version_newest", "version", ["created", "number", "id"], unique=False)
    op.create_index(
        "ix_version_waiting",
        "version",
        ["waiting", "id"],
        unique=False,
        sqlite_where=sa.text("waiting IS NOT NULL"),
        postgresql_where=sa.text("waiting IS NOT NULL"),
    )
    # Which of them really wait is asked of their gate whenever they are listed.
    op.execute("""UPDATE version SET waiting = created WHERE state = '"candidate"' AND policy NOT LIKE '%"approve_by":""%'""")
