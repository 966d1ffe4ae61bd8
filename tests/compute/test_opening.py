"""Executors by URL: which there are, and what is said about others."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perenne.compute import InlineExecutor, ProcessExecutor, RayExecutor, ThreadExecutor, open_executor
from perenne.core.errors import Invalid, PerenneError, Unavailable

PROGRAM = """
import signal, time
from perenne.compute import open_executor
executor = open_executor("ray:local?slots=3")
import ray
node = ray._private.worker._global_node
print(executor.slots, executor.submit(max, 3, 7).result(60), ray.nodes()[0]["NodeManagerAddress"],
      signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, node.get_temp_dir_path(),
      *(process.process.pid for group in node.all_processes.values() for process in group), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("url", "kind", "slots"),
    [
        ("inline", InlineExecutor, 1),
        ("threads:3", ThreadExecutor, 3),
        ("threads", ThreadExecutor, os.cpu_count()),
        ("processes:2", ProcessExecutor, 2),
        ("processes", ProcessExecutor, os.cpu_count()),
    ],
)
def test_a_url_names_an_executor(url: str, kind: type, slots: int) -> None:
    executor = open_executor(url)
    assert type(executor) is kind
    assert executor.slots == slots
    assert executor.submit(max, 3, 7).result(60) == 7
    executor.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "inline:2",
        "threads:",
        "threads:0",
        "threads:-1",
        "threads:2.5",
        "processes:many",
        "threads:99999",
        "dask:x",
        "ray:local?slots=0",
    ],
)
def test_others_are_refused_with_what_there_is(url: str) -> None:
    with pytest.raises(Invalid) as error:
        open_executor(url)
    assert error.value.code == "compute.url"
    assert "processes:4" in error.value.hint and "PERENNE_EXECUTOR" in error.value.hint


@pytest.mark.parametrize("url", ["ray", "ray:", "ray:auto", "ray:head", "ray:head:0", "ray://head:10001", "ray::6379"])
def test_only_an_address_names_a_cluster(url: str) -> None:
    with pytest.raises(Invalid) as error:
        open_executor(url)
    assert error.value.code == "compute.ray_address"
    assert "ray://" in error.value.hint


def test_a_cluster_that_does_not_answer_is_not_waited_for() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port}") as error:
        RayExecutor(f"127.0.0.1:{port}")
    assert error.value.code == "compute.ray_unreachable"


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PerenneError) as error:
        open_executor("ray:local")
    assert error.value.code == "compute.extra"
    assert "perenne[ray]" in error.value.hint


def test_a_local_cluster_is_for_this_machine_and_ends_with_its_process() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        slots, result, address, default_signal, folder, *processes = driver.stdout.readline().split()
        driver.kill()
    assert (slots, result, address, default_signal) == ("3", "7", "127.0.0.1", "True")
    assert Path(folder).name.startswith("perenne-ray-")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(alive(int(pid)) for pid in processes):
        time.sleep(0.05)
    assert processes
    assert not any(alive(int(pid)) for pid in processes)
    shutil.rmtree(folder, ignore_errors=True)


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
