"""What a pod is told really starts the model server of our images, and its probes are answered as the kubelet asks them."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.delivery.clusters.certificates import Authority
from tests.delivery.clusters.plans import plan
from tests.serving.packages import ReleaseFolder, made_packages

from perenne.delivery.clusters.manifests import objects
from perenne.delivery.clusters.manifests.settings import TLS_FOLDER
from perenne.delivery.clusters.model import Object


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def environment(made: list[Object], folder: Path) -> dict[str, str]:
    """Return what the kubelet sets in the container, with its volumes in a folder."""
    settings = next(item for item in made if item["kind"] == "ConfigMap")["data"]
    container = pod(made)["containers"][0]
    told = dict(settings)
    for variable in container["env"]:
        told[variable["name"]] = variable.get("value", "shop").replace("$(POD_NAMESPACE)", "shop")
    told = {name: text.replace(TLS_FOLDER, str(folder)) for name, text in told.items()}
    return {**told, "PERENNE_HOME": str(folder / "home"), "PERENNE_DRAIN": "0", "PATH": os.environ["PATH"]}


def pod(made: list[Object]) -> Any:
    return next(item for item in made if item["kind"] == "Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[list[Object]]:
    """A server of the image, started with what a pod is told; gives the objects that tell it."""
    certificate, key = Authority(tmp_path).issue("127.0.0.1")
    certificate.rename(tmp_path / "tls.crt")
    key.rename(tmp_path / "tls.key")
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    made = objects(plan(tls_secret="churn-tls", port=free_port(), names=("models.example.org",)))
    told = {**environment(made, tmp_path), "PERENNE_RELEASE": str(release.folder)}
    process = subprocess.Popen([sys.executable, "-m", "perenne.app.container"], env=told, stderr=subprocess.DEVNULL)
    yield made
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, "told to stop, it ends well"


def asked(made: list[Object], path: str, host: str) -> int:
    """Ask as the kubelet does: without looking at the certificate; 0 while nobody listens."""
    port = pod(made)["containers"][0]["ports"][0]["containerPort"]
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_probes_are_answered(served: list[Object]) -> None:
    container = pod(served)["containers"][0]
    startup = container["startupProbe"]["httpGet"]
    deadline = time.monotonic() + 60
    while asked(served, startup["path"], startup["httpHeaders"][0]["value"]) != 200:
        assert time.monotonic() < deadline, "it does not get ready"
        time.sleep(0.05)
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[name]["httpGet"]
        assert probe["scheme"] == "HTTPS"
        assert asked(served, probe["path"], probe["httpHeaders"][0]["value"]) == 200, name
    port = container["ports"][0]["containerPort"]
    for host in ("churn", "churn.shop.svc.cluster.local", f"churn.shop:{port}", "models.example.org"):
        assert asked(served, "/v2/health/live", host) == 200, host
    assert asked(served, "/v2/health/live", "elsewhere.example.org") == 403
