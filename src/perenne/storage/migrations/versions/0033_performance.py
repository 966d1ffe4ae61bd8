"""Schema 0033: performance."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "monitor_stream",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "variant", "version", "segment", name=op.f("pk_monitor_stream")),
    )
    op.add_column("monitor_window_labels", sa.Column("found", sa.Text(), nullable=True))
