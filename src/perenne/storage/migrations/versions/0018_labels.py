"""Schema 0018: labels."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "label",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("label_set", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("labeller", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("original", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label")),
        sa.UniqueConstraint("label_set", "labeller", "request", name=op.f("uq_label_label_set_labeller_request")),
    )
    op.create_index(op.f("ix_label_label_set_item_id"), "label", ["label_set", "item", "id"], unique=False)
    op.create_index(op.f("ix_label_label_set_labeller_id"), "label", ["label_set", "labeller", "id"], unique=False)
    op.create_table(
        "label_item",
        sa.Column("label_set", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Double(), nullable=False),
        sa.Column("uncertainty", sa.Double(), nullable=False),
        sa.Column("disagreement", sa.Double(), nullable=False),
        sa.Column("suspicion", sa.Double(), nullable=False),
        sa.Column("suggested", sa.Text(), nullable=True),
        sa.Column("opinions", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("gold", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("label_set", "item", name=op.f("pk_label_item")),
    )
    op.create_index(op.f("ix_label_item_label_set_state_place"), "label_item", ["label_set", "state", "place"], unique=False)
    op.create_index(
        op.f("ix_label_item_label_set_state_uncertainty"), "label_item", ["label_set", "state", "uncertainty"], unique=False
    )
    op.create_index(op.f("ix_label_item_label_set_suspicion"), "label_item", ["label_set", "suspicion"], unique=False)
    op.create_table(
        "label_rule",
        sa.Column("label_set", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("label_set", "name", name=op.f("pk_label_rule")),
    )
    op.create_table(
        "label_set",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_label_set")),
    )
    op.create_index(op.f("ix_label_set_project_name"), "label_set", ["project", "name"], unique=False)
    op.create_table(
        "label_turn",
        sa.Column("label_set", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("labeller", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("label_set", "item", "labeller", name=op.f("pk_label_turn")),
    )
    op.create_index(
        op.f("ix_label_turn_label_set_labeller_state_time"),
        "label_turn",
        ["label_set", "labeller", "state", "time"],
        unique=False,
    )
    op.create_table(
        "label_version",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("label_set", sa.Text(), nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=False),
        sa.Column("known", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "label_set", name=op.f("pk_label_version")),
    )
    op.create_index(op.f("ix_label_version_label_set_created"), "label_version", ["label_set", "created"], unique=False)
