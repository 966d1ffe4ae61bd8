"""`perenne deploy render`: manifests of a deployment, the control plane's own, and clusters as code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.delivery.clusters.model import Object, Plan

C = TypeVar("C", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--image", metavar="REF@sha256:…", default="", help="The image by its digest; else the newest that was pushed."),
    click.option("--allow-tag", is_flag=True, help="Take an image named by a tag: what runs may then change unseen."),
    click.option("--namespace", default="", help="Where it runs."),
    click.option("--replicas", default="2:10", show_default=True, metavar="N|MIN:MAX", help="How many pods."),
    click.option("--tls-secret", default="", metavar="NAME", help="The Secret of the server's certificate (kubernetes.io/tls)."),
    click.option("--proxy", "proxies", multiple=True, metavar="NETWORK", help="A proxy with the certificate instead; repeat it."),
    click.option("--token-secret", default="", metavar="NAME", help="The Secret whose tokens.json says which tokens count."),
    click.option("--env-secret", default="", metavar="NAME", help="The Secret whose keys are further environment variables."),
    click.option("--pull-secret", default="", metavar="NAME", help="The Secret by which the image is pulled."),
    click.option("--name", "names", multiple=True, help="A further name by which callers reach it; repeat it."),
    click.option("--allow-from", "callers", multiple=True, metavar="NAMESPACE", help="Who else may call, `*` for all; repeat."),
    click.option("--otlp", "telemetry", default="", metavar="URL", help="Where traces go, by OTLP over HTTP."),
    click.option("--service-monitor", "monitor", is_flag=True, help="Write a ServiceMonitor for the Prometheus operator."),
    click.option("--prometheus", default="http://prometheus.monitoring.svc:9090", help="Where Argo Rollouts asks for figures."),
    click.option("--kserve", is_flag=True, help="An InferenceService of KServe instead of a Deployment."),
    click.option("--argo", is_flag=True, help="An Argo Rollout instead of a Deployment."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="More: cpu=500m, memory=256Mi, env.NAME=VALUE …"),
)  # fmt: skip


def plan_options(command: C) -> C:
    """Give a command the options that say what is to run."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("name", required=False)
@click.option(
    "--kubernetes", is_flag=True, help="Manifests of the deployment NAME; this is what is rendered if nothing else is said."
)
@click.option("--control-plane", is_flag=True, help="Manifests of `perenne up` itself, with PostgreSQL by a URL from a Secret.")
@click.option("--cluster", metavar="KIND", help="A cluster as code: gke, aks, kind or k3s.")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write files here: a base and overlays.")
@click.option("--diff", "shows_diff", is_flag=True, help="Show what differs from what was applied last.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 6 if the files in --to are out of date.")
@click.option("--database-secret", default="perenne-database", show_default=True, help="Its key `url` is the database's URL.")
@click.option("--objects", "object_store", default="", metavar="URL", help="The control plane's object store.")
@click.option("--objects-secret", default="", metavar="NAME", help="Its keys are the environment that reaches the object store.")
@click.option("--claim", default="", metavar="SIZE", help="A volume for the control plane's logs and spool.")
@click.option("--workers", default=1, show_default=True, help="Replicas of `perenne worker`.")
@plan_options
@click.pass_obj
def render(
    workspace: Workspace, /, name: str | None, folder: Path | None, check: bool, shows_diff: bool, **options: Any
) -> Result:
    """Write what a cluster needs: manifests of NAME, of the control plane, or the cluster itself as code.

    \b
    Examples:
      perenne deploy render churn --image ghcr.io/acme/churn@sha256:4f… --tls-secret churn-tls
      perenne deploy render churn --proxy 10.0.0.0/8 --to k8s/churn
      perenne deploy render churn --proxy 10.0.0.0/8 --to k8s/churn --check
      perenne deploy render --control-plane --image ghcr.io/acme/perenne@sha256:9a… --tls-secret tls
      perenne deploy render --cluster gke --to clusters/gke
    """
    what = [kind for kind in ("kubernetes", "control_plane", "cluster") if options[kind]] or ["kubernetes"]
    if len(what) > 1:
        raise click.UsageError("one of --kubernetes, --control-plane and --cluster")
    if check and folder is None:
        raise click.UsageError("--check needs --to: the folder that may be out of date")
    if what == ["cluster"]:
        return _cluster(options["cluster"], folder, check)
    if what == ["control_plane"]:
        return _written(folder, check, {"perenne.yaml": _whole(_control_objects(options))})
    plan = make_plan(workspace, _named(name), options)
    if shows_diff:
        return _difference(workspace, plan)
    return _written(folder, check, _files(plan, folder))


def make_plan(workspace: Workspace, name: str, options: Mapping[str, Any]) -> "Plan":
    """Return the plan of a deployment by the options of a command. Raises PerenneError."""
    from perenne.delivery.clusters.model import Shape
    from perenne.delivery.clusters.planning import Wishes, plan_deployment

    if options["kserve"] and options["argo"]:
        raise click.UsageError("one of --kserve and --argo")
    shape = Shape.KSERVE if options["kserve"] else Shape.ARGO if options["argo"] else Shape.DEPLOYMENT
    same = (
        "allow_tag",
        "tls_secret",
        "proxies",
        "token_secret",
        "env_secret",
        "pull_secret",
        "names",
        "callers",
        "telemetry",
        "monitor",
        "prometheus",
    )
    wishes = Wishes(
        image=options["image"],
        namespace=options["namespace"],
        shape=shape,
        replicas=options["replicas"],
        settings=options["settings"],
        rest={key: options[key] for key in same},
    )
    with workspace.database.read() as tx:
        return plan_deployment(tx, workspace.objects, name, wishes)


def _named(name: str | None) -> str:
    if not name:
        raise click.UsageError("which deployment? `perenne deploy list` shows them")
    return name


def _files(plan: "Plan", folder: Path | None) -> dict[str, str]:
    from perenne.delivery.clusters.kustomize import kustomization
    from perenne.delivery.clusters.manifests import objects

    return {"": _whole(objects(plan))} if folder is None else kustomization(plan)


def _whole(items: "list[Object]") -> str:
    from perenne.delivery.clusters.writing import GENERATED, to_yaml

    return f"{GENERATED}\n{to_yaml(items)}"


def _control_objects(options: Mapping[str, Any]) -> "list[Object]":
    from perenne.delivery.clusters.manifests.control_plane import ControlPlan, control_objects
    from perenne.delivery.clusters.planning import split_settings

    same = ["image", "allow_tag", "database_secret", "objects_secret", "claim", "workers", "tls_secret", "pull_secret", "proxies"]
    said = split_settings(options["settings"])[1]
    plan = ControlPlan(
        labels=said.get("labels", {}),
        annotations=said.get("annotations", {}),
        namespace=options["namespace"] or "perenne",
        objects=options["object_store"],
        **{key: options[key] for key in [*same, "names"]},
    )
    return control_objects(plan)


def _cluster(kind: str, folder: Path | None, check: bool) -> Result:
    from perenne.delivery.clusters.infrastructure import files_of

    if folder is None:
        raise click.UsageError("--cluster needs --to: the folder to write to")
    return _written(folder, check, files_of(kind))


def _written(folder: Path | None, check: bool, files: dict[str, str]) -> Result:
    """Write files or say which are out of date; without a folder there is one text, which is the answer."""
    from perenne.delivery.clusters.writing import outdated, write_files

    if folder is None:
        return Result("".join(files.values()).rstrip("\n"))
    if not check:
        changed = write_files(folder, files)
        note = f"{len(changed)} of {len(files)} files written" if changed else "every file was like this already"
        return Result([{"file": name, "change": "written" if name in changed else "same"} for name in files], note=note)
    stale = outdated(folder, files)
    rows = [{"file": name, "state": "out of date" if name in stale else "as rendered"} for name in files]
    note = "render again without --check" if stale else "everything is as rendered"
    return Result(rows, exit_code=EXIT_FINDINGS if stale else 0, note=note)


def _difference(workspace: Workspace, plan: "Plan") -> Result:
    from perenne.delivery.clusters.manifests import objects
    from perenne.delivery.clusters.revisions import last_manifests
    from perenne.delivery.clusters.writing import diff, to_yaml

    before, what = last_manifests(workspace, plan.deployment)
    text = diff(to_yaml(before), to_yaml(objects(plan)), what, "now")
    return Result(text, exit_code=0, note="" if text else f"nothing differs from {what}")
