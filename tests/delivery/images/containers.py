"""Containers for tests: an image unpacked by umoci and run by runc, read-only, without rights, with a /tmp of its own."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

TOOLS = ("umoci", "runc")


def need(*tools: str) -> None:
    """Skip the test where a tool is missing, or only root may use it."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("containers of these tools need root here")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Container:
    """A running container that answers on a port of this machine."""

    def __init__(self, command: list[str], port: int, stop: list[str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._stop = stop
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""
        self.code: int | None = None

    def __enter__(self) -> "Container":
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/v2/health/ready", timeout=5) as answer:
                assert answer.status == 200
                return self
            if self.process.poll() is not None:
                raise AssertionError(f"the container ended: {self.process.communicate()[0]}")
            time.sleep(0.05)
        self.stop()
        raise AssertionError(f"the container does not answer: {self.said}")

    def stop(self) -> None:
        subprocess.run(self._stop, capture_output=True, check=False)
        self.said = self.process.communicate(timeout=60)[0]
        self.code = self.process.returncode

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


def run_with_runc(layout: Path, tag: str, bundle: Path) -> Container:
    """Unpack an image and run it: the root file system read-only, the user that the image names, no capability."""
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:{tag}", str(bundle)], check=True, capture_output=True)
    return run_bundle(bundle)


def run_bundle(bundle: Path) -> Container:
    port, path, name = free_port(), bundle / "config.json", f"perenne-test-{os.getpid()}-{free_port()}"
    config = json.loads(path.read_text())
    process = config["process"]
    process |= {"terminal": False, "capabilities": {}, "env": [*process["env"], f"PERENNE_SERVE_PORT={port}"]}
    config["root"]["readonly"] = True
    kinds = ("proc", "tmpfs", "devpts")
    temporary = {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}
    config["mounts"] = [*(mount for mount in config["mounts"] if mount["type"] in kinds), temporary]
    spaces = [space for space in config["linux"]["namespaces"] if space["type"] != "network"]
    config["linux"] = {**config["linux"], "namespaces": spaces}
    path.write_text(json.dumps(config))
    return Container(["runc", "run", "-b", str(bundle), name], port, ["runc", "kill", name, "TERM"])
