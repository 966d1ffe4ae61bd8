"""Schema 0006: job kinds."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.drop_index(op.f("ix_job_claim"), table_name="job", sqlite_where=sa.text("state = 'queued'"))
    op.create_index(
        "ix_job_next",
        "job",
        ["kind", "priority", "due", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
