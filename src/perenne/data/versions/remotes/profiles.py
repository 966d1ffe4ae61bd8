"""Who we are to AWS: the environment first, then a profile out of AWS's own files, as its command line reads them."""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error, SectionProxy
from typing import Any

from perenne.data.versions.remotes.refusals import bad_option

_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_ELSEWHERE = ("role_arn", "sso_session", "sso_start_url", "credential_process", "source_profile")


def profile_options(name: str, own: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what AWS's files say of keys, region and endpoint.

    Parameters
    ----------
    name : str
        The remote's, for messages.
    own : mapping
        Its keys ``profile``, ``credentialpath`` and ``configpath``.

    Raises
    ------
    Invalid
        The profile is not there, or gets its credentials in a way that is not supported.
    """
    asked = own.get("profile") or environment.get("AWS_PROFILE")
    if not asked and "credentialpath" not in own and environment.get("AWS_ACCESS_KEY_ID"):
        return {}
    profile = asked or "default"
    credentials = own.get("credentialpath") or environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    config = own.get("configpath") or environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
    secrets = _section(name, credentials, profile)
    settings = _section(name, config, profile if profile == "default" else f"profile {profile}")
    if secrets is None and settings is None:
        if asked or "credentialpath" in own:
            raise bad_option(name, "profile", f"{profile!r} is in none of AWS's files", f"{credentials}, {config}")
        return {}
    return _read(name, {**(settings or {}), **(secrets or {})})


def _read(name: str, found: Mapping[str, str]) -> dict[str, str]:
    options = {ours: found[theirs] for theirs, ours in _KEYS.items() if found.get(theirs)}
    if "access_key_id" not in options:
        for key in _ELSEWHERE:
            if key in found:
                hint = "`eval $(aws configure export-credentials --format env)` puts what it gives into the environment"
                raise bad_option(name, "profile", f"gets its credentials by {key}, which is not supported", hint)
    if found.get("region"):
        options["region"] = found["region"]
    if found.get("endpoint_url"):
        options["endpoint"] = found["endpoint_url"]
    return options


def _section(name: str, path: str, section: str) -> SectionProxy | None:
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(os.path.expanduser(path), encoding="utf-8")
    except (Error, UnicodeDecodeError):
        raise bad_option(name, "profile", f"cannot be read: {path} is no file of AWS's kind") from None
    return parser[section] if parser.has_section(section) else None
