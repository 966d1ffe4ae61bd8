"""Schema 0004: run owner."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("run", sa.Column("owner", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("lease", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_run_held",
        "run",
        ["lease"],
        unique=False,
        sqlite_where=sa.text("owner IS NOT NULL"),
        postgresql_where=sa.text("owner IS NOT NULL"),
    )
