"""`perenne model sign|verify|keys|trust`."""

from pathlib import Path
from typing import Any

import click

from perenne import inference
from perenne.auth.principals import local_principal
from perenne.core.clock import format_time
from perenne.core.errors import Invalid
from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN, Result
from perenne.inference import SignatureState, Signed
from perenne.registry import placing, trust
from perenne.registry.service import get_version
from perenne.registry.trust_store import EVERYWHERE, KeptKey, Pickles, Requirement, TrustPolicy
from perenne.storage.files import write_atomically
from perenne.storage.workspace import Workspace

_REASON = click.option("--reason", default="", help="Why; kept in the audit trail.")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("version")
@click.option("--bundle", type=_FILE, help="Keep this signature, made elsewhere, instead of making one.")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write the signature to a file.")
@click.pass_obj
def sign(workspace: Workspace, version: str, bundle: Path | None, to: Path | None) -> Result:
    """Sign a version with this installation's key, or keep a signature that somebody else made of it.

    Signatures are OpenSSF model signing bundles: `model_signing verify key` checks them, too.

    \b
    Examples:
      perenne model sign churn@3
      perenne model sign churn@3 --to churn.sig
      perenne model sign churn@3 --bundle from-ci.sig
    """
    with workspace.database.read() as tx:
        served = placing.as_served(tx, get_version(tx, version))
        signed = trust.recorded(tx, [served.tree])[served.tree]
    if bundle is not None or to is None or not signed.valid:
        given = None if bundle is None else bundle.read_bytes()
        signed = trust.sign(workspace, local_principal(), served, bundle=given)
    if to is not None:
        with workspace.database.read() as tx:
            write_atomically(to, trust.bundle_of(tx, served))
    return Result(signed)


@click.command()
@click.argument("target", metavar="VERSION|FOLDER")
@click.option("--signature", type=_FILE, help="The signature of a folder; of a version, those that were kept are looked at.")
@click.pass_obj
def verify(workspace: Workspace, target: str, signature: Path | None) -> Result:
    """Verify the signature of a version, or of a folder. Exits with 6 if it is not valid, with 7 if there is none.

    \b
    Examples:
      perenne model verify churn@3
      perenne model verify ./churn --signature churn.sig
    """
    if signature is None:
        with workspace.database.read() as tx:
            served = placing.as_served(tx, get_version(tx, target))
        found = trust.verify(workspace, served)
    else:
        if not Path(target).is_dir():
            raise Invalid(f"{target[:100]} is no folder", code="signature.folder", hint="name the folder that was signed")
        with workspace.database.read() as tx:
            trusted = trust.trusted_keys(tx)
        found = inference.signing.verify(signature.read_bytes(), inference.signing.folder_files(Path(target)), trusted)
    return Result(found, _code(found))


def _code(found: Signed) -> int:
    if found.valid:
        return 0
    return EXIT_UNKNOWN if found.state in (SignatureState.UNSIGNED, SignatureState.UNKNOWN) else EXIT_FINDINGS


@click.command()
@click.option("--rotate", is_flag=True, help="Sign with a new key from now on; the former one stays valid.")
@click.option("--trust", "trusted", type=_FILE, help="Let another's public key, or an authority's certificates, count: PEM.")
@click.option("--withdraw", metavar="ID", help="Let the signatures of a key count no more.")
@click.option("--show", metavar="ID", help="Show the public key whose id begins so.")
@click.option("--name", help="How a key that is trusted is called; its file's name if not given.")
@_REASON
@click.pass_obj
def keys(
    workspace: Workspace,
    rotate: bool,
    trusted: Path | None,
    withdraw: str | None,
    show: str | None,
    name: str | None,
    reason: str,
) -> Any:
    """List the keys whose signatures count; make, trust or withdraw one.

    \b
    Examples:
      perenne model keys
      perenne model keys --rotate --reason yearly
      perenne model keys --trust partner.pub --name "the partner"
      perenne model keys --withdraw 3f2a91c07b --reason "the laptop was stolen"
    """
    if sum(map(bool, (rotate, trusted, withdraw, show))) > 1:
        raise Invalid("only one of --rotate, --trust, --withdraw and --show", code="usage", hint="call it again for the other")
    actor = local_principal()
    if rotate:
        return _row(trust.rotate(workspace, actor, reason=reason), "")
    if trusted:
        pem, called = trusted.read_bytes(), name or trusted.stem
        return _row(workspace.database.write(lambda tx: trust.trust_key(tx, actor, pem, called, reason=reason)), "")
    if withdraw:
        bare = workspace.database.write(lambda tx: trust.withdraw(tx, actor, withdraw, reason=reason))
        return Result({"withdrawn": withdraw, "versions": bare}, note=f"{len(bare)} versions are no longer validly signed")
    with workspace.database.read() as tx:
        found = trust.all_keys(tx)
    if show:
        return _shown([key for key in found if key.id.startswith(show)], show)
    newest = max((key.created for key in found if key.kind == "own"), default=0)
    return [_row(key, "signs" if key.kind == "own" and key.created == newest else "counts") for key in found]


def _row(key: KeptKey, state: str) -> dict[str, Any]:
    return {
        "key": key.id,
        "kind": key.kind,
        "name": key.name,
        "state": "withdrawn" if key.withdrawn else state or "counts",
        "created": format_time(key.created),
        "by": key.created_by,
    }


def _shown(found: list[KeptKey], text: str) -> Result:
    if len(found) != 1:
        raise Invalid(f"{len(found)} keys begin with {text[:70]!r}", code="signature.key", hint="`perenne model keys` lists them")
    return Result({**_row(found[0], ""), "pem": found[0].pem}, shown=found[0].pem.rstrip())


@click.command("trust")
@click.argument("digest", required=False)
@click.option("--drop", is_flag=True, help="Take back that somebody vouched for the package.")
@click.option("--require", "demand", type=click.Choice(["off", "warn", "on"]), help="Whether signatures are needed.")
@click.option("--pickles", type=click.Choice(["never", "signed"]), help="Whether what this registry signed may be unpickled.")
@click.option("--project", default=EVERYWHERE, help="State it for a project alone; the stricter one holds.")
@_REASON
@click.pass_obj
def trust_(
    workspace: Workspace,
    digest: str | None,
    drop: bool,
    demand: Requirement | None,
    pickles: Pickles | None,
    project: str,
    reason: str,
) -> Any:
    """Show or state what is asked of packages before they are served; or vouch for one, by its digest.

    A package that somebody vouched for may hold pickles, which run code when they are loaded: know where it is from.

    \b
    Examples:
      perenne model trust
      perenne model trust --require on
      perenne model trust --project churn --pickles signed
      perenne model trust 6b86b273ff34fce19d6b804eff5a3f57…b4b --reason "built by our team, ticket 17"
    """
    actor = local_principal()
    if digest is not None:
        if drop:
            workspace.database.write(lambda tx: trust.doubt(tx, actor, digest, reason=reason))
            return {"package": digest, "trusted": False}
        if not reason:
            raise Invalid("vouching for a package needs a reason", code="trust.reason", hint="--reason says where it is from")
        return workspace.database.write(lambda tx: trust.vouch(tx, actor, digest, reason=reason))
    if demand or pickles:
        return workspace.database.write(
            lambda tx: trust.state_policy(tx, actor, project=project, demand=demand, pickles=pickles, reason=reason)
        )
    with workspace.database.read() as tx:
        asked: TrustPolicy = trust.policy(tx, project)
    return asked
