"""The code hash: what a step reaches counts, what does not change how it runs does not."""

import importlib.util
import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from perenne.core.hashing import key_of
from perenne.pipelines.code import CodeIdentity, CodeReader, library_digest

MAIN = '''
import math
import functools
from perenne.pipelines import step
import project_helpers
from project_helpers import deep, Scale as Scaling

RATE = 3
NAMES = ["a", "b"]
UNUSED = 1

def wrapped(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args) + OFFSET
    return inner

OFFSET = 1

def local(x, by=RATE):
    return x * by

def factory(size):
    def made(x):
        return x + size
    return made

made = factory(5)
partial = functools.partial(local, by=7)

class Base:
    def shift(self, x):
        return x + 1

class Thing(Base):
    factor: int = 2
    def use(self, x):
        return self.shift(x) * self.factor

@wrapped
def decorated(x):
    return x

@step(retries=1)
def work(x: int) -> float:
    """Do the work."""
    from project_helpers import late  # an import inside
    y = local(x) + project_helpers.shallow(x) + deep(x)  # comment
    z = Thing().use(y) + decorated(y) + made(y) + partial(y) + late(y) + Scaling().apply(y)
    return math.sqrt(z) + len(NAMES)

def nobody(x):
    return x
'''

HELPERS = """
LIMIT = 10

def shallow(x):
    return min(x, LIMIT)

def deep(x):
    return deeper(x)

def deeper(x):
    return x - 1

def late(x):
    return x

def untouched(x):
    return x

class Scale:
    def apply(self, x):
        return x * 2
"""

Write = Callable[..., CodeIdentity]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a project of two files, load it, and return the identity of its step `work`."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    numbers = itertools.count()

    def written(main: str = MAIN, helpers: str = HELPERS) -> CodeIdentity:
        folder = tmp_path / f"project{next(numbers)}"
        folder.mkdir()
        monkeypatch.syspath_prepend(folder)
        sys.modules.pop("project_helpers", None)
        (folder / "project_helpers.py").write_text(helpers)
        module = load(folder / "project.py", main)
        return CodeReader(folder).identity(module.work.function)

    yield written
    for name in ("project_helpers", "project_main"):
        sys.modules.pop(name, None)


def load(file: Path, text: str) -> ModuleType:
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("project_main", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["project_main"] = module
    spec.loader.exec_module(module)
    return module


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_same_project_elsewhere_has_the_same_hash(write: Write) -> None:
    one, other = write(), write()
    assert one == other
    assert one.notes == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("y = local(x) +", "y = local(x) -"),
        ("return x * by", "return x / by"),
        ("RATE = 3", "RATE = 3.0"),
        ("by=RATE", "by=4"),
        ('["a", "b"]', '["a", "c"]'),
        ("OFFSET = 1", "OFFSET = 2"),
        ("function(*args) + OFFSET", "function(*args) * OFFSET"),
        ("@wrapped\n", ""),
        ("factory(5)", "factory(6)"),
        ("by=7", "by=8"),
        ("return x + size", "return x - size"),
        ("factor: int = 2", "factor: int = 3"),
        ("self.shift(x) *", "self.shift(x) +"),
        ("return x + 1", "return x + 2"),
        ("class Thing(Base)", "class Thing(Base, list)"),
        ("-> float", "-> int"),
        ("math.sqrt(z)", "math.cbrt(z)"),
        ("import late", "import deeper as late"),
        ("import math\n", "import cmath as math\n"),
    ],
)
def test_a_change_in_what_a_step_reaches_changes_its_hash(write: Write, old: str, new: str) -> None:
    assert write().hash != write(changed(MAIN, old, new)).hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 10", "LIMIT = 11"),
        ("min(x, LIMIT)", "max(x, LIMIT)"),
        ("return deeper(x)", "return deeper(x) + 0"),
        ("return x - 1", "return x - 2"),
        ("def late(x):\n    return x", "def late(x):\n    return -x"),
        ("return x * 2", "return x * 3"),
    ],
)
def test_a_change_in_another_file_of_the_project_counts(write: Write, old: str, new: str) -> None:
    before, after = write(), write(helpers=changed(HELPERS, old, new))
    assert before.hash != after.hash
    differing = [name for name in before.parts if before.parts[name] != after.parts[name]]
    assert len(differing) == 1
    assert differing[0].startswith("project_helpers.py:")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # comment", "  # another one"),
        ('"""Do the work."""', '"""Do it well."""'),
        ("UNUSED = 1", "UNUSED = 2"),
        ("def nobody(x):\n    return x", "def nobody(x):\n    return -x"),
        ("def factory(size):", "\n\n\ndef factory(size):"),
        ("x + size", "(x +\n            size)"),
        ("retries=1", "retries=2"),
        ("def local(x, by=RATE)", "def local(x: int, by: int = RATE) -> int"),
        ("y = local(x) +", "y: int = local(x) +"),
        ('["a", "b"]', "['a', 'b']"),
    ],
)
def test_what_does_not_change_how_a_step_runs_does_not_count(write: Write, old: str, new: str) -> None:
    assert write().hash == write(changed(MAIN, old, new)).hash


def test_a_function_nobody_calls_does_not_count(write: Write) -> None:
    assert write().hash == write(helpers=changed(HELPERS, "def untouched(x):\n    return x", "")).hash


def test_parts_are_named_by_file_and_name(write: Write) -> None:
    parts = write().parts
    assert {"project.py:work", "project.py:local", "project.py:RATE", "project_helpers.py:deeper"} <= set(parts)
    assert "project_helpers.py:untouched" not in parts


def test_code_that_looks_up_code_is_told(write: Write) -> None:
    identity = write(changed(MAIN, "z = Thing()", 'eval("1"); z = Thing()'))
    assert any("eval() is not followed" in note for note in identity.notes)


def test_a_file_that_changed_after_it_was_loaded_does_not_speak_for_the_loaded_code(tmp_path: Path) -> None:
    file = tmp_path / "project.py"
    module = load(file, "def work(x):\n    return x + 1\n")
    before = CodeReader(tmp_path).identity(module.work)
    file.write_text("def work(x):\n    return x + 2\n")
    stale = CodeReader(tmp_path).identity(module.work)
    assert any("changed since it was loaded" in note for note in stale.notes)
    renewed = CodeReader(tmp_path).identity(load(file, file.read_text()).work)
    assert len({before.hash, stale.hash, renewed.hash}) == 3
    sys.modules.pop("project_main")


def test_a_function_without_source_goes_by_its_bytecode(tmp_path: Path) -> None:
    def typed_in(text: str) -> CodeIdentity:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(text, namespace)
        return CodeReader(tmp_path).identity(namespace["work"])

    one = typed_in("K = 1\ndef inner(x): return x + K\ndef work(x): return inner(x)")
    assert one.notes
    assert one.hash == typed_in("K = 1\n\n\ndef inner(x): return x + K\ndef work(x): return inner(x)").hash
    assert one.hash == typed_in('K = 1\ndef inner(x):\n  "Say so."\n  return x + K\ndef work(x): return inner(x)').hash
    assert one.hash != typed_in("K = 2\ndef inner(x): return x + K\ndef work(x): return inner(x)").hash
    assert one.hash != typed_in("K = 1\ndef inner(x): return x - K\ndef work(x): return inner(x)").hash


def test_recursion_and_methods_that_call_each_other_end(write: Write, tmp_path: Path) -> None:
    text = """
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
class Node:
    def children(self): return [Node(), even(3)]
def work(n): return even(n), Node(), work
"""
    module = load(tmp_path / "project.py", text)
    assert set(CodeReader(tmp_path).identity(module.work).parts) == {
        f"project.py:{name}" for name in ("even", "odd", "Node", "work")
    }


def test_two_lambdas_of_one_line_differ_by_what_they_hold(tmp_path: Path) -> None:
    module = load(tmp_path / "project.py", "def made(k):\n    return lambda x: x + k\none, two = made(1), made(2)\n")
    reader = CodeReader(tmp_path)
    assert reader.identity(module.one).hash != reader.identity(module.two).hash


def test_a_library_is_named_and_not_followed(tmp_path: Path) -> None:
    identity = CodeReader(tmp_path).identity(textwrap.dedent)
    assert identity.parts == {}
    assert identity.hash != CodeReader(tmp_path).identity(textwrap.fill).hash


def test_a_step_of_perenne_goes_by_all_of_its_source(tmp_path: Path) -> None:
    identity = CodeReader(tmp_path).identity(key_of)
    assert identity.parts == {"perenne": library_digest()}


def test_a_shared_class_counts_where_its_instances_are_constants(write: Write) -> None:
    main = changed(MAIN, "OFFSET = 1", "class Size:\n    def value(self): return 1\nSIZE = Size()\nOFFSET = 1")
    main = changed(main, "return x * by", "return x * by + SIZE.value()")
    assert write(main).hash != write(changed(main, "def value(self): return 1", "def value(self): return 2")).hash


def test_the_hash_does_not_depend_on_the_process(tmp_path: Path) -> None:
    (tmp_path / "project_helpers.py").write_text(HELPERS)
    main = changed(MAIN, "UNUSED = 1", 'LEVELS = {"x", "y", "z"}')
    (tmp_path / "project.py").write_text(changed(main, "len(NAMES)", 'len(NAMES) + (str(x) in LEVELS or x in {"p", "q"})'))
    program = (
        "from pathlib import Path\nimport project\nfrom perenne.pipelines.code import CodeReader\n"
        "print(CodeReader(Path('.')).identity(project.work.function).hash)"
    )
    paths = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": paths},
            cwd=tmp_path, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(hashes) == 1
