"""A remote opened: from its section of the config, or from a URL."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from perenne.core.errors import Invalid, NotFound
from perenne.data.versions.layers import Settings, remotes
from perenne.data.versions.remotes.options import SCHEMES, Options, read_options
from perenne.data.versions.remotes.port import Remote
from perenne.data.versions.remotes.refusals import bad_option

Ask = Callable[[str], str]
"""Asks a person for a secret, by a line that says for what."""


class Named(msgspec.Struct, frozen=True):
    """A remote of a repository's config, opened.

    Attributes
    ----------
    name : str
        Its name.
    remote : Remote
        What reaches it.
    jobs : int
        How many transfers at once.
    identity : str
        What tells it from others.
    version_aware, worktree : bool
        Whether objects lie there under their own names.
    """

    name: str
    remote: Remote
    jobs: int
    identity: str
    version_aware: bool = False
    worktree: bool = False


def open_named(settings: Settings, name: str | None = None, *, ask: Ask | None = None, lasting: bool = True) -> Named:
    """Open a remote of a repository.

    Parameters
    ----------
    settings : mapping
        The repository's config.
    name : str, optional
        The remote's; that of ``core.remote`` if not given.
    ask : callable, optional
        Asks for secrets that the config says to ask for.
    lasting : bool
        Whether a folder's disk is asked to keep what is put there.

    Raises
    ------
    NotFound
        There is no such remote, or none is the default.
    Invalid
        Its section has something that cannot be honoured.
    """
    known = remotes(settings)
    name = name or settings.get("core", {}).get("remote")
    if name is None:
        raise NotFound("no remote is given, and none is the default", code="data.no_remote", hint=_hint(known))
    name = name.lower()
    if name not in known:
        raise NotFound(f"there is no remote {name!r}", code="data.no_remote", hint=_hint(known))
    keys, url = resolve(known, name)
    remote, options = _open(name, url, keys, ask, lasting)
    own = options.own
    return Named(
        name=name,
        remote=remote,
        jobs=own.get("jobs") or remote.traits.jobs,
        identity=" ".join([url, *(f"{key}={keys[key]}" for key in _TELLING if key in keys)]),
        version_aware=own.get("version_aware", False),
        worktree=own.get("worktree", False),
    )


_TELLING = ("endpointurl", "account_name", "port", "region", "oss_endpoint")


def _hint(known: Mapping[str, Any]) -> str:
    there = f"there is {', '.join(known)}; " if known else ""
    return f"{there}`perenne data remote add -d NAME URL` adds one and makes it the default"


def resolve(known: Mapping[str, Mapping[str, str]], name: str) -> tuple[dict[str, str], str]:
    """Return the keys and the URL of a remote, with what a ``remote://other/path`` refers to put in.

    Raises
    ------
    Invalid
        It has no URL, refers to one that is not there, or to itself.
    """
    keys: dict[str, str] = {}
    path, seen = "", [name]
    while True:
        section = known[seen[-1]]
        keys = {**section, **keys}
        url = section.get("url", "")
        if not url:
            raise Invalid(
                f"the remote {seen[-1]!r} has no url", code="data.remote_option", hint="`perenne data remote list` shows them"
            )
        if not url.startswith("remote://"):
            keys["url"] = url
            return keys, f"{url.rstrip('/')}/{path}" if path else url
        other, _, below = url.removeprefix("remote://").partition("/")
        path = f"{below.strip('/')}/{path}" if path else below.strip("/")
        other = other.lower()
        if other not in known or other in seen:
            raise Invalid(
                f"the remote {seen[-1]!r} refers to {other!r}, which is not there, or refers back",
                code="data.remote_option",
                hint="`perenne data remote list` shows them",
            )
        keys.pop("url")
        seen.append(other)


def open_url(url: str, keys: Mapping[str, str] | None = None, *, ask: Ask | None = None) -> Remote:
    """Open a URL, or a local path, as a remote whose top is there."""
    return _open("", url, dict(keys or {}), ask, True)[0]


def kind_of(url: str) -> str:
    """Return the kind of remote that a URL names.

    >>> kind_of("s3://bucket/data"), kind_of("/srv/store")
    ('s3', 'local')

    Raises
    ------
    Invalid
        Its scheme is unknown.
    """
    scheme, found, _ = url.partition("://")
    if not found or scheme == "file":
        return "local"
    kind = SCHEMES.get(scheme.lower())
    if kind is None:
        raise Invalid(f"no remote has URLs with {scheme}://", code="data.remote_option", hint=f"known: {', '.join(SCHEMES)}")
    return kind


def _open(name: str, url: str, keys: Mapping[str, str], ask: Ask | None, lasting: bool) -> tuple[Remote, Options]:
    kind = kind_of(url)
    options = read_options(name, kind, keys)
    _ask_secrets(name, kind, options, ask)
    if kind == "local":
        return _local(url, options, lasting), options
    if kind in ("ssh", "gdrive", "oss", "hdfs", "webhdfs"):
        from perenne.data.versions.remotes.others import open_other

        return open_other(name, kind, url, options), options
    from perenne.data.versions.remotes.clouds import open_cloud

    return open_cloud(name, kind, url, options), options


def _local(url: str, options: Options, lasting: bool) -> Remote:
    from perenne.data.versions.remotes.local import LocalRemote

    path = _path_of(url) if url.startswith("file://") else url
    shared = options.own.get("shared", "").lower()
    if shared not in ("", "group"):
        raise bad_option("", "shared", "can be nothing but group")
    return LocalRemote(os.path.abspath(os.path.expanduser(path)), shared=shared == "group", lasting=lasting)


def _path_of(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(url).path)


def _ask_secrets(name: str, kind: str, options: Options, ask: Ask | None) -> None:
    for key, secret in (("ask_password", "password"), ("ask_passphrase", "passphrase")):
        if not options.own.get(key):
            continue
        if ask is None:
            raise bad_option(name, key, "needs a terminal to ask on", f"put the {secret} into .dvc/config.local")
        target = options.given if kind == "ssh" else options.own
        target[secret] = ask(f"{secret} of the remote {name}")
