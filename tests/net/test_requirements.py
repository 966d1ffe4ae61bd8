"""The security requirements are all accounted for; and those that the code itself shows."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.net.requirements import PARTLY, REQUIREMENTS

TESTS = Path(__file__).resolve().parents[1]
SRC = TESTS.parent / "src" / "perenne"
COUNTS = {"P": 9, "B": 12, "H": 6, "A": 6, "X": 6, "S": 6, "O": 5, "D": 5}


@cache
def functions(path: Path) -> set[str]:
    return set(re.findall(r"^ *(?:async )?def (\w+)", path.read_text(), re.MULTILINE))


def test_every_item_has_its_tests_or_a_reason() -> None:
    assert list(REQUIREMENTS) == [f"{letter}{number}" for letter, most in COUNTS.items() for number in range(1, most + 1)]
    assert PARTLY.keys() <= {item for item, tests in REQUIREMENTS.items() if not isinstance(tests, str)}
    assert all(tests.startswith("not yet: ") if isinstance(tests, str) else tests for tests in REQUIREMENTS.values())


@pytest.mark.parametrize("item", [item for item, tests in REQUIREMENTS.items() if not isinstance(tests, str)])
def test_the_tests_named_are_there(item: str) -> None:
    for test in REQUIREMENTS[item]:
        file, _, name = test.partition("::")
        assert name in functions(TESTS / file), test


def test_an_item_by_which_a_test_is_named_is_one_that_applies() -> None:
    applying = {item for item, tests in REQUIREMENTS.items() if not isinstance(tests, str)}
    for path in TESTS.rglob("test_*.py"):
        named = {found[1].upper() for name in functions(path) if (found := re.match(r"test_([pbhaxsod]\d+)_", name))}
        assert named <= applying, path


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every node of the source, with its file."""
    trees = [(str(path.relative_to(SRC)), ast.parse(path.read_text())) for path in SRC.rglob("*.py")]
    return [(name, node) for name, tree in trees for node in ast.walk(tree)]


def imported() -> Iterator[tuple[str, str]]:
    for path, node in nodes():
        if isinstance(node, ast.ImportFrom):
            yield path, node.module or ""
        elif isinstance(node, ast.Import):
            yield from ((path, alias.name) for alias in node.names)


@cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call, with its file and what is called."""
    return [(path, ast.unparse(node.func), node) for path, node in nodes() if isinstance(node, ast.Call)]


def test_x1_nothing_is_unpickled() -> None:
    """But by the guest: a process of its own, confined, that opens what somebody vouched for; others import its wire alone."""
    unsafe = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle"}
    assert {(path, name) for path, name in imported() if name.split(".")[0] in unsafe} == {
        ("inference/guest.py", "pickle"),
        ("inference/guest.py", "joblib"),
    }
    openers = {path for path, name, _ in calls() if name.rpartition(".")[2] == "load_estimator"}
    assert openers == {"inference/guest.py", "inference/foreign/workbench.py"}, "both are programs of confined processes"
    loads = [
        (path, ast.unparse(call)) for path, name, call in calls() if name in {"np.load", "numpy.load", "np.lib.format.read_array"}
    ]
    assert loads and all("allow_pickle=False" in text for _, text in loads), loads
    yaml = [name for _, name, _ in calls() if name.startswith("yaml.")]
    assert not {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all"} & set(yaml)


def test_x5_no_shell_is_asked() -> None:
    for path, name, call in calls():
        assert name not in {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "eval", "exec"}, path
        assert not any(keyword.arg == "shell" for keyword in call.keywords), path
        if name in {"subprocess.run", "subprocess.Popen"}:
            assert isinstance(call.args[0], ast.List | ast.Name | ast.Attribute), (path, ast.unparse(call))


def test_s1_one_client_asks_others() -> None:
    """The demo's traffic goes to its own model server; `perenne status` asks the processes of its own installation.

    `Peer` asks the one server that the person at the keyboard named, from that person's program; from a server only for traces
    of an MLflow server that was named by `perenne monitor add` at the keyboard: no request can name one. A package for the
    edge is proven by asking its own server, just started. The client of a cluster is Kubernetes' own: its errors are met.
    Mail asks the host that a channel names, by the same rules.
    """
    clients = {"http.client", "urllib.request", "requests", "httpx", "aiohttp", "urllib3", "ftplib", "smtplib"}
    assert {path for path, name in imported() if name in clients} == {
        "net/egress.py",
        "net/peer.py",
        "net/mail.py",
        "cli/demo/traffic.py",
        "net/asking.py",
        "delivery/portable/edge.py",
        "delivery/clusters/target.py",
    }
    users = {path for path, name in imported() if name == "perenne.net.peer"}
    rooms = ("tracking/client/", "protocols/mlflow/migration/", "monitoring/elsewhere/")
    assert all(path.startswith(rooms) for path in users), users


def test_p3_paths_are_joined_in_one_place() -> None:
    """What receives requests joins no path: names that came over the wire reach the disk by digest or by `core.paths` only.

    The move from and to MLflow receives none: it reads and writes the folder that a person named at the command line.
    """
    for path, node in nodes():
        if path.startswith("protocols/mlflow/migration/"):
            continue
        if path.endswith(("http.py", "door.py", "doorman.py", "secret.py")) or path.startswith(("protocols/", "net/")):
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and "path" in ast.unparse(node).lower()), (
                path
            )
