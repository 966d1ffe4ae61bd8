"""Schema 0012: registry; models with their names and tags, review policies and reviews, comments.

Two versions may have the same files from now on, so that what held that is dropped. Each name that versions share becomes a model,
which belongs to the project of the newest of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "comment",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("edited", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
    )
    op.create_index(op.f("ix_comment_entity_entity_id_id"), "comment", ["entity", "entity_id", "id"], unique=False)
    op.create_table(
        "registered_model",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_registered_model")),
    )
    op.create_index(op.f("ix_registered_model_project_name"), "registered_model", ["project", "name"], unique=False)
    op.create_index(
        "ix_registered_model_prompt",
        "registered_model",
        ["name"],
        unique=False,
        sqlite_where=sa.text("prompt"),
        postgresql_where=sa.text("prompt"),
    )
    op.create_index(op.f("ix_registered_model_updated_name"), "registered_model", ["updated", "name"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("tree", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("closed", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_model_id"), "review", ["model", "id"], unique=False)
    op.create_index(
        "ix_review_open",
        "review",
        ["id"],
        unique=False,
        sqlite_where=sa.text("closed IS NULL"),
        postgresql_where=sa.text("closed IS NULL"),
    )
    op.create_index(op.f("ix_review_version"), "review", ["version"], unique=False)
    op.create_table(
        "review_policy",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_review_policy")),
    )
    op.create_table(
        "model_tag",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["registered_model.name"], name=op.f("fk_model_tag_model_registered_model")),
        sa.PrimaryKeyConstraint("model", "key", name=op.f("pk_model_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_model_tag_key_model"), "model_tag", ["key", "model"], unique=False)
    op.create_table(
        "version_tag",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["version.id"], name=op.f("fk_version_tag_version_version")),
        sa.PrimaryKeyConstraint("version", "key", name=op.f("pk_version_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_version_tag_key_version"), "version_tag", ["key", "version"], unique=False)
    op.add_column("decision", sa.Column("policies", sa.Text(), server_default='["project"]', nullable=False))
    op.add_column("decision", sa.Column("roles", sa.Text(), server_default="[]", nullable=False))
    op.add_column("decision", sa.Column("review", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("version", sa.Column("form", sa.Text(), server_default='"package"', nullable=False))
    op.add_column("version", sa.Column("source", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("version", sa.Column("storage", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("version", sa.Column("root", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("version", sa.Column("run_link", sa.Text(), nullable=True))
    op.add_column("version", sa.Column("description", sa.Text(), nullable=True))
    op.add_column("version", sa.Column("stage", sa.Text(), server_default="None", nullable=False))
    op.add_column("version", sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("version", sa.Column("author", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("version", sa.Column("logged_model", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("version", sa.Column("deleted", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("version") as table:
        table.drop_constraint("uq_version_model_tree", type_="unique")
    op.create_index("ix_version_run", "version", ["run"], unique=False)
    op.create_index("ix_version_stage", "version", ["model", "stage", "number"], unique=False)
    op.create_index("ix_version_tree", "version", ["model", "tree"], unique=False)
    op.create_index("ix_version_updated", "version", ["updated", "model", "number"], unique=False)
    op.execute("UPDATE version SET updated = created")
    op.execute("""INSERT INTO registered_model (name, project, created, updated, created_by, prompt)
        SELECT v.model, v.project, (SELECT min(o.created) FROM version o WHERE o.model = v.model), v.created, v.created_by, false
        FROM version v WHERE v.number = (SELECT max(o.number) FROM version o WHERE o.model = v.model)""")
