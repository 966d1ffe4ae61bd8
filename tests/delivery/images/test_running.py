"""An image is run, and answers: from this machine's Python, as a user of no rights, with nothing it may write but /tmp."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.delivery.images.containers import Container, free_port, need, run_with_runc
from tests.serving.packages import ReleaseFolder, as_tensors, flights, made_packages

from perenne.delivery.images import bases, building, libraries
from perenne.delivery.images.layout import Layout
from perenne.formats import oci
from perenne.inference import load
from perenne.stats.columns import take

ROWS = take(flights(50, 3), slice(0, 4))


class Fixture(NamedTuple):
    layout: Layout
    package: Path
    wish: building.Wish
    built: building.Built


def nothing(*_: object) -> oci.Descriptor:
    raise AssertionError("nothing is to be pulled")


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Fixture:
    """An image as it is meant to be: this machine's Python, the libraries that are installed, perenne, a model."""
    folder = tmp_path_factory.mktemp("real")
    package = made_packages()["first"]
    release = ReleaseFolder(folder / "release")
    variant = release.add(package, 1)
    inside = release.folder / "versions" / variant.tree
    inside.unlink()
    shutil.copytree(package, inside)
    release.write(variant)
    layout = Layout(folder / "layout")
    runtimes = bases.resolve(layout, bases.HOST, nothing, lambda _: None, compressed=False)
    wish = building.Wish("delays", "late@1", variant.tree, release.folder, inside, 1_700_000_000_000_000)
    built = building.build(layout, wish, runtimes, lambda _: libraries.here(), lambda _: None, compressed=False)
    layout.name(built.found, "late-1")
    return Fixture(layout, package, wish, built)


def check_answers(container: Container, package: Path) -> None:
    answer = container.ask("/v2/models/delays/infer", {"inputs": as_tensors(ROWS)})
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    predictor = load(package)
    prediction = predictor.predict(ROWS)
    assert outputs["prediction"] == predictor.labels(prediction)
    assert prediction.scores is not None
    assert outputs["probabilities"] == pytest.approx(prediction.scores.ravel().tolist())


def test_it_answers_from_a_read_only_root_as_a_user_without_rights(real: Fixture, tmp_path: Path) -> None:
    need("umoci", "runc")
    with run_with_runc(real.layout.folder, "late-1", tmp_path / "bundle") as container:
        check_answers(container, real.package)
        name = container.process.args[-1]  # type: ignore[index]
        told = subprocess.run(
            ["runc", "exec", str(name), "/usr/local/bin/python3", "-c", _LOOK], capture_output=True, text=True, check=True
        )
        assert told.stdout.split() == ["65532", "read-only", "0"]
    assert container.code == 0, container.said


_LOOK = """
import errno, os, sys
print(os.getuid())
try: open("/opt/perenne/x", "w")
except OSError as error: print("read-only" if error.errno == errno.EROFS else error)
sys.argv = ["health"]
from perenne.app.container import main
print(main(["health"]))
"""


def test_only_what_serving_imports_is_in_it(real: Fixture) -> None:
    chosen = libraries.closure(libraries.roots(["onnx"]), libraries.here())
    names = {content.entry.path.split("/")[1] for content in libraries.contents(chosen, "lib")}
    assert {"numpy", "onnxruntime", "pyarrow", "msgspec", "uvicorn", "uvloop", "httptools"} <= names
    assert not names & {"sqlalchemy", "duckdb", "sklearn", "scipy", "starlette", "skl2onnx", "google"}
    sizes = {layer.role.value: layer.unpacked for layer in real.built.layers[0]}
    assert sizes["runtime"] < 100_000_000 and sizes["dependencies"] < 350_000_000 and sizes["application"] < 10_000_000


@pytest.mark.long
def test_it_runs_in_podman_too(real: Fixture, request: pytest.FixtureRequest) -> None:
    need("podman", "runc")
    port, name = free_port(), f"perenne-test-{free_port()}"
    short = tempfile.mkdtemp(prefix="pm-")  # podman takes no path over 50 characters
    request.addfinalizer(lambda: shutil.rmtree(short, ignore_errors=True))
    storage = ["podman", "--root", f"{short}/root", "--runroot", f"{short}/run", "--storage-driver", "vfs"]
    storage += ["--runtime", "runc", "--cgroup-manager", "cgroupfs"]
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--network", "host", "--read-only"]
    image = f"oci:{real.layout.folder}:late-1"
    command = [*storage, "run", "--rm", "--name", name, *limits, "-e", f"PERENNE_SERVE_PORT={port}", image]
    with Container(command, port, [*storage, "stop", "-t", "20", name]) as container:
        check_answers(container, real.package)


SUITES = {"3.11": "bookworm", "3.13": "trixie"}
"""Which Debian has which Python."""


@pytest.mark.long
def test_it_stands_on_debian_as_well(real: Fixture, tmp_path: Path) -> None:
    """A root folder that debootstrap makes, as docs/images.md says, of the Debian that has the Python of the tests."""
    need("umoci", "runc", "debootstrap")
    suite = SUITES.get(libraries.here().python)
    if suite is None:
        pytest.skip(f"no Debian is known that has Python {libraries.here().python}")
    root = tmp_path / "root"
    command = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", suite, str(root)]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=240)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("no mirror of Debian can be reached, or not quickly")
    runtimes = bases.resolve(real.layout, str(root), nothing, lambda _: None, compressed=False)
    assert runtimes[0].program.startswith("/usr/bin/python3") and any(one.name == "libc6" for one in runtimes[0].components)
    built = building.build(real.layout, real.wish, runtimes, lambda _: libraries.here(), lambda _: None, compressed=False)
    assert [layer.diff_id for layer in built.layers[0][1:]] == [layer.diff_id for layer in real.built.layers[0][1:]]
    real.layout.name(built.found, "on-debian")
    with run_with_runc(real.layout.folder, "on-debian", tmp_path / "bundle") as container:
        check_answers(container, real.package)
