"""`perenne package rebuild` and `outdated`: a model kept alive on newer runtimes and libraries."""

from pathlib import Path
from typing import Any

import click

from perenne import registry
from perenne.auth.principals import local_principal
from perenne.core.errors import Invalid
from perenne.core.json import plain
from perenne.core.results import Result
from perenne.delivery.images import ageing
from perenne.delivery.images.bases import HOST
from perenne.delivery.images.commands import base_option, making_options, shown, taken, told
from perenne.delivery.images.rebuilding import Rebuilt, Upgrade, rebuild
from perenne.delivery.images.registries import Way
from perenne.registry import get_version
from perenne.storage.workspace import Workspace


@click.command("rebuild")
@click.argument("version")
@click.option("--rebuild", "flag", is_flag=True, expose_value=False, help="The verb itself; may stand first.")
@base_option((HOST,))
@click.option("--upgrade", "libraries", multiple=True, metavar="LIB=VERSION", help="A library that is to be newer; repeat it.")
@click.option("--upgrade-from", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Wheels to install it from.")
@click.option("--roll-out", "deployment", default="", metavar="DEPLOYMENT", help="Let a deployment run the new image.")
@click.option("--no-gate", is_flag=True, help="Do not run the gates of the version anew.")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@making_options
@click.pass_obj
def rebuild_command(workspace: Workspace, /, version: str, **options: Any) -> Result:
    """Make a further image of a version on a newer base or newer libraries, if the model answers as before and its gates pass.

    Exits with 6 if it does not, 7 if that cannot be told; then no image is made.

    \b
    Examples:
      perenne package rebuild churn@3 --upgrade onnxruntime=1.32.0 --reason "security fix"
      perenne package rebuild churn@3 --base python-root.tar --to churn.tar --roll-out churn
    """
    with workspace.database.read() as tx:
        found = registry.placing.as_served(tx, get_version(tx, version))
    target, choice = taken(options)
    source = options["upgrade_from"]
    upgrade = Upgrade(options["libraries"], source and source.absolute())
    with told() as hear:
        made = rebuild(
            workspace,
            local_principal(),
            found,
            choice,
            upgrade,
            target,
            hear,
            deployment=options["deployment"],
            gates=not options["no_gate"],
            reason=options["reason"],
        )
    return Result(_value(made), made.code, _said(made))


def _value(made: Rebuilt) -> dict[str, Any]:
    image = {} if made.image is None else shown(made.image) | {"place": made.place, "deployment": made.image.deployment}
    return {
        **image,
        "before": made.before and made.before.digest,
        "changes": plain(made.changes),
        "evidence": plain(made.evidence),
        "gate": made.gated.verdict,
        "held_by": list(made.gated.held_by),
    }


def _said(made: Rebuilt) -> str:
    if made.code:
        held = ", ".join(made.gated.held_by)
        return f"no image was made: {f'held back by {held}' if held else 'it does not answer as before, or nobody can tell'}"
    if made.before is not None and made.image is not None and made.before.digest == made.image.digest:
        return "nothing is newer: it is the same image"
    return f"{len(made.changes)} components differ from the build before" if made.before else "it is the first build"


@click.command("outdated")
@click.option("--outdated", "flag", is_flag=True, expose_value=False, help="The verb itself; may stand first.")
@click.option("--than", "named", multiple=True, metavar="LIB=VERSION", help="A version that there is; repeat it.")
@click.option("--lock", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Versions that there are, in a lock.")
@click.option("--plain-http", is_flag=True, help="Ask a registry elsewhere than on this machine without TLS.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Whom to trust for TLS, in PEM.")
@click.pass_obj
def outdated(workspace: Workspace, named: tuple[str, ...], lock: Path | None, plain_http: bool, ca: Path | None) -> Result:
    """Tell which images that answer people have an older base, older libraries, or something known to be wrong with them.

    Libraries are held against a lock, versions that are named, or what is installed here. Exits with 6 if an image is out of
    date, 7 if the source of advisories could not tell.

    \b
    Examples:
      perenne package outdated
      perenne package outdated --lock requirements.lock
    """
    than = ({} if lock is None else ageing.read_lock(lock)) | dict(_named(text) for text in named)
    found = ageing.look(workspace, local_principal(), than, Way(plain_http, ca))
    rows = [
        {
            "deployment": age.deployment,
            "version": age.version,
            "base": age.base,
            "older": "; ".join(f"{one.name} {one.before} < {one.after}" for one in age.older),
            "vulnerabilities": age.vulnerabilities.verdict.value,
            "detail": "; ".join(text for text in (age.vulnerabilities.detail, age.problem) if text),
        }
        for age in found
    ]
    count = sum(age.outdated for age in found)
    return Result(plain(found), ageing.exit_code(found), f"{count} of {len(found)} images are out of date", rows)


def _named(text: str) -> tuple[str, str]:
    name, _, version = text.replace("==", "=").partition("=")
    if not name or not version:
        raise Invalid(f"{text[:100]!r} names no version", code="image.than", hint="write numpy=2.5.0")
    return name.lower().replace("_", "-"), version
