"""`perenne data write`."""

import click

from perenne.auth.principals import local_principal
from perenne.core.results import Result
from perenne.data.ingest import writing
from perenne.data.ingest.lake_tables import How
from perenne.storage.workspace import Workspace


@click.command()
@click.argument("snapshot")
@click.argument("to")
@click.option("--append", "how", flag_value="append", help="Behind what is there; the same snapshot comes once only.")
@click.option("--overwrite", "how", flag_value="overwrite", help="In place of what is there.")
@click.option("--partition", multiple=True, metavar="COLUMN", help="Part the files by a column, or by several.")
@click.option("--dataset", default="", help="What the pinned version is called; as the snapshot if not given.")
@click.pass_obj
def write(workspace: Workspace, snapshot: str, to: str, how: str | None, partition: tuple[str, ...], dataset: str) -> Result:
    """Write SNAPSHOT to TO, where others read it, and pin what is there then.

    TO is a folder (of Parquet), s3://, gs://, az://…, delta:PATH or iceberg:CATALOG.NAMESPACE.TABLE. What is there stays as it
    is unless --append or --overwrite is given.

    \b
    Examples:
      perenne data write 044bc57e1967 exports/orders --partition day
      perenne data write 044bc57e1967 delta:lake/orders --append
      perenne data write 044bc57e1967 iceberg:lake.shop.orders --overwrite
    """
    done = writing.write(workspace, local_principal(), snapshot, to, how=How(how or "new"), partition=partition, dataset=dataset)
    shown = {
        "pinned": done.pinned.id[:12],
        "dataset": done.pinned.dataset,
        "format": done.pointer.format,
        "version": done.pointer.version,
        "rows": done.pointer.rows,
        "to": done.pointer.uri,
    }
    return Result(done, note="" if done.done else "it was there already: nothing was written", shown=shown)
