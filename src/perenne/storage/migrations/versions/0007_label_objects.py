"""Schema 0007: label objects."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_monitor_window_labels_object", "monitor_window_labels", ["labels"], unique=False)
