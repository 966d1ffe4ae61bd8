"""DVC's keys of a remote, and what each means to the adapter that reaches it.

A key that cannot be honoured is refused by name, never passed over: a remote that asks for encryption or for an access list and
silently goes without is worse than one that does not open.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from perenne.data.versions.remotes.refusals import bad_option

STORE, CLIENT, GIVEN, OWN, VOID, CANNOT = "store", "client", "given", "own", "void", "cannot"


class Use(msgspec.Struct, frozen=True):
    """What becomes of a key.

    Attributes
    ----------
    place : str
        ``store`` and ``client``: an option of obstore's; ``given``: an argument of the library that connects; ``own``: read
        by `opening` itself; ``void``: nothing to do here, and nothing is lost; ``cannot``: refused.
    name : str
        The option there; for ``void`` and ``cannot`` the reason.
    read : callable, optional
        Makes the option's value of the text.
    """

    place: str
    name: str = ""
    read: Callable[[str], Any] | None = None


def switch(text: str) -> bool:
    """Read yes or no.

    >>> switch("True"), switch("off")
    (True, False)
    """
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise ValueError("is neither true nor false")


def _seconds(text: str) -> Any:
    from datetime import timedelta

    return timedelta(seconds=_number(text))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("is no number") from None
    if not 0 <= number < 1e9:
        raise ValueError("is no number of this kind")
    return number


def _whole(text: str) -> int:
    if not text.isdigit():
        raise ValueError("is no whole number")
    return int(text)


_ACL = Use(CANNOT, "is not supported: access lists are not sent; give the bucket a policy instead")
_VERIFY = Use(VOID, "everything that arrives is verified, whatever this says")

COMMON = {
    "url": Use(OWN, "where it is"),
    "jobs": Use(OWN, "how many transfers at once", _whole),
    "version_aware": Use(OWN, "objects under their own names, versions kept by the store", switch),
    "worktree": Use(OWN, "objects under their own names", switch),
    "verify": _VERIFY,
    "checksum_jobs": Use(VOID, "hashing goes beside the copy"),
    "no_traverse": Use(VOID, "what is listed and what is asked for follows from how much there is"),
}
"""Keys of every remote."""

_SSL = Use(OWN, "true, false, or a file of certificates")

TABLE: dict[str, dict[str, Use]] = {
    "local": {
        "shared": Use(OWN, "`group` opens files and folders to it"),
        "type": Use(VOID, "files of a remote are copies"),
        "protected": Use(VOID, "DVC gave it up"),
        "slow_link_warning": Use(VOID, "nothing is warned of"),
    },
    "s3": {
        "region": Use(STORE, "region"),
        "profile": Use(OWN, "a section of AWS's files"),
        "credentialpath": Use(OWN, "AWS's file of credentials"),
        "configpath": Use(OWN, "AWS's file of settings"),
        "endpointurl": Use(STORE, "endpoint"),
        "access_key_id": Use(STORE, "access_key_id"),
        "secret_access_key": Use(STORE, "secret_access_key"),
        "session_token": Use(STORE, "session_token"),
        "use_ssl": Use(OWN, "false only with an endpointurl that begins with http", switch),
        "ssl_verify": _SSL,
        "allow_anonymous_login": Use(STORE, "skip_signature", switch),
        "sse": Use(STORE, "server_side_encryption"),
        "sse_kms_key_id": Use(STORE, "sse_kms_key_id"),
        "sse_customer_algorithm": Use(OWN, "AES256 is the only one"),
        "sse_customer_key": Use(STORE, "sse_customer_key_base64"),
        "acl": _ACL,
        "grant_read": _ACL,
        "grant_read_acp": _ACL,
        "grant_write_acp": _ACL,
        "grant_full_control": _ACL,
        "cache_regions": Use(VOID, "a remote is one bucket in one region"),
        "listobjects": Use(VOID, "DVC gave it up"),
        "read_timeout": Use(CLIENT, "read_timeout", _seconds),
        "connect_timeout": Use(CLIENT, "connect_timeout", _seconds),
    },
    "gs": {
        "projectname": Use(VOID, "it matters where buckets are made, and none is made here"),
        "credentialpath": Use(OWN, "a file of a service account, or of application default credentials"),
        "endpointurl": Use(STORE, "base_url"),
        "allow_anonymous_login": Use(STORE, "skip_signature", switch),
    },
    "azure": {
        "connection_string": Use(OWN, "account, key, endpoint, or shared access signature"),
        "sas_token": Use(STORE, "sas_key"),
        "account_name": Use(STORE, "account_name"),
        "account_key": Use(STORE, "account_key"),
        "tenant_id": Use(STORE, "tenant_id"),
        "client_id": Use(STORE, "client_id"),
        "client_secret": Use(STORE, "client_secret"),
        "allow_anonymous_login": Use(STORE, "skip_signature", switch),
        "timeout": Use(CLIENT, "timeout", _seconds),
        "read_timeout": Use(CLIENT, "read_timeout", _seconds),
        "connection_timeout": Use(CLIENT, "connect_timeout", _seconds),
        **{
            f"exclude_{kind}_credential": Use(OWN, "true only beside a key, token or client of its own", switch)
            for kind in ("environment", "visual_studio_code", "shared_token_cache", "managed_identity")
        },
    },
    "http": {
        "auth": Use(OWN, "basic or custom; digest is not supported"),
        "custom_auth_header": Use(OWN, "the header that carries the password with auth = custom"),
        "user": Use(OWN, "with auth = basic"),
        "password": Use(OWN, "with auth"),
        "ask_password": Use(OWN, "asked for on a terminal", switch),
        "ssl_verify": _SSL,
        "method": Use(VOID, "it is how DVC uploads, and nothing is uploaded over HTTP here"),
        "connect_timeout": Use(CLIENT, "connect_timeout", _seconds),
        "read_timeout": Use(CLIENT, "read_timeout", _seconds),
    },
    "webdav": {
        "user": Use(OWN, "the name to log in with"),
        "password": Use(OWN, "its password"),
        "ask_password": Use(OWN, "asked for on a terminal", switch),
        "token": Use(OWN, "sent as a bearer token"),
        "bearer_token_command": Use(CANNOT, "is not supported: a config that comes with a repository does not run commands"),
        "custom_auth_header": Use(OWN, "the header that carries the password"),
        "cert_path": Use(CANNOT, "is not supported: the client has no certificates of its own"),
        "key_path": Use(CANNOT, "is not supported: the client has no certificates of its own"),
        "timeout": Use(CLIENT, "read_timeout", _seconds),
        "ssl_verify": _SSL,
    },
    "ssh": {
        "type": Use(VOID, "files of a remote are copies"),
        "port": Use(GIVEN, "port", _whole),
        "user": Use(GIVEN, "user"),
        "password": Use(GIVEN, "password"),
        "ask_password": Use(OWN, "asked for on a terminal", switch),
        "passphrase": Use(GIVEN, "passphrase"),
        "ask_passphrase": Use(OWN, "asked for on a terminal", switch),
        "keyfile": Use(GIVEN, "keyfile"),
        "timeout": Use(GIVEN, "timeout", _number),
        "gss_auth": Use(OWN, "true is not supported: paramiko gave it up", switch),
        "allow_agent": Use(GIVEN, "allow_agent", switch),
        "max_sessions": Use(GIVEN, "sessions", _whole),
    },
    "gdrive": {
        "profile": Use(GIVEN, "profile"),
        "gdrive_use_service_account": Use(GIVEN, "use_service_account", switch),
        "gdrive_client_id": Use(GIVEN, "client_id"),
        "gdrive_client_secret": Use(GIVEN, "client_secret"),
        "gdrive_user_credentials_file": Use(GIVEN, "client_json_file_path"),
        "gdrive_service_account_user_email": Use(GIVEN, "client_user_email"),
        "gdrive_service_account_json_file_path": Use(GIVEN, "client_json_file_path"),
        "gdrive_trash_only": Use(GIVEN, "trash_only", switch),
        "gdrive_acknowledge_abuse": Use(GIVEN, "acknowledge_abuse", switch),
    },
    "oss": {
        "oss_key_id": Use(GIVEN, "key"),
        "oss_key_secret": Use(GIVEN, "secret"),
        "oss_endpoint": Use(GIVEN, "endpoint"),
    },
    "hdfs": {
        "user": Use(GIVEN, "user"),
        "kerb_ticket": Use(GIVEN, "kerb_ticket"),
        "replication": Use(GIVEN, "replication", _whole),
    },
    "webhdfs": {
        "kerberos": Use(GIVEN, "kerberos", switch),
        "kerberos_principal": Use(OWN, "who the ticket is for"),
        "proxy_to": Use(GIVEN, "proxy_to"),
        "ssl_verify": Use(CANNOT, "is not supported: the library behind webhdfs always verifies"),
        "token": Use(GIVEN, "token"),
        "use_https": Use(GIVEN, "use_https", switch),
        "user": Use(GIVEN, "user"),
        "password": Use(GIVEN, "password"),
        "data_proxy_target": Use(GIVEN, "data_proxy"),
    },
}
"""Kind of remote -> key -> what becomes of it."""

SCHEMES = {
    "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "azure": "azure", "abfs": "azure", "az": "azure",
    "http": "http", "https": "http",
    "webdav": "webdav", "webdavs": "webdav", "ssh": "ssh", "sftp": "ssh", "gdrive": "gdrive", "oss": "oss", "hdfs": "hdfs",
    "webhdfs": "webhdfs",
}  # fmt: skip
"""Scheme of a URL -> kind of remote."""


class Options(msgspec.Struct, frozen=True):
    """The keys of a remote, read.

    Attributes
    ----------
    store, client, given, own : dict
        By place; see `Use`. In `own` the names are DVC's.
    """

    store: dict[str, Any]
    client: dict[str, Any]
    given: dict[str, Any]
    own: dict[str, Any]


def read_options(name: str, kind: str, keys: Mapping[str, str]) -> Options:
    """Read the keys of a remote.

    Parameters
    ----------
    name : str
        The remote's, for messages.
    kind : str
        One of `TABLE`.
    keys : mapping
        Its section of the config.

    Raises
    ------
    Invalid
        ``data.remote_option``: a key is unknown, cannot be honoured, or has a value that is none.
    """
    table = COMMON | TABLE[kind]
    read = Options({}, {}, {}, {})
    for key, text in keys.items():
        use = table.get(key)
        if use is None:
            raise bad_option(name, key, f"is not an option of {kind} remotes", f"it has {', '.join(sorted(TABLE[kind]))}")
        if use.place == CANNOT and not (key == "acl" and text == "private"):
            raise bad_option(name, key, use.name)
        if use.place in (STORE, CLIENT, GIVEN, OWN):
            try:
                value = use.read(text) if use.read else text
            except ValueError as error:
                raise bad_option(name, key, str(error)) from None
            target = getattr(read, use.place)
            target[key if use.place == OWN else use.name] = value
    return read
