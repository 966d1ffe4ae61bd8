"""Files of the web: asked for once if they stay as they are, as robots.txt has it, and only where that is allowed."""

import msgspec
import pytest
from tests.data.ingest.conftest import Ingest, Site

from perenne.auth.principals import Principal
from perenne.core.errors import Denied, Invalid, NotFound, Unavailable
from perenne.data.ingest import declared
from perenne.data.ingest.model import Outcome
from perenne.data.ingest.refreshing import refresh
from perenne.data.origins.places import without_secrets
from perenne.storage.workspace import Workspace

CSV = b"id,price\n1,2.5\n2,3.5\n"


def test_a_file_that_stays_as_it_is_costs_one_question(workspace: Workspace, actor: Principal, read: Ingest, site: Site) -> None:
    site.files["/prices.csv"] = CSV
    assert read(site.url("/prices.csv"), trusted=True).refresh.outcome is Outcome.NEW
    site.asked.clear()
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    assert site.asked == [("/robots.txt", "404"), ("/prices.csv", "304")]
    site.files["/prices.csv"] = CSV + b"3,4\n"
    assert refresh(workspace, actor, "rows").refresh.rows == 3


def test_a_private_host_or_one_without_tls_is_asked_only_if_it_is_trusted(read: Ingest, site: Site) -> None:
    site.files["/a.csv"] = CSV
    with pytest.raises((Denied, Invalid)):
        read(site.url("/a.csv"))
    with pytest.raises(Denied):
        read(site.url("/a.csv").replace("http://", "https://"))
    assert site.asked == []


def test_robots_are_heeded(read: Ingest, site: Site) -> None:
    site.files |= {"/private/a.csv": CSV, "/open/a.csv": CSV, "/robots.txt": b"User-agent: *\nDisallow: /private/\n"}
    with pytest.raises(Denied, match=r"robots\.txt"):
        read(site.url("/private/a.csv"), trusted=True)
    assert read(site.url("/open/a.csv"), trusted=True).refresh.rows == 2


def test_a_redirect_is_followed_but_not_for_ever_and_not_to_a_private_host(read: Ingest, site: Site) -> None:
    site.files["/b.csv"] = CSV
    site.answers |= {"/a.csv": (302, {"Location": "/b.csv"}), "/loop.csv": (301, {"Location": "/loop.csv"})}
    site.answers["/away.csv"] = (302, {"Location": "http://localhost:1/x.csv"})
    assert read(site.url("/a.csv"), trusted=True).refresh.rows == 2
    with pytest.raises(Unavailable, match="from one address to the next"):
        read(site.url("/loop.csv"), trusted=True, dataset="loop")
    with pytest.raises((Denied, Invalid)):
        read(site.url("/away.csv"), trusted=True, dataset="away")


def test_what_is_cut_off_missing_or_forbidden_is_said_and_nothing_kept(
    workspace: Workspace, actor: Principal, read: Ingest, site: Site
) -> None:
    site.answers |= {"/no.csv": (403, {}), "/broken.csv": (500, {})}
    for path, kind in (("/none.csv", NotFound), ("/no.csv", Unavailable), ("/broken.csv", Unavailable)):
        with pytest.raises(kind):
            read(site.url(path), trusted=True)
    site.files["/a.csv"] = CSV
    read(site.url("/a.csv"), trusted=True)
    site.files["/a.csv"], site.cut = CSV * 2, True
    with pytest.raises(Unavailable):
        refresh(workspace, actor, "rows")
    with workspace.database.read() as tx:
        source = declared.get_source(tx, actor, "rows")
        readings = declared.history(tx, actor, "rows")
    assert (source.outcome, source.failures) == ("failed", 1) and source.problem
    assert [reading.outcome for reading in readings[:2]] == [Outcome.FAILED, Outcome.NEW]


def test_a_secret_in_an_address_is_used_again_and_shown_nowhere(
    workspace: Workspace, actor: Principal, read: Ingest, site: Site
) -> None:
    site.files["/a.csv"] = CSV
    found = read(site.url("/a.csv?token=hush&page=1"), trusted=True)
    assert refresh(workspace, actor, "rows").refresh.outcome is Outcome.UNCHANGED
    with workspace.database.read() as tx:
        source = declared.get_source(tx, actor, "rows")
    assert "token=***&page=1" in source.uri
    assert b"hush" not in msgspec.json.encode((found, source))


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("https://u@h/a?sig=1&x=2", "https://u@h/a?sig=***&x=2"),
        ("https://h/a?x=a%20b", "https://h/a?x=a%20b"),
        ("/data/a.csv", "/data/a.csv"),
    ],
)
def test_addresses_are_shown_without_what_is_secret(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown
