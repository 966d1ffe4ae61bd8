"""Schema 0020: rollouts."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "deployment_past",
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("deployment", "generation", name=op.f("pk_deployment_past")),
    )
    op.add_column("deployment", sa.Column("route", sa.Text(), nullable=True))
    op.add_column("deployment", sa.Column("rollback", sa.Text(), nullable=True))
    op.add_column("deployment", sa.Column("crowned", sa.BigInteger(), server_default="0", nullable=False))
