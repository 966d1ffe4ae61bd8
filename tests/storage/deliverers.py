"""Delivers events until none waits, as one of several processes: `deliverers.py DATABASE_URL`. Prints how many it delivered."""

import sys
import time

import sqlalchemy as sa

from perenne.core.events import Event
from perenne.storage.database import Database, Transaction
from perenne.storage.outbox import Outbox

effects = sa.Table("effect", sa.MetaData(), sa.Column("of", sa.Text))


class Happened(Event, frozen=True):
    """An event."""

    name = "thing.happened"
    what: str


def note(tx: Transaction, event: Happened) -> None:
    """Have an effect, and take a little, so that others come in between."""
    tx.execute(effects.insert(), {"of": event.what})
    time.sleep(0.001)


def main(url: str) -> None:
    """Deliver in small batches."""
    with Database.open(url) as database:
        box, total = Outbox(database, {Happened: [note]}), 0
        print("ready", flush=True)
        sys.stdin.readline()
        while delivered := box.deliver(limit=7):
            total += delivered
        print(total, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
