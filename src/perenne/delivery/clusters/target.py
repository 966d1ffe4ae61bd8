"""A cluster's API as this machine reaches it: by a context of a kubeconfig, by a URL, or from a pod inside.

What goes wrong is said in our own words: which right is missing, which fields another manager holds, what the API does not take.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from perenne.core import json
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.delivery.clusters.kinds import Resource, named, resource_of
from perenne.delivery.clusters.model import FORBIDDEN, MANAGER, Object

IN_CLUSTER = "in-cluster"
TIMEOUT_SECONDS = (5.0, 30.0)
_MAX_SAID = 600
_VERBS = {"GET": "read", "PATCH": "change", "POST": "make", "DELETE": "remove"}


class Cluster:
    """A cluster's API.

    Parameters
    ----------
    client : kubernetes.client.ApiClient
        Knows where it is and who asks.
    name : str
        What people call it.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name
        self.server: str = client.configuration.host

    def version(self) -> str:
        """Return the version of Kubernetes, which also tells whether the cluster can be reached."""
        return str(self._ask("GET", "/version", "its version").get("gitVersion", ""))

    def groups(self) -> frozenset[str]:
        """Return the groups of kinds that the cluster knows; the core's is empty."""
        found = self._ask("GET", "/apis", "its groups of kinds").get("groups") or ()
        return frozenset({"", *(str(group["name"]) for group in found)})

    def get(self, item: Object, namespace: str) -> Object | None:
        """Read an object; None if there is none, or none of its kind."""
        place = resource_of(item)
        try:
            return self._ask("GET", place.path(namespace, item["metadata"]["name"]), place.noun, namespace)
        except NotFound:
            return None

    def apply(self, item: Object, namespace: str, *, dry_run: bool = False, force: bool = False) -> Object:
        """Apply an object on the server's side, as the field manager `perenne`; return what it then is.

        Raises
        ------
        PerenneError
            If a right is missing, another manager holds a field (and `force` does not take it), or the API does not take it.
        """
        place = resource_of(item)
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "force": "true" if force else "false"}
        query |= {"dryRun": "All"} if dry_run else {}
        path = place.path(namespace, item["metadata"]["name"])
        try:
            return self._ask("PATCH", path, place.noun, namespace, query, item)
        except NotFound as error:
            raise NotFound(
                f"{named(item)} cannot be applied: {error.message}",
                code="cluster.not_found",
                hint=f"is there a namespace {namespace!r}, and does the cluster know {place.noun}?",
            ) from None

    def delete(self, item: Object, namespace: str) -> None:
        """Remove an object, and what it owns after it. It may be gone already."""
        place = resource_of(item)
        query = {"propagationPolicy": "Background"}
        try:
            self._ask("DELETE", place.path(namespace, item["metadata"]["name"]), place.noun, namespace, query)
        except NotFound:
            return

    def listed(self, place: Resource, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """List the objects of a kind that have labels; none if the cluster does not know the kind."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
        try:
            found = self._ask("GET", place.path(namespace), place.noun, namespace, query)
        except NotFound:
            return []
        return [{"apiVersion": place.api_version, "kind": place.kind, **item} for item in found.get("items") or ()]

    def _ask(
        self,
        method: str,
        path: str,
        noun: str,
        namespace: str = "",
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Object:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        kind = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        request = self._client.param_serialize(
            method,
            quote(path),
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            data: bytes = answer.read()
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise Unavailable(
                f"the cluster {self.name} cannot be reached at {self.server}: {str(reason)[:_MAX_SAID]}",
                code="cluster.away",
                hint="`kubectl --context NAME version` tries the same",
            ) from None
        if 200 <= answer.status <= 299:
            return _object(data)
        raise _refusal(answer.status, data, f"{_VERBS[method]} {noun}", self.name, namespace)


def connect(name: str, *, kubeconfig: str = "", token_file: str = "", ca_file: str = "") -> Cluster:
    """Connect to a cluster.

    Parameters
    ----------
    name : str
        A context of the kubeconfig; the URL of an API; or `in-cluster` from within a pod.
    kubeconfig : str
        The file; that of the environment variable `KUBECONFIG`, or `~/.kube/config`, if not given.
    token_file, ca_file : str
        For a URL: files of a token, and of the certificate that signs the server's.

    Raises
    ------
    PerenneError
        If the extra is not installed, there is no such context, or what logs in by it fails.
    """
    try:
        from kubernetes import client, config
    except ImportError:
        raise Unavailable(
            "the client of Kubernetes is not installed", code="cluster.extra", hint="pip install 'perenne[kubernetes]'"
        ) from None
    configuration = client.Configuration()
    configuration.retries = False
    shown = name
    try:
        if name == IN_CLUSTER:
            config.load_incluster_config(client_configuration=configuration)
        elif "://" in name:
            shown = _by_url(configuration, name, token_file, ca_file)
        else:
            config.load_kube_config(kubeconfig or None, context=name, client_configuration=configuration)
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        raise Invalid(
            f"the cluster {name[:200]!r} cannot be used: {str(error)[:_MAX_SAID]}",
            code="cluster.context",
            hint="`kubectl config get-contexts` shows contexts; --kubeconfig names another file",
        ) from None
    return Cluster(client.ApiClient(configuration), shown)


def _by_url(configuration: Any, url: str, token_file: str, ca_file: str) -> str:
    """Point a configuration at a URL; return what the cluster is called. Nothing secret goes over a line that is not private."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname or "")):
        raise ValueError("a URL begins with https://, or http:// on this machine")
    if parts.username or parts.password or parts.query:
        raise ValueError("a URL holds no password and no query; --token-file names a token")
    configuration.host = url.rstrip("/")
    if ca_file:
        configuration.ssl_ca_cert = str(Path(ca_file).resolve(strict=True))
    if token_file:
        configuration.api_key["BearerToken"] = f"Bearer {Path(token_file).read_text().strip()}"
    return parts.netloc


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _object(data: bytes) -> Object:
    return json.decode(data, dict, what="the cluster's answer")


def _refusal(status: int, data: bytes, what: str, cluster: str, namespace: str) -> PerenneError:
    """Put in words why a cluster refused; its own words are in the `Status` that it answers with."""
    try:
        answer = _object(data)
    except PerenneError:
        answer = {}
    said = str(answer.get("message") or "")[:_MAX_SAID]
    where = f" in namespace {namespace}" if namespace else ""
    match status:
        case 401:
            return Denied(
                f"the cluster {cluster} does not know who asks",
                code="cluster.unknown",
                hint="log in again; the kubeconfig says how",
            )
        case 403:
            return Denied(
                f"the cluster {cluster} does not let you {what}{where}: {said}",
                code=FORBIDDEN,
                hint=f"the right that is missing: {what}{where}; `kubectl auth can-i --list` shows those there are",
            )
        case 404:
            return NotFound(
                said or f"the cluster {cluster} has no such thing",
                code="cluster.not_found",
                hint="`perenne deploy status NAME --cluster CONTEXT` shows what is there",
            )
        case 409:
            return Conflict(
                f"another holds what would be changed: {said}",
                code="cluster.conflict",
                hint="--force takes the fields over; whoever set them may set them again",
            )
        case 400 | 415 | 422:
            return Invalid(
                f"the cluster {cluster} does not take it: {said}", code="cluster.invalid", hint="nothing of it was changed"
            )
        case _:
            return Unavailable(f"the cluster {cluster} answers {status}: {said}", code="cluster.away", hint="try again later")
