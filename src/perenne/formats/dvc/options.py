"""Which options DVC's config has, by section and by kind of remote, and what their values may be."""

from urllib.parse import urlparse

from perenne.core.errors import Invalid

CODE = "data.bad_setting"
LINKS = ("reflink", "hardlink", "symlink", "copy")

_SWITCH, _WHOLE, _NUMBER, _LINKS, _TEXT = "switch", "whole number", "number", "links", ""

Known = dict[str, str]
"""Option -> what its value may be: one of the kinds above, or the values themselves with ``|`` between them."""


def _known(texts: str, **kinds: str) -> Known:
    """Put options together: texts by name, others by kind, names with a blank between them."""
    found = dict.fromkeys(texts.split(), _TEXT)
    for kind, names in kinds.items():
        found |= dict.fromkeys(names.split(), {"switches": _SWITCH, "whole": _WHOLE, "numbers": _NUMBER, "links": _LINKS}[kind])
    return found


_REMOTE = _known("url", whole="jobs checksum_jobs", switches="worktree version_aware no_traverse verify")
_LOCAL = _known("", links="type", switches="slow_link_warning protected verify") | {"shared": "group"}
_HTTP = _known(
    "custom_auth_header user password ssl_verify method", switches="ask_password", numbers="connect_timeout read_timeout"
)
_HTTP |= {"auth": "basic|digest|custom"}
_WEBDAV = _known(
    "user password token bearer_token_command custom_auth_header cert_path key_path ssl_verify",
    switches="ask_password",
    whole="timeout",
)

OF_REMOTES: dict[str, Known] = {
    "": _LOCAL | _REMOTE,
    "s3": _REMOTE
    | _known(
        "region profile credentialpath configpath endpointurl access_key_id secret_access_key session_token ssl_verify acl"
        " sse sse_kms_key_id sse_customer_algorithm sse_customer_key grant_read grant_read_acp grant_write_acp"
        " grant_full_control cache_regions",
        switches="listobjects use_ssl allow_anonymous_login",
        whole="read_timeout connect_timeout",
    ),
    "gs": _REMOTE | _known("projectname credentialpath endpointurl", switches="allow_anonymous_login"),
    "ssh": _REMOTE
    | _known(
        "user password passphrase keyfile",
        links="type",
        whole="port timeout max_sessions",
        switches="ask_password ask_passphrase gss_auth allow_agent",
    ),
    "hdfs": _REMOTE | _known("user kerb_ticket replication"),
    "webhdfs": _REMOTE
    | _known("kerberos_principal proxy_to ssl_verify token user password data_proxy_target", switches="kerberos use_https"),
    "azure": _REMOTE
    | _known(
        "connection_string sas_token account_name account_key tenant_id client_id client_secret",
        whole="timeout read_timeout connection_timeout",
        switches="allow_anonymous_login exclude_environment_credential exclude_visual_studio_code_credential"
        " exclude_shared_token_cache_credential exclude_managed_identity_credential",
    ),
    "oss": _REMOTE | _known("oss_key_id oss_key_secret oss_endpoint"),
    "gdrive": _REMOTE
    | _known(
        "profile gdrive_client_id gdrive_client_secret gdrive_user_credentials_file gdrive_service_account_user_email"
        " gdrive_service_account_json_file_path",
        switches="gdrive_use_service_account gdrive_trash_only gdrive_acknowledge_abuse",
    ),
    "http": _REMOTE | _HTTP,
    "https": _REMOTE | _HTTP,
    "webdav": _REMOTE | _WEBDAV,
    "webdavs": _REMOTE | _WEBDAV,
}
"""Scheme of the URL (``""``: a folder) -> its options."""

SECTIONS: dict[str, Known] = {
    "core": _known(
        "remote site_cache_dir machine",
        whole="checksum_jobs",
        switches="interactive analytics hardlink_lock no_scm autostage experiments check_update",
    ),
    "cache": _LOCAL | _known("dir local s3 gs hdfs webhdfs ssh azure"),
    "state": _known("dir", whole="row_limit row_cleanup_quota"),
    "index": _known("dir"),
    "plots": _known("html_template out_dir", switches="auto_open"),
    "exp": _known("code data models metrics params plots live git_remote", switches="auto_push"),
    "parsing": {"bool": "store_true|boolean_optional", "list": "nargs|append"},
    "hydra": _known("config_dir config_module config_name plugins_path", switches="enabled"),
    "studio": _known("token url repo_url", switches="offline"),
    "db": _known("url username password"),
}


def check_option(section: str, key: str, value: str, url: str = "") -> None:
    """Refuse an option that DVC does not know, or a value that it does not take.

    Parameters
    ----------
    section : str
        Such as ``core``, or ``remote "name"``.
    url : str
        That of the remote; the value itself if the URL is what is set.

    Raises
    ------
    Invalid
        In DVC's words, as far as they go.

    Examples
    --------
    >>> check_option("core", "autostage", "true")
    >>> check_option("core", "autostage", "perhaps")
    Traceback (most recent call last):
    ...
    perenne.core.errors.Invalid: config file error: expected true or false for 'core.autostage'
    """
    kind, _, name = section.partition(" ")
    place = f"{kind}.{name.strip(chr(34))}.{key}" if name else f"{section}.{key}"
    if kind in ("feature", "machine"):
        return
    known = _of_remote(value if key == "url" else url) if kind == "remote" else SECTIONS.get(kind)
    if known is None:
        raise Invalid(
            f"config file error: extra keys not allowed @ data['{kind}']",
            code=CODE,
            hint="`perenne data config --list` shows what is set",
        )
    if key not in known:
        where = "".join(f"['{part}']" for part in (kind, *([name.strip('"')] if name else []), key))
        raise Invalid(
            f"config file error: extra keys not allowed @ data{where}",
            code=CODE,
            hint="`perenne data config --list` shows what is set",
        )
    wanted = _wanted(known[key], value)
    if wanted:
        raise Invalid(
            f"config file error: expected {wanted} for '{place}'",
            code=CODE,
            hint="`perenne data config --list` shows what is set",
        )


def _of_remote(url: str) -> Known:
    parsed = urlparse(url)
    scheme = parsed.scheme if parsed.netloc else ""
    if scheme == "remote":
        return {key: _TEXT for known in OF_REMOTES.values() for key in known}
    if scheme not in OF_REMOTES:
        raise Invalid(
            f"config file error: Unsupported URL type {scheme}://",
            code=CODE,
            hint="`perenne data config --list` shows what is set",
        )
    return OF_REMOTES[scheme]


def _wanted(kind: str, value: str) -> str:
    """Say what is wanted, or nothing if the value will do."""
    if kind == _SWITCH:
        return "" if value.lower() in ("true", "false") else "true or false"
    if kind == _LINKS:
        wrong = [name.strip() for name in value.split(",") if name.strip() not in LINKS]
        return f"types of links ({', '.join(LINKS)})" if wrong else ""
    if kind in (_WHOLE, _NUMBER):
        return "" if _is_number(value, whole=kind == _WHOLE) else f"a {kind}"
    choices = kind.split("|")
    return "" if kind == _TEXT or value.lower() in choices else f"one of {', '.join(choices)}"


def _is_number(text: str, *, whole: bool) -> bool:
    try:
        return (int(text) if whole else float(text)) >= 0
    except ValueError:
        return False
