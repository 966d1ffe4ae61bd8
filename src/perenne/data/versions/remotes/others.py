"""Remotes that obstore does not reach, opened: SSH by SFTP, and what fsspec has an implementation for."""

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from perenne.data.versions.remotes.options import Options
from perenne.data.versions.remotes.port import Remote
from perenne.data.versions.remotes.refusals import bad_option, extra_needed

EXTRA = "perenne[fsspec]"


def open_other(name: str, kind: str, url: str, options: Options) -> Remote:
    """Open a remote of one of the kinds here; nothing is connected yet where that can wait.

    Raises
    ------
    Unavailable
        A package that reaches it is not installed.
    """
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
    if kind == "ssh":
        return _ssh(name, parts, shown, options)
    from perenne.data.versions.remotes.filesystem import FilesystemRemote

    path = unquote(parts.path).strip("/")
    match kind:
        case "gdrive":
            root = f"{parts.netloc}/{path}".strip("/")
            return FilesystemRemote(_made(_gdrive, "pydrive2[fsspec]", root, options.given), root, shown, renames=False)
        case "oss":
            root = f"{parts.netloc}/{path}".strip("/")
            return FilesystemRemote(_made(_oss, "ossfs", root, options.given), root, shown, renames=False)
        case "hdfs":
            return FilesystemRemote(_made(_hdfs, "pyarrow", parts, options.given), f"/{path}", shown)
        case _:
            given = dict(options.given)
            if "kerberos_principal" in options.own:
                given["kerb_kwargs"] = {"principal": options.own["kerberos_principal"]}
            return FilesystemRemote(_made(_webhdfs, EXTRA, parts, given), f"/{path}", shown)


def _made(make: Callable[[Any, dict[str, Any]], Any], package: str, where: Any, given: dict[str, Any]) -> Callable[[], Any]:
    def made() -> Any:
        try:
            return make(where, given)
        except ImportError as error:
            raise extra_needed("this remote", package) from error

    return made


def _ssh(name: str, parts: SplitResult, shown: str, options: Options) -> Remote:
    try:
        from perenne.data.versions.remotes.sftp import SftpRemote
    except ImportError as error:
        raise extra_needed("a remote over SSH", EXTRA) from error
    given = dict(options.given)
    if options.own.get("gss_auth"):
        raise bad_option(name, "gss_auth", "is not supported: the SSH library gave it up", "use a key, or an agent")
    if not parts.hostname:
        raise bad_option(name, "url", "names no host", "ssh://user@host/path")
    given.setdefault("user", unquote(parts.username) if parts.username else None)
    given.setdefault("password", unquote(parts.password) if parts.password else None)
    given.setdefault("port", parts.port)
    return SftpRemote(parts.hostname, unquote(parts.path).rstrip("/") or "/", shown, **given)


def _gdrive(root: str, given: dict[str, Any]) -> Any:
    from pydrive2.fs import GDriveFileSystem  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return GDriveFileSystem(root, **given)


def _oss(root: str, given: dict[str, Any]) -> Any:
    from ossfs import OSSFileSystem  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return OSSFileSystem(**given)


def _hdfs(parts: SplitResult, given: dict[str, Any]) -> Any:
    from fsspec.implementations.arrow import HadoopFileSystem

    return HadoopFileSystem(host=parts.hostname or "default", port=parts.port or 0, **given)


def _webhdfs(parts: SplitResult, given: dict[str, Any]) -> Any:
    from fsspec.implementations.webhdfs import WebHDFS

    return WebHDFS(host=parts.hostname, port=parts.port or 50070, **given)
