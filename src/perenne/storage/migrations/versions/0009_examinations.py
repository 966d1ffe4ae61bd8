"""Schema 0009: examinations."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "snapshot_examination",
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=True),
        sa.Column("last", sa.BigInteger(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.Column("errors", sa.BigInteger(), nullable=True),
        sa.Column("warnings", sa.BigInteger(), nullable=True),
        sa.Column("baseline", sa.Text(), nullable=False),
        sa.Column("examined", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot", "dataset", name=op.f("pk_snapshot_examination")),
    )
