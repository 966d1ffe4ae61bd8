"""Schema 0003: token rotation."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("token", sa.Column("projects", sa.Text(), server_default="[]", nullable=False))
    op.add_column("token", sa.Column("rotated", sa.BigInteger(), nullable=True))
    op.add_column("token", sa.Column("previous_hash", sa.LargeBinary(), nullable=True))
    op.add_column("token", sa.Column("previous_until", sa.BigInteger(), nullable=True))
