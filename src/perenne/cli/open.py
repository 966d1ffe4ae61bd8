"""`perenne open`: the page of what was just made, or of anything by its name."""

import re
from typing import TYPE_CHECKING

import click

from perenne.cli.pages import running, show, url_of
from perenne.core.addresses import address_of
from perenne.core.errors import NotFound, Unavailable
from perenne.core.ids import is_id
from perenne.core.results import Result
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.storage.transaction import Transaction

_PAGES = {
    "audit": "/audit",
    "fleet": "/",
    "status": "/",
    "runs": "/runs",
    "models": "/model",
    "deployments": "/deploy",
    "monitors": "/monitor",
    "alerts": "/alert",
    "policies": "/policy",
    "jobs": "/job",
    "settings": "/settings",
}
_PREDICTION = re.compile(r"[A-Za-z0-9._:-]+-\d+")
_MADE = ("version", "run", "deployment")


@click.command()
@click.argument("what", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@click.pass_obj
def open_page(workspace: Workspace, what: str | None, only_print: bool) -> Result:
    """Open the page of WHAT in the browser: of what was made last, if not given.

    WHAT is the name of a model, a deployment, a project or a dataset, a version such as churn@3, the id of a run, a prediction,
    an alert, an episode or a job, or a page: audit, runs, jobs, settings.

    \b
    Examples:
      perenne open
      perenne open churn
      perenne open churn@3 --print
      perenne open audit
    """
    with workspace.database.read() as tx:
        path = _newest(tx) if what is None else _path(tx, what)
    sign = running(workspace.settings.home)
    if sign is None:
        hint = f"`perenne up` starts one; the page is {path} there"
        raise Unavailable("no control plane of this installation runs", code="open.not_running", hint=hint)
    url = f"{url_of(sign)}{path}"
    if only_print or show(url):
        return Result(url)
    return Result(url, note="no browser can be started from here; open the address in yours")


def _newest(tx: "Transaction") -> str:
    """Return the page of the newest version, run or deployment, by the audit trail: the fleet if there is none yet."""
    from perenne.auth import audit

    found = [record for noun in _MADE for record in audit.trail(tx, entity=noun, limit=1)]
    if not found:
        return "/"
    newest = max(found, key=lambda record: record.seq)
    return address_of(newest.entity, newest.entity_id)


def _path(tx: "Transaction", what: str) -> str:
    if what in _PAGES:
        return _PAGES[what]
    if is_id(what):
        return _page_of_id(tx, what)
    if "@" not in what and _PREDICTION.fullmatch(what) and is_id(what.rpartition("-")[0]):
        return address_of("prediction", what)
    return _page_of_name(tx, what)


def _page_of_id(tx: "Transaction", identity: str) -> str:
    for noun in ("run", "episode", "alert", "job"):
        if _holds(tx, noun, identity):
            return address_of(noun, identity)
    raise _unknown(identity)


def _page_of_name(tx: "Transaction", name: str) -> str:
    for noun in ("version",) if "@" in name else ("model", "deployment", "project", "dataset"):
        if _holds(tx, noun, name):
            return address_of(noun, name)
    raise _unknown(name)


def _holds(tx: "Transaction", noun: str, identity: str) -> bool:
    """Tell whether there is such a thing: nothing comes to be without a record in the trail, but for data and jobs."""
    from perenne import data
    from perenne.auth import audit
    from perenne.storage import jobs

    if noun == "job":
        return jobs.get_job(tx, identity) is not None
    if noun == "dataset":
        return identity in data.summary.datasets(tx, identity, 1_000)
    entity, of = ("version", f"{identity}@1") if noun == "model" else (noun, identity)
    return bool(audit.trail(tx, entity=entity, entity_id=of, limit=1))


def _unknown(what: str) -> NotFound:
    hint = "`perenne open` without a name shows what was made last"
    return NotFound(f"there is nothing called {what[:100]!r}", code="open.not_found", hint=hint)
