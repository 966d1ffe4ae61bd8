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
import trustme
from tests.delivery.clusters.plans import IMAGE, plan
from tests.serving.packages import ReleaseFolder, made_packages

from perenne.delivery.clusters.manifests import objects
from perenne.delivery.clusters.manifests.control_plane import ControlPlan, control_objects
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
        told[variable["name"]] = (
            variable.get("value", "shop").replace("$(POD_NAMESPACE)", "shop").replace("$(POD_IP)", "10.0.0.7")
        )
    told = {name: text.replace(TLS_FOLDER, str(folder)) for name, text in told.items()}
    return {**told, "PERENNE_HOME": str(folder / "home"), "PERENNE_DRAIN": "0", "PATH": os.environ["PATH"]}


def pod(made: list[Object], kind: str = "Deployment") -> Any:
    return next(item for item in made if item["kind"] == kind)["spec"]["template"]["spec"]


def certified(folder: Path) -> None:
    """Put the certificate of a Secret where the pod finds it."""
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    issued.private_key_pem.write_to_path(folder / "tls.key")


def until_ready(made: list[Object], port: int) -> None:
    probe = pod(made)["containers"][0]["startupProbe"]["httpGet"]
    deadline = time.monotonic() + 60
    while asked(port, probe["path"], f"localhost:{port}") != 200:
        assert time.monotonic() < deadline, "it does not get ready"
        time.sleep(0.05)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[list[Object]]:
    """A server of the image, started with what a pod is told; gives the objects that tell it."""
    certified(tmp_path)
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    made = objects(plan(tls_secret="churn-tls", port=free_port(), names=("models.example.org",)))
    told = {**environment(made, tmp_path), "PERENNE_RELEASE": str(release.folder)}
    process = subprocess.Popen([sys.executable, "-m", "perenne.app.container"], env=told, stderr=subprocess.DEVNULL)
    yield made
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, "told to stop, it ends well"


def asked(port: int, path: str, host: str) -> int:
    """Ask as the kubelet does: without looking at the certificate; 0 while nobody listens."""
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
    port = container["ports"][0]["containerPort"]
    until_ready(served, port)
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[name]["httpGet"]
        assert probe["scheme"] == "HTTPS"
        assert asked(port, probe["path"], probe["httpHeaders"][0]["value"]) == 200, name
    for host in ("churn", "churn.shop.svc.cluster.local", f"churn.shop:{port}", "models.example.org"):
        assert asked(port, "/v2/health/live", host) == 200, host
    assert asked(port, "/v2/health/live", "elsewhere.example.org") == 403


@pytest.mark.long
def test_the_control_plane_migrates_starts_and_answers_its_probes(tmp_path: Path) -> None:
    certified(tmp_path)
    made = control_objects(ControlPlan(image=IMAGE, tls_secret="tls", objects="s3://acme/perenne", names=("ml.example.org",)))
    port = free_port()
    told = environment(made, tmp_path) | {"PERENNE_PORT": str(port), "PERENNE_OBJECTS": (tmp_path / "objects").as_uri()}
    told["PERENNE_DATABASE"] = f"sqlite:///{tmp_path / 'perenne.db'}"
    migrate, up = (pod(made, kind)["containers"][0]["command"] for kind in ("Job", "Deployment"))
    subprocess.run([sys.executable, *migrate[1:]], env=told, check=True, capture_output=True)
    token = [sys.executable, "-m", "perenne", "token", "create", "ops", "--role", "owner"]
    subprocess.run(token, env=told, check=True, capture_output=True)
    process = subprocess.Popen([sys.executable, *up[1:]], env=told, stderr=subprocess.DEVNULL)
    try:
        until_ready(made, port)
        assert asked(port, "/health", f"localhost:{port}") == 200
        assert asked(port, "/health", "perenne.perenne.svc") == asked(port, "/health", "ml.example.org") == 200
        assert asked(port, "/api/deploy", "perenne") == 401
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, "told to stop, it ends well"
