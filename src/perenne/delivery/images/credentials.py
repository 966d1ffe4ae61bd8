"""Who perenne is to a registry: what `docker login`, `podman login` and their like have left on this machine."""

import base64
import binascii
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from perenne.core.errors import Invalid

DOCKER_HUB = "docker.io"
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
_HELPER = re.compile(r"[A-Za-z0-9_-]+")
_HELPER_SECONDS = 20
_BY_TOKEN = "<token>"  # noqa: S105


class Credentials(NamedTuple):
    """A name with a password, or a token by which a registry's token server knows us. Shown nowhere."""

    user: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of the header `Authorization`."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        """Say who, and nothing else."""
        return f"Credentials(user={self.user!r})"


def find(registry: str, name: str, environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """Look for what was kept for a registry, or for a part of it; None if nothing was.

    Raises
    ------
    Invalid
        If a file cannot be read; the message names it, and nothing that is in it.
    """
    for path in _files(environment):
        kept = _read(path)
        for key in _keys(registry, name):
            helper = (kept.get("credHelpers") or {}).get(key)
            if helper and (found := _ask(str(helper), key)):
                return found
            entry = (kept.get("auths") or {}).get(key)
            if isinstance(entry, dict) and (found := _decode(entry, path)):
                return found
        store = kept.get("credsStore")
        if store and (found := next((one for key in _keys(registry, "") if (one := _ask(str(store), key))), None)):
            return found
    return None


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or Path.home())
    named = environment.get("REGISTRY_AUTH_FILE")
    if named:
        if not Path(named).is_file():
            raise Invalid("REGISTRY_AUTH_FILE names no file", code="registry.credentials", hint="`podman login` writes one")
        yield Path(named)
        return
    runtime = environment.get("XDG_RUNTIME_DIR")
    places = [Path(runtime) / "containers" / "auth.json"] if runtime else []
    places += [home / ".config" / "containers" / "auth.json"]
    places += [Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"]
    yield from (path for path in places if path.is_file())


def _read(path: Path) -> dict[str, Any]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        raise Invalid(
            f"{path.name} cannot be read", code="registry.credentials", hint="is it JSON, as `docker login` writes it?"
        ) from None


def _keys(registry: str, name: str) -> list[str]:
    """Return how a registry may be called in such a file: the longest part of the name first."""
    parts = name.split("/")
    below = ["/".join((registry, *parts[:count])) for count in range(len(parts), 0, -1)] if name else []
    own = [registry, f"https://{registry}", f"https://{registry}/v1/", f"https://{registry}/v2/"]
    return [*below, *own, *(_HUB_KEYS if registry == DOCKER_HUB else ())]


def _decode(entry: dict[str, Any], path: Path) -> Credentials | None:
    token = str(entry.get("identitytoken") or "")
    try:
        user, _, password = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Invalid(f"{path.name} holds a damaged entry", code="registry.credentials", hint="log in again") from None
    user, password = user or str(entry.get("username") or ""), password.rstrip("\0") or str(entry.get("password") or "")
    return Credentials(user, password, token) if token or user else None


def _ask(helper: str, server: str) -> Credentials | None:
    """Ask a program that keeps passwords, as Docker does; None if it is not there, or knows nothing."""
    program = shutil.which(f"docker-credential-{helper}") if _HELPER.fullmatch(helper) else None
    if program is None:
        return None
    try:
        told = subprocess.run([program, "get"], input=server, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=True)
        found = msgspec.json.decode(told.stdout, type=dict[str, str])
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None
    user, secret = found.get("Username", ""), found.get("Secret", "")
    return Credentials(identity_token=secret) if user == _BY_TOKEN else Credentials(user, secret)
