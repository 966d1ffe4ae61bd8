"""Schema 0022: log rules."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("deployment", sa.Column("log", sa.Text(), nullable=True))
