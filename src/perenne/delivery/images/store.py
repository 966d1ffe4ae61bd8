"""The table of images."""

from collections.abc import Collection

import sqlalchemy as sa

from perenne.delivery.images.model import Component, Image, Layer
from perenne.storage.database import JsonColumn, Transaction, metadata, read_struct
from perenne.storage.names import chosen

image = sa.Table(
    "image",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("tree", sa.Text, nullable=False),
    sa.Column("build", sa.Integer, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("platforms", JsonColumn(tuple[str, ...]), nullable=False),
    sa.Column("base", sa.Text, nullable=False),
    sa.Column("base_digest", sa.Text, nullable=False),
    sa.Column("layers", JsonColumn(tuple[Layer, ...]), nullable=False),
    sa.Column("components", JsonColumn(tuple[Component, ...]), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.UniqueConstraint("version", "build"),
    sa.Index(None, "deployment"),
)

_columns = [image.c[name] for name in Image.__struct_fields__]


def insert(tx: Transaction, made: Image) -> None:
    """Add an image."""
    tx.execute(image.insert().values({name: getattr(made, name) for name in Image.__struct_fields__}))


def find(tx: Transaction, digest: str) -> Image | None:
    """Read an image; None if there is none of that digest."""
    row = tx.execute(sa.select(*_columns).where(image.c.digest == digest)).first()
    return None if row is None else read_struct(Image, row)


def of_versions(tx: Transaction, versions: Collection[str]) -> list[Image]:
    """List the images of some versions, by version, the newest of each first."""
    query = sa.select(*_columns).where(image.c.version.in_(chosen(versions)))
    return [read_struct(Image, row) for row in tx.execute(query.order_by(image.c.version, image.c.build.desc()))]


def rolled_out(tx: Transaction) -> list[Image]:
    """List the images that deployments are to run, by deployment."""
    query = sa.select(*_columns).where(image.c.deployment != "").order_by(image.c.deployment)
    return [read_struct(Image, row) for row in tx.execute(query)]


def next_build(tx: Transaction, version: str) -> int:
    """Return the number that the next image of a version has."""
    last = tx.execute(sa.select(sa.func.max(image.c.build)).where(image.c.version == version)).scalar()
    return (last or 0) + 1


def set_reference(tx: Transaction, digest: str, reference: str) -> None:
    """Keep where an image lies."""
    tx.execute(image.update().where(image.c.digest == digest).values(reference=reference))


def give_deployment(tx: Transaction, digest: str, deployment: str) -> None:
    """Let a deployment have an image, and no other."""
    tx.execute(image.update().where(image.c.deployment == deployment).values(deployment=""))
    tx.execute(image.update().where(image.c.digest == digest).values(deployment=deployment))


def references(tx: Transaction) -> list[str]:
    """List where images were pushed to, each place once."""
    query = sa.select(image.c.reference).where(image.c.reference != "").distinct().order_by(image.c.reference)
    return [str(text) for text in tx.execute(query).scalars()]
