"""Schema 0008: project people."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("project", sa.Column("people", sa.Text(), server_default="[]", nullable=False))
