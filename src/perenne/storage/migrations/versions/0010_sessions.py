<<<<<<<< HEAD:src/perenne/storage/migrations/versions/0009_sessions.py
"""Schema 0009: sessions."""
========
"""Schema 0010: sessions."""
>>>>>>>> 200ce5cb2bc4a308e84d073e65558e185ebdc368:src/perenne/storage/migrations/versions/0010_sessions.py

import sqlalchemy as sa
from alembic import op

<<<<<<<< HEAD:src/perenne/storage/migrations/versions/0009_sessions.py
revision = "0009"
down_revision = "0008"
========
revision = "0010"
down_revision = "0009"
>>>>>>>> 200ce5cb2bc4a308e84d073e65558e185ebdc368:src/perenne/storage/migrations/versions/0010_sessions.py


def upgrade() -> None:
    op.create_table(
        "session",
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_token_created"), "session", ["token", "created"], unique=False)
    op.create_index(op.f("ix_session_used"), "session", ["used"], unique=False)
