"""Schema 0021: log rules."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("deployment", sa.Column("log", sa.Text(), nullable=True))
