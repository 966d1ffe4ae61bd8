"""Remotes that obstore reaches, opened: what their keys mean to S3, Google Cloud Storage, Azure, HTTP and WebDAV."""

import os
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from perenne.data.versions.remotes.cloud import CloudRemote
from perenne.data.versions.remotes.options import Options
from perenne.data.versions.remotes.port import Remote, Traits
from perenne.data.versions.remotes.refusals import bad_option


def open_cloud(name: str, kind: str, url: str, options: Options) -> Remote:
    """Open a bucket, or a web server, by its URL and what its keys say; nothing is asked yet."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    client = _client_options(name, options)
    prefix = parts.path.strip("/") or None
    match kind:
        case "s3":
            config = _s3_config(name, options)
            client["allow_http"] = _without_tls("s3", config.get("endpoint"))
            return CloudRemote(shown, lambda: _s3(parts.netloc, prefix, config, client))
        case "gs":
            client["allow_http"] = _without_tls("gs", options.store.get("base_url"))
            config = options.store | _gs_account(name, options)
            return CloudRemote(shown, lambda: _gs(parts.netloc, prefix, config, client))
        case "azure":
            config, container = _azure_config(name, options), parts.netloc
            if "@" in container:  # abfs://container@account.dfs.core.windows.net
                container, _, host = container.partition("@")
                config.setdefault("account_name", host.partition(".")[0])
            client["allow_http"] = _without_tls("az", config.get("endpoint"))
            return CloudRemote(shown, lambda: _azure(container, prefix, config, client))
        case _:
            return _web(name, kind, url, shown, client, options)


def _without_tls(scheme: str, endpoint: str | None) -> bool:
    """Tell whether a store is asked without TLS: the remote's endpoint says so, or the environment's, under its own rules."""
    from perenne.storage.buckets import allows_http

    return endpoint.startswith("http:") if endpoint else allows_http(scheme)


def _web(name: str, kind: str, url: str, shown: str, client: dict[str, Any], options: Options) -> Remote:
    headers = _headers(name, kind, url, options)
    if headers:
        client["default_headers"] = headers
    parts = urlsplit(url.replace("webdav", "http", 1) if kind == "webdav" else url)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    client["allow_http"] = parts.scheme == "http"
    writes = kind == "webdav"
    return CloudRemote(shown, lambda: _http(address, client), Traits(lists=writes, writes=writes), is_web=True)


def _client_options(name: str, options: Options) -> dict[str, Any]:
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=60),
        "timeout": timedelta(days=1),  # of a whole answer, however large; silence ends it sooner
        **options.client,
    }
    verify = options.own.get("ssl_verify", "true")
    if verify.lower() in ("false", "no", "off", "0"):
        client["allow_invalid_certificates"] = True
    elif verify.lower() not in ("true", "yes", "on", "1"):
        try:
            client["root_certificate"] = Path(verify).expanduser().read_bytes()
        except OSError as error:
            raise bad_option(name, "ssl_verify", f"names a file that cannot be read: {error.strerror}") from None
    return client


def _s3_config(name: str, options: Options) -> dict[str, Any]:
    config = dict(options.store)
    if "access_key_id" not in config and not config.get("skip_signature"):
        config = profile_of(name, options) | config
    endpoint = config.get("endpoint", "")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise bad_option(name, "endpointurl", "is no http or https URL")
    if options.own.get("use_ssl") is False and not endpoint.startswith("http://"):
        raise bad_option(name, "use_ssl", "is false, and endpointurl does not begin with http://")
    if options.own.get("sse_customer_algorithm", "AES256") != "AES256":
        raise bad_option(name, "sse_customer_algorithm", "can be nothing but AES256")
    if "sse_customer_key_base64" in config:
        if "sse_kms_key_id" in config:
            raise bad_option(name, "sse_customer_key", "does not go with sse_kms_key_id")
        config["server_side_encryption"] = "sse-c"
    elif "sse_kms_key_id" in config:
        config.setdefault("server_side_encryption", "aws:kms")
    return config


def profile_of(name: str, options: Options) -> dict[str, str]:
    """Return what AWS's files say, if they are needed."""
    from perenne.data.versions.remotes.profiles import profile_options

    return profile_options(name, options.own)


def _gs_account(name: str, options: Options) -> dict[str, str]:
    path = options.own.get("credentialpath")
    if not path:
        return {}
    try:
        kind = msgspec.json.decode(Path(path).expanduser().read_bytes(), type=dict[str, Any]).get("type")
    except (OSError, msgspec.DecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no JSON"
        raise bad_option(name, "credentialpath", f"names a file that cannot be read: {why}") from None
    return {"application_credentials" if kind == "authorized_user" else "service_account": path}


_AZURE = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "sharedaccesssignature": "sas_key",
    "blobendpoint": "endpoint",
}


def _azure_config(name: str, options: Options) -> dict[str, Any]:
    config = dict(options.store)
    text = options.own.get("connection_string") or ("" if config else os.environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    said = {key.strip().lower(): value.strip() for key, _, value in parts}
    for theirs, ours in _AZURE.items():
        if theirs in said:
            config.setdefault(ours, said[theirs])
    if said.get("usedevelopmentstorage", "").lower() == "true":
        config["use_emulator"] = True
    suffix, account = said.get("endpointsuffix"), config.get("account_name")
    if suffix and account and "endpoint" not in config:
        config["endpoint"] = f"{said.get('defaultendpointsprotocol', 'https')}://{account}.blob.{suffix}"
    own = any(key in config for key in ("account_key", "sas_key", "client_secret", "skip_signature"))
    for key, value in options.own.items():
        if key.startswith("exclude_") and value and not own:
            raise bad_option(
                name, key, "is true, and the remote has no key, token or client of its own", "set account_key, for one"
            )
    return config


def _headers(name: str, kind: str, url: str, options: Options) -> dict[str, str]:
    """Return the headers that log in."""
    own, parts = options.own, urlsplit(url)
    user = own.get("user") or unquote(parts.username or "")
    password = own.get("password") or unquote(parts.password or "")
    auth = own.get("auth", "basic" if user else "").lower()
    if kind == "webdav" and "token" in own:
        return {"Authorization": f"Bearer {own['token']}"}
    if auth == "custom" or (kind == "webdav" and own.get("custom_auth_header")):
        if not own.get("custom_auth_header"):
            raise bad_option(name, "auth", "is custom, and custom_auth_header is not given")
        return {own["custom_auth_header"]: password}
    if auth == "basic":
        return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
    if auth:
        raise bad_option(name, "auth", f"{auth} is not supported", "basic and custom are")
    return {}


def _retries() -> Any:
    return {
        "max_retries": 4,
        "retry_timeout": timedelta(seconds=60),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    }


def _s3(bucket: str, prefix: str | None, config: Any, client: Any) -> Any:
    from obstore.store import S3Store

    return S3Store(bucket, prefix=prefix, config=config, client_options=client, retry_config=_retries())


def _gs(bucket: str, prefix: str | None, config: Any, client: Any) -> Any:
    from obstore.store import GCSStore

    return GCSStore(bucket, prefix=prefix, config=config, client_options=client, retry_config=_retries())


def _azure(container: str, prefix: str | None, config: Any, client: Any) -> Any:
    from obstore.store import AzureStore

    return AzureStore(container, prefix=prefix, config=config, client_options=client, retry_config=_retries())


def _http(address: str, client: Any) -> Any:
    from obstore.store import HTTPStore

    return HTTPStore(address, client_options=client, retry_config=_retries())
