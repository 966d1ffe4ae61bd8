"""Schema 0030: retraining."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "policy_hold",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_policy_hold")),
    )
    op.add_column("episode", sa.Column("since", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("episode", sa.Column("alpha", sa.Float(), server_default="0", nullable=False))
    op.add_column("episode", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("episode", sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("episode_step", sa.Column("evidence", sa.Text(), server_default="{}", nullable=False))
