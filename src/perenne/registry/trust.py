"""Whose packages are served: signatures made when a version is registered, judged before it is served, and pickles.

Every package that is registered is signed with the key of this installation, over every file it has, compiled forms included. A
signature counts until its key is withdrawn. What is asked of packages is a policy of the installation and of each project; the
stricter one holds. A pickle is loaded only if somebody vouched for the very package, or if this registry has signed it and the
policy allows that; what a scanner says is no reason to load one.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from perenne import inference
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError, Unavailable
from perenne.core.hashing import is_digest
from perenne.inference import SignatureState, Signed, TrustedKey
from perenne.registry import keys, store, trust_store
from perenne.registry.model import Evidence, Verdict, Version, VersionForm
from perenne.registry.service import get_version, mark_waiting
from perenne.registry.trust_store import EVERYWHERE, KeptKey, Pickles, Requirement, Signature, TrustedTree, TrustPolicy
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction
from perenne.storage.trees import get_tree
from perenne.storage.workspace import Workspace

CHECK = "signature"
"""How evidence about signatures is called."""

SHORT = 16
_STRICTNESS = ("off", "warn", "on")
mark = trust_store.mark


class Made(msgspec.Struct, frozen=True):
    """A signature that was made and is still to be kept: over which package, by which key, as which bundle."""

    tree: str
    key: TrustedKey
    bundle: bytes


class Permission(msgspec.Struct, frozen=True):
    """Whether something is allowed, and why or why not."""

    allowed: bool
    reason: str


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """What a release says of a package.

    Attributes
    ----------
    signed : Signed
        The verdict when it was released.
    bundle : bytes or None
        The signature it rests on.
    manifest : str
        SHA-256 of its `package.json`, which names every other file that is loaded.
    unpickle : bool
        Whether pickles in it may be loaded.
    """

    signed: Signed
    bundle: bytes | None
    manifest: str
    unpickle: bool


def make(workspace: Workspace, name: str, tree: str) -> Made | None:
    """Sign a package that is to be registered, before the transaction that does so; None without the library for it.

    Raises
    ------
    PerenneError
        If there is a key that cannot be used: a version that should be signed is not registered without.
    """
    if not inference.signing.available():
        return None
    key = keys.signing_key(workspace.settings.home)
    bundle = key.sign(name, _files(workspace.objects, tree))
    return Made(tree, TrustedKey(key.id, "own", "this installation", key.pem), bundle)


def keep(tx: Transaction, actor: Principal, version: Version, made: Made | None, reason: str = "") -> Signed:
    """Keep the signature of a version beside it, with the evidence; or that nobody has signed it."""
    if made is None:
        found = Signed(state=SignatureState.UNSIGNED, detail="signatures need the extra: pip install 'perenne[sign]'")
        _deposit(tx, version, found, actor.name)
        return found
    if made.tree != version.tree:
        raise Conflict(f"{version.id} is another package", code="signature.tree", hint="sign the version itself")
    known = trust_store.find_key(tx, made.key.id)
    if known is None:
        _add_key(tx, actor, made.key)
    elif known.withdrawn is not None:
        raise Conflict(
            f"the signing key {known.id[:SHORT]} was withdrawn",
            code="signature.withdrawn",
            hint=f"`perenne model keys --rotate` makes another one; or change {keys.VARIABLE}",
        )
    now = SystemClock().now()
    trust_store.keep_signature(tx, Signature(version.tree, made.key.id, made.bundle.decode(), now, actor.name))
    after = {"key": made.key.id, "tree": version.tree}
    audit.record(tx, actor, "version.sign", "version", version.id, after=after, reason=reason)
    (found,) = recorded(tx, [version.tree]).values()
    _deposit(tx, version, found, actor.name)
    return found


def keep_new(tx: Transaction, actor: Principal, version: Version, made: Made | None) -> None:
    """Keep the signature of a version that was just registered, unless its package has a valid one from before."""
    (before,) = recorded(tx, [version.tree]).values()
    if not before.valid:
        keep(tx, actor, version, made)


def sign(workspace: Workspace, actor: Principal, what: str | Version, *, bundle: bytes | None = None, reason: str = "") -> Signed:
    """Sign a version with the key of this installation, or keep a signature that somebody else made of it.

    Parameters
    ----------
    what : str or Version
        Its id; or, of what a client registered, the version as it is served (`packages.as_served`).
    bundle : bytes, optional
        Somebody else's signature.

    Raises
    ------
    Conflict
        If it is no package, or the signature is none of its files by a key that is trusted.
    """
    version = _packaged(workspace, what)
    require(actor, Action.LOG if bundle is None else Action.DEPLOY, version.project)
    made = _theirs(workspace, version, bundle) if bundle is not None else make(workspace, version.id, version.tree)
    if made is None:
        raise Unavailable(
            "signatures need the library cryptography", code="signature.library", hint="pip install 'perenne[sign]'"
        )
    return workspace.database.write(lambda tx: keep(tx, actor, version, made, reason))


def _packaged(workspace: Workspace, what: str | Version) -> Version:
    if isinstance(what, Version):
        return what
    with workspace.database.read() as tx:
        version = get_version(tx, what)
    if version.form is not VersionForm.PACKAGE:
        raise Conflict(f"{what} is no package", code="signature.form", hint="`perenne deploy version` packages it first")
    return version


def _theirs(workspace: Workspace, version: Version, bundle: bytes) -> Made:
    with workspace.database.read() as tx:
        trusted = {key.id: key for key in trusted_keys(tx)}
    found = inference.signing.verify(bundle, _files(workspace.objects, version.tree), list(trusted.values()))
    if not found.valid:
        raise Conflict(
            f"the signature of {version.id} is {found.state.value}: {found.detail}",
            code="signature.refused",
            hint="`perenne model keys --trust FILE` lets a key count",
        )
    return Made(version.tree, trusted[found.key], bundle)


def recorded(tx: Transaction, trees: Iterable[str]) -> dict[str, Signed]:
    """Tell of packages by whom they are signed, as recorded when that was verified, and by the keys that count now."""
    found = trust_store.signers(tx, trees)
    return {tree: _of_keys(signers) for tree, signers in found.items()}


def _of_keys(signers: Sequence[KeptKey]) -> Signed:
    if not signers:
        return Signed(state=SignatureState.UNSIGNED, detail="nobody has signed it")
    good = sorted((key for key in signers if key.withdrawn is None), key=lambda key: key.kind != "own")
    key = good[0] if good else signers[0]
    own = key.kind == "own"
    name = f"this registry's key {key.id[:SHORT]}" if own else f"the key of {key.name}"
    if not good:
        detail = f"{name}, which was withdrawn"
        return Signed(state=SignatureState.UNTRUSTED, own=own, key=key.id, signer=key.name, detail=detail)
    return Signed(state=SignatureState.VALID, own=own, key=key.id, signer=key.name, detail=f"signed with {name}")


def verify(workspace: Workspace, what: str | Version) -> Signed:
    """Judge the signature of a version over the files in the object store. Raises NotFound, Conflict if it is no package."""
    version = _packaged(workspace, what)
    (found,) = seals(workspace, [version.tree]).values()
    return found.signed


def seals(workspace: Workspace, trees: Iterable[str], project: str = EVERYWHERE) -> dict[str, Seal]:
    """Judge the signatures of packages over their files in the object store, for whoever releases them to be served."""
    wanted = list(dict.fromkeys(trees))
    with workspace.database.read() as tx:
        bundles, trusted, asked = trust_store.signatures(tx, wanted), trusted_keys(tx), policy(tx, project)
        vouched = trust_store.find_trusted(tx, wanted)
    made = {}
    for tree in wanted:
        files = _files(workspace.objects, tree)
        signed, bundle = _best(files, bundles[tree], trusted)
        unpickle = tree in vouched or (signed.valid and signed.own and asked.pickles == "signed")
        made[tree] = Seal(signed=signed, bundle=bundle, manifest=files.get("package.json", ""), unpickle=unpickle)
    return made


def _best(files: dict[str, str], bundles: Sequence[Signature], trusted: Sequence[TrustedKey]) -> tuple[Signed, bytes | None]:
    """Return the verdict on the first signature that is valid, our own before others'; on the newest if none is."""
    judged = [(inference.signing.verify(item.bundle.encode(), files, trusted), item.bundle.encode()) for item in bundles]
    judged.sort(key=lambda pair: (not pair[0].valid, not pair[0].own))
    return judged[0] if judged else (inference.signing.verify(None, files, trusted), None)


def may_unpickle(workspace: Workspace, tree: str, project: str = EVERYWHERE) -> Permission:
    """Tell whether a pickle in a package may be loaded: somebody vouched for it, or this registry signed it and may do so."""
    with workspace.database.read() as tx:
        asked, vouched = policy(tx, project), trust_store.find_trusted(tx, [tree]).get(tree)
    if vouched is not None:
        return Permission(True, f"{vouched.given_by} vouched for it: {vouched.reason or 'no reason given'}")
    if asked.pickles != "signed":
        return Permission(False, "the policy says that nothing is unpickled")
    (found,) = seals(workspace, [tree], project).values()
    if found.signed.valid and found.signed.own:
        return Permission(True, found.signed.detail)
    why = "the key is not this registry's" if found.signed.valid else found.signed.detail
    return Permission(False, f"{found.signed.state.value}: {why}")


def is_vouched(tx: Transaction, digest: str) -> bool:
    """Tell whether somebody vouched for code of this digest."""
    return digest in trust_store.find_trusted(tx, [digest])


def vouch(tx: Transaction, actor: Principal, tree: str, *, reason: str) -> TrustedTree:
    """Vouch for a package by its digest: pickles in it may be loaded. Raises Invalid if it is no digest."""
    require(actor, Action.ADMINISTER)
    if not is_digest(tree):
        raise Invalid("that is no digest of a package", code="trust.digest", hint="`perenne model show NAME@N` has the tree")
    row = TrustedTree(tree, reason, SystemClock().now(), actor.name)
    trust_store.keep_trusted(tx, row)
    audit.record(tx, actor, "trust.vouch", "package", tree, after={"tree": tree}, reason=reason)
    return row


def carry_over(tx: Transaction, actor: Principal, source: str, tree: str, *, made_of: str) -> None:
    """Let what somebody vouched for as it was registered be vouched for as the package that was made of it.

    Raises
    ------
    Denied
        If nobody vouched for the source yet, and the actor may not.
    """
    known = trust_store.find_trusted(tx, [source]).get(source)
    if known is None:
        vouch(tx, actor, tree, reason=f"made of {made_of}, digest {source}")
        return
    row = TrustedTree(tree, f"made of {made_of}: {known.reason}", SystemClock().now(), known.given_by)
    trust_store.keep_trusted(tx, row)
    audit.record(tx, actor, "trust.vouch", "package", tree, after={"tree": tree, "source": source}, reason=row.reason)


def doubt(tx: Transaction, actor: Principal, tree: str, *, reason: str = "") -> None:
    """Take back that somebody vouched for a package. Raises NotFound if nobody did."""
    require(actor, Action.ADMINISTER)
    if not trust_store.drop_trusted(tx, tree):
        raise NotFound("nobody vouched for that package", code="trust.digest", hint="`perenne audit list` tells who did what")
    audit.record(tx, actor, "trust.doubt", "package", tree, before={"tree": tree}, reason=reason)


def require_signed(tx: Transaction, version: Version) -> None:
    """Go on only if a version is signed as its project asks. Raises Conflict."""
    if policy(tx, version.project).require != "on":
        return
    (found,) = recorded(tx, [version.tree]).values()
    if not found.valid:
        raise refused(version.id, found)


def refused(what: str, found: Signed) -> PerenneError:
    """Say that the signature of a package is not what is asked for."""
    return Conflict(
        f"the signature of {what} is {found.state.value}: {found.detail}",
        code="model.signature",
        hint=f"`perenne model sign {what}`, once you know where it is from; or `perenne model trust --require warn`",
    )


def policy(tx: Transaction, project: str = EVERYWHERE) -> TrustPolicy:
    """Return what is asked of a project's packages: of what the installation and the project say, the stricter."""
    stated = trust_store.policies(tx)
    general = stated.get(EVERYWHERE, TrustPolicy())
    own = stated.get(project, general)
    wanted = max(general.require, own.require, key=_STRICTNESS.index)
    return TrustPolicy(wanted, "signed" if general.pickles == own.pickles == "signed" else "never")


def state_policy(
    tx: Transaction,
    actor: Principal,
    *,
    project: str = EVERYWHERE,
    demand: Requirement | None = None,
    pickles: Pickles | None = None,
    reason: str = "",
) -> TrustPolicy:
    """State what is asked of packages, of the installation's or of a project's; what is not given stays. Returns what holds."""
    require(actor, Action.EDIT_PROJECT if project else Action.ADMINISTER, project or None)
    stated = trust_store.policies(tx)
    before = stated.get(project, stated.get(EVERYWHERE, TrustPolicy()))
    after = TrustPolicy(demand or before.require, pickles or before.pickles)
    trust_store.keep_policy(tx, project, after, SystemClock().now(), actor.name)
    entity = ("project", project) if project else ("installation", "trust")
    audit.record(tx, actor, "trust.state", *entity, before=before, after=after, reason=reason)
    return policy(tx, project)


def all_keys(tx: Transaction) -> list[KeptKey]:
    """List the keys whose signatures count, or did, oldest first."""
    return trust_store.keys(tx)


def trusted_keys(tx: Transaction) -> list[TrustedKey]:
    """Return the keys whose signatures count now."""
    return [key.trusted() for key in trust_store.keys(tx) if key.withdrawn is None]


def trust_key(tx: Transaction, actor: Principal, pem: bytes, name: str, *, reason: str = "") -> KeptKey:
    """Let another's key, or the certificates of an authority, count. Raises Invalid if it is none, Conflict if it does."""
    require(actor, Action.ADMINISTER)
    found = inference.signing.read_public(pem, name)
    known = trust_store.find_key(tx, found.id)
    if known is None:
        return _add_key(tx, actor, found, reason)
    if known.withdrawn is None:
        raise Conflict(
            f"the key {known.id[:SHORT]} counts already", code="signature.known", hint="`perenne model keys` lists them"
        )
    trust_store.withdraw_key(tx, known.id, None)
    audit.record(tx, actor, "key.trust", "key", known.id, after={"name": known.name, "kind": known.kind}, reason=reason)
    return msgspec.structs.replace(known, withdrawn=None)


def rotate(workspace: Workspace, actor: Principal, *, reason: str = "") -> KeptKey:
    """Make a new key to sign with; what the former one has signed stays valid until it is withdrawn."""
    require(actor, Action.ADMINISTER)
    made = keys.make_another(workspace.settings.home)
    found = TrustedKey(made.id, "own", "this installation", made.pem)
    return workspace.database.write(lambda tx: _add_key(tx, actor, found, reason))


def withdraw(tx: Transaction, actor: Principal, identity: str, *, reason: str) -> list[str]:
    """Let the signatures of a key count no more, and say so of every version that nobody else has signed; return those.

    Raises
    ------
    NotFound
        If there is no key whose id begins so.
    Conflict
        If several do, or it was withdrawn before.
    """
    require(actor, Action.ADMINISTER)
    found = [key for key in trust_store.keys(tx) if len(identity) >= 8 and key.id.startswith(identity)]
    if not found:
        raise NotFound(f"there is no key {identity[:70]!r}", code="signature.key_unknown", hint="`perenne model keys` lists them")
    if len(found) > 1 or found[0].withdrawn is not None:
        what = "several keys begin so" if len(found) > 1 else "it was withdrawn before"
        raise Conflict(f"key {identity[:70]}: {what}", code="signature.key", hint="`perenne model keys` lists them")
    key = found[0]
    trust_store.withdraw_key(tx, key.id, SystemClock().now())
    audit.record(tx, actor, "key.withdraw", "key", key.id, before={"name": key.name, "kind": key.kind}, reason=reason)
    trees = trust_store.signed_by(tx, key.id)
    bare = {tree: verdict for tree, verdict in recorded(tx, trees).items() if not verdict.valid}
    named = trust_store.versions_with(tx, bare)
    touched = store.some_versions(tx, [identity for ids in named.values() for identity in ids])
    for version in touched:
        _deposit(tx, version, bare[version.tree], f"withdrawal of key {key.id[:SHORT]}")
    return [version.id for version in touched]


def _add_key(tx: Transaction, actor: Principal, key: TrustedKey, reason: str = "") -> KeptKey:
    row = KeptKey(id=key.id, kind=key.kind, name=key.name, pem=key.pem, created=SystemClock().now(), created_by=actor.name)
    trust_store.insert_key(tx, row)
    what: dict[str, Any] = {"name": key.name, "kind": key.kind}
    audit.record(tx, actor, "key.make" if key.kind == "own" else "key.trust", "key", key.id, after=what, reason=reason)
    return row


def evidence(found: Signed) -> Evidence:
    """Return a verdict as evidence; what could not be looked at is unknown, and so is what nobody has signed."""
    verdicts = {
        SignatureState.VALID: Verdict.PASS,
        SignatureState.BROKEN: Verdict.FAIL,
        SignatureState.UNTRUSTED: Verdict.FAIL,
    }
    return Evidence(check=CHECK, verdict=verdicts.get(found.state, Verdict.UNKNOWN), detail=found.detail)


def _deposit(tx: Transaction, version: Version, found: Signed, by: str) -> None:
    store.insert_evidence(tx, version, [evidence(found)], by, SystemClock().now())
    mark_waiting(tx, version)


def _files(objects: ObjectStore, tree: str) -> dict[str, str]:
    return {file.path: file.digest for file in get_tree(objects, tree).files}


def bundle_of(tx: Transaction, what: str | Version) -> bytes:
    """Return the newest signature of a version as a file; our own before others'. Raises NotFound if nobody has signed it."""
    version = get_version(tx, what) if isinstance(what, str) else what
    found = trust_store.signatures(tx, [version.tree])[version.tree]
    own = {key.id for key in trust_store.keys(tx) if key.kind == "own"}
    if not found:
        raise NotFound(f"nobody has signed {version.id}", code="signature.none", hint=f"`perenne model sign {version.id}`")
    return min(found, key=lambda item: item.key not in own).bundle.encode()
