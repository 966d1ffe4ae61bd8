"""Schema 0023: project gates."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.add_column("project", sa.Column("gates", sa.Text(), server_default="[]", nullable=False))
