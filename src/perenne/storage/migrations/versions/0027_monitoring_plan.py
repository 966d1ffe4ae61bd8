"""Schema 0027: monitoring plan."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("monitor_watch", sa.Column("plan", sa.Text(), server_default="{}", nullable=False))
    op.add_column("project", sa.Column("monitoring", sa.Text(), server_default="{}", nullable=False))
