"""Links are said once and can be walked."""

from perenne.storage.database import Database, Transaction
from perenne.storage.links import Kind, add_link, links_from, links_to, walk

RUN, SNAPSHOT, VERSION = (Kind.RUN, "r1"), (Kind.SNAPSHOT, "s1"), (Kind.VERSION, "m@1")


def chain(tx: Transaction) -> None:
    add_link(tx, VERSION, "made_by", RUN)
    add_link(tx, RUN, "used", SNAPSHOT)
    add_link(tx, (Kind.PROFILE, "p1"), "describes", SNAPSHOT)


def test_a_link_is_said_once(database: Database) -> None:
    database.write(chain)
    database.write(chain)
    with database.read() as tx:
        assert len(links_to(tx, *SNAPSHOT)) == 2
        assert [(link.relation, link.target) for link in links_from(tx, *RUN)] == [("used", "s1")]


def test_links_are_walked_forwards_nearest_first_and_circles_end(database: Database) -> None:
    database.write(chain)
    database.write(lambda tx: add_link(tx, SNAPSHOT, "drawn_for", VERSION))
    with database.read() as tx:
        assert [(link.source, link.target) for link in walk(tx, [VERSION])] == [("m@1", "r1"), ("r1", "s1"), ("s1", "m@1")]
        assert len(walk(tx, [VERSION], limit=2)) == 2
        assert walk(tx, [(Kind.RUN, "unknown")]) == []
