"""Schema 0027: log rules."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0023"


def upgrade() -> None:
    op.add_column("deployment", sa.Column("log", sa.Text(), nullable=True))
