"""`perenne deploy apply`, `status` and `rollback`: what runs in a cluster."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perenne.auth.principals import local_principal
from perenne.core.clock import SECOND, parse_duration
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN, Result
from perenne.delivery.clusters.commands import make_plan, plan_options
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.delivery.clusters.applying import Change, Intent, Outcome
    from perenne.delivery.clusters.model import Object, Revision
    from perenne.delivery.clusters.target import Cluster

C = TypeVar("C", bound=Callable[..., Any])

_REACHING = (
    click.option("--cluster", metavar="CONTEXT", help="A context of the kubeconfig, the URL of an API, or in-cluster."),
    click.option("--kubeconfig", default="", metavar="FILE", help="The file with the contexts; KUBECONFIG or ~/.kube/config."),
    click.option("--token-file", default="", metavar="FILE", help="With a URL: the file of the token to show."),
    click.option("--ca-file", default="", metavar="FILE", help="With a URL: the certificate that signs the server's."),
)
_CHANGING = (
    click.option("--reason", default="", help="Why; kept in the audit trail."),
    click.option("--dry-run", is_flag=True, help="Change nothing: show what the cluster would change."),
    click.option("--prune", is_flag=True, help="Remove what is rendered no more, without asking."),
    click.option("--force", is_flag=True, help="Take over fields that another manager holds."),
    click.option("--timeout", default="10m", show_default=True, help="How long to wait until every pod runs it; 0s not to wait."),
)


def _with(options: Sequence[Callable[[C], C]]) -> Callable[[C], C]:
    def give(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return give


@click.command()
@click.argument("name")
@click.option(
    "--from", "source", metavar="FILE", help="Apply this, as `kubectl kustomize` writes it, and render nothing; - is stdin."
)
@_with(_REACHING)
@_with(_CHANGING)
@plan_options
@click.pass_obj
def apply(workspace: Workspace, /, name: str, source: str | None, namespace: str, **options: Any) -> Result:
    """Apply what is rendered of NAME to a cluster, record the revision, and wait until every pod runs it.

    Applied on the server's side, as the field manager `perenne`. The options that say what is to run are those of `render`.

    \b
    Examples:
      perenne deploy apply churn --cluster staging --namespace shop --tls-secret churn-tls
      kubectl kustomize k8s/churn | perenne deploy apply churn --cluster prod --from -
      perenne deploy apply churn --cluster prod --namespace shop --from production.yaml --dry-run
    """
    from perenne.delivery.clusters.applying import Intent

    target, where = _reach(options), _namespace(namespace)
    if source is None:
        items, project = _rendered(workspace, name, {**options, "namespace": where})
    else:
        items, project = _given(source), _project(workspace, name)
    intent = Intent(
        deployment=name, project=project, namespace=where, items=items, reason=options["reason"], force=options["force"]
    )
    return _apply(workspace, target, intent, options)


@click.command()
@click.argument("name")
@click.option("--namespace", default="", help="Where it runs.")
@_with(_REACHING)
@click.pass_obj
def status(workspace: Workspace, /, name: str, namespace: str, **options: Any) -> Result:
    """Show what was applied of NAME; with --cluster, what that cluster itself says.

    Exits with 6 if something there is not well, and with 7 if that cannot be told.

    \b
    Examples:
      perenne deploy status churn
      perenne deploy status churn --cluster prod --namespace shop
    """
    from perenne.delivery.clusters import revisions
    from perenne.delivery.clusters.live import live_status

    project = _project(workspace, name)
    if not options["cluster"]:
        with workspace.database.read() as tx:
            found = revisions.revisions(tx, name, limit=20)
        note = "as recorded; --cluster asks a cluster itself" if found else f"nothing of {name}, of {project}, was applied yet"
        return Result([_row(item) for item in found], note=note)
    live = live_status(workspace, _reach(options), name, _namespace(namespace))
    shown = {
        "runs": live.runs,
        "healthy": {True: "yes", False: "no", None: "unknown"}[live.healthy],
        "cluster": f"{live.cluster}, Kubernetes {live.kubernetes}, namespace {live.namespace}",
        "objects": [{"object": item.object, "revision": item.revision, "state": item.state} for item in live.objects],
        "pods": list(live.pods),
        "unknown": list(live.unknown),
        "recorded": [_row(item) for item in live.recorded],
    }
    well = {True: 0, False: EXIT_FINDINGS, None: EXIT_UNKNOWN}[live.healthy]
    return Result(live, exit_code=EXIT_FINDINGS if live.pods else well, shown=shown)


@click.command()
@click.argument("name")
@click.option("--namespace", default="", help="Where it runs.")
@click.option(
    "--to", "number", type=click.IntRange(1), help="The number of the revision; that before the present one if not given."
)
@_with(_REACHING)
@_with(_CHANGING)
@click.pass_obj
def rollback(workspace: Workspace, /, name: str, namespace: str, number: int | None, **options: Any) -> Result:
    """Put back what was applied to a cluster before: the revision before, or another one. It becomes a revision of its own.

    This is about what runs in a cluster. `perenne deploy roll-back` is about which version answers.

    \b
    Examples:
      perenne deploy rollback churn --cluster prod --namespace shop --reason "pods run out of memory"
      perenne deploy rollback churn --cluster prod --namespace shop --to 3
    """
    from perenne.delivery.clusters import revisions
    from perenne.delivery.clusters.applying import Intent

    target, where = _reach(options), _namespace(namespace)
    project = _project(workspace, name)
    with workspace.database.read() as tx:
        present, before = revisions.way_back(tx, name, target.name, where, number or 0)
    reason = options["reason"] or f"back to revision {before.number}"
    items = revisions.read_manifests(workspace.objects, before.manifests)
    intent = Intent(
        deployment=name,
        project=project,
        namespace=where,
        items=items,
        reason=reason,
        undoes=present.number,
        force=options["force"],
    )
    return _apply(workspace, target, intent, options)


def _reach(options: dict[str, Any]) -> "Cluster":
    from perenne.delivery.clusters.target import connect

    if not options["cluster"]:
        raise Invalid(
            "no cluster is named",
            code="cluster.context",
            hint="--cluster CONTEXT; `kubectl config get-contexts` shows them. Which version answers: `perenne deploy roll-back`",
        )
    return connect(options["cluster"], **{key: options[key] for key in ("kubeconfig", "token_file", "ca_file")})


def _namespace(namespace: str) -> str:
    from perenne.delivery.clusters.model import check_label

    check_label(namespace or "default", "namespace")
    return namespace or "default"


def _rendered(workspace: Workspace, name: str, options: dict[str, Any]) -> "tuple[list[Object], str]":
    from perenne.delivery.clusters.manifests import objects

    plan = make_plan(workspace, name, options)
    return objects(plan), plan.project


def _given(source: str) -> "list[Object]":
    from perenne.delivery.clusters.writing import from_yaml

    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{source} cannot be read: {error}", code="cluster.yaml", hint="--from names a file of YAML") from None
    items = from_yaml(text, "stdin" if source == "-" else source)
    if not items:
        raise Invalid(f"there is nothing in {source}", code="cluster.yaml", hint="`kubectl kustomize FOLDER` writes what is read")
    return items


def _project(workspace: Workspace, name: str) -> str:
    from perenne import serving

    with workspace.database.read() as tx:
        return serving.service.get_deployment(tx, name).project


def _apply(workspace: Workspace, target: "Cluster", intent: "Intent", options: dict[str, Any]) -> Result:
    from perenne.delivery.clusters import applying

    changes = applying.look(workspace, target, intent)
    if options["dry_run"]:
        return Result([_change(one) for one in changes], note=_differences(changes) or "nothing would change")
    outcome = applying.apply(
        workspace,
        local_principal(),
        target,
        intent,
        changes,
        prune=options["prune"] or _asked(changes),
        hear=_hear,
        wait_seconds=parse_duration(options["timeout"]) / SECOND,
    )
    note = _note(outcome)
    return Result([_change(one) for one in outcome.changes], exit_code=EXIT_FINDINGS if outcome.problem else 0, note=note)


def _hear(words: str) -> None:
    """Show how far it is, to whoever watches."""
    if click.get_current_context().meta.get("perenne.progress"):
        click.echo(words, err=True)


def _asked(changes: "Sequence[Change]") -> bool:
    """Ask whether to remove what is rendered no more; where nobody can be asked, it stays."""
    from perenne.delivery.clusters.kinds import named

    gone = [named(change.item) for change in changes if change.what == "remove"]
    if not gone or not sys.stdin.isatty():
        return False
    return click.confirm(f"Remove what is rendered no more: {', '.join(gone)}?", err=True)


def _note(outcome: "Outcome") -> str:
    if outcome.revision is None:
        said = "everything is like this already"
    elif outcome.problem:
        said = f"revision {outcome.revision.number} was taken, but {outcome.problem}"
    else:
        said = f"revision {outcome.revision.number} {'runs' if outcome.revision.settled else 'was taken'}"
    return said + (f"; left there though rendered no more: {', '.join(outcome.left)} (--prune)" if outcome.left else "")


def _change(change: "Change") -> dict[str, str]:
    from perenne.delivery.clusters.kinds import named

    return {"object": named(change.item), "change": change.what}


def _differences(changes: "Sequence[Change]") -> str:
    from perenne.delivery.clusters.applying import meaning
    from perenne.delivery.clusters.kinds import named
    from perenne.delivery.clusters.writing import diff, to_yaml

    texts = []
    for change in changes:
        if change.what in ("change", "create") and change.wanted is not None:
            before = to_yaml([meaning(change.live)]) if change.live is not None else ""
            texts.append(diff(before, to_yaml([meaning(change.wanted)]), named(change.item), "would be"))
    return "\n".join(text for text in texts if text)


def _row(item: "Revision") -> dict[str, Any]:
    from perenne.core.clock import format_time

    return {
        "revision": item.number,
        "where": f"{item.cluster}/{item.namespace}",
        "state": "settled" if item.settled else item.state.value,
        "version": item.version,
        "image": item.image,
        "began": format_time(item.began),
        "by": item.by,
        "undoes": item.undoes or "",
        "reason": item.reason,
        "problem": item.problem,
    }
