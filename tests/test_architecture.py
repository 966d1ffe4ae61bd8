"""The house rules of the code's shape, as tests: facades, rooms, circles, sizes, names, third-party packages, ports.

The layers themselves are contracts of import-linter, in `pyproject.toml`.
"""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path

import grimp
import msgspec
import pytest

from perenne.core.nouns import NOUNS

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src" / "perenne"
PLATFORM = {"core", "stats", "formats", "storage", "compute", "auth", "net", "telemetry"}
EDGE = {"app", "cli", "web", "protocols", "testing"}
EDGE_ROOMS = {"http", "commands", "views"}
MAX_FILE, MAX_FUNCTION, MAX_FACADE = 500, 60, 12
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base2"}

SMALL = {"msgspec", "numpy"}
ALLOWED_THIRD_PARTY = {
    "core": {"msgspec"},
    "stats": SMALL | {"pyarrow", "scipy", "sklearn", "threadpoolctl"},
    "formats": SMALL | {"ruamel", "yaml"},
}
DOING_INPUT_OUTPUT = {"asyncio", "ftplib", "http", "multiprocessing", "shutil", "smtplib", "socket", "sqlite3", "ssl"}
DOING_INPUT_OUTPUT |= {"subprocess", "tempfile", "threading"}
HEAVY = {"alembic", "duckdb", "numpy", "onnx", "onnxruntime", "pyarrow", "rich", "scipy", "sklearn", "skl2onnx", "sqlalchemy"}
HEAVY |= {"obstore", "ray", "starlette", "uvicorn"}


def source_files() -> list[Path]:
    return sorted(SRC.rglob("*.py"))


def domains() -> list[str]:
    return sorted(p.parent.name for p in SRC.glob("*/__init__.py") if p.parent.name not in PLATFORM | EDGE)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def graph(*, with_type_checking: bool = False) -> grimp.ImportGraph:
    return grimp.build_graph("perenne", exclude_type_checking_imports=not with_type_checking, cache_dir=None)


def imports() -> Iterator[tuple[list[str], list[str]]]:
    """Every import between modules of perenne, those inside functions included, as the parts of both names."""
    for importer in sorted(graph().modules):
        for imported in sorted(graph().find_modules_directly_imported_by(importer)):
            yield importer.split("."), imported.split(".")


def spoken(importer: list[str], imported: list[str]) -> str:
    return f"{'.'.join(importer)} -> {'.'.join(imported)}"


def test_a_domain_is_entered_by_its_facade_only() -> None:
    bad = []
    for importer, imported in imports():
        inner = len(imported) > 2 and imported[1] not in PLATFORM | EDGE
        by_the_edge = importer[1:2] in (["app"], ["cli"], ["web"]) and inner and imported[2] in EDGE_ROOMS
        if inner and importer[1:2] != imported[1:2] and not by_the_edge:
            bad.append(spoken(importer, imported))
    assert not bad, bad


def test_nothing_inside_a_domain_imports_its_edge_or_its_own_facade() -> None:
    bad = []
    for importer, imported in imports():
        if importer[1:2] != imported[1:2] or importer[1] not in domains():
            continue
        if (len(imported) == 2 and len(importer) > 2) or (len(importer) > 2 and set(imported[2:3]) & EDGE_ROOMS):
            bad.append(spoken(importer, imported))
    assert not bad, bad


def test_no_circles_lazy_imports_included() -> None:
    """A facade's names are read lazily, which its block for type checkers shows; everything else counts as it is written."""
    edges = {module: set(graph().find_modules_directly_imported_by(module)) for module in graph().modules}
    for facade in (f"perenne.{domain}" for domain in domains()):
        edges[facade] |= graph(with_type_checking=True).find_modules_directly_imported_by(facade)
    circles = [group for group in strongly_connected(edges) if len(group) > 1]
    assert not circles, circles


def strongly_connected(edges: dict[str, set[str]]) -> list[list[str]]:
    """Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for following in sorted(edges.get(node, ())):
            if following not in index:
                visit(following)
                low[node] = min(low[node], low[following])
            elif following in stack:
                low[node] = min(low[node], index[following])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(stack[at:])
            del stack[at:]

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


def test_circles_would_be_found() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}
    assert [group for group in strongly_connected(edges) if len(group) > 1] == [["b", "c"]]


def test_a_model_imports_core_and_stats_only() -> None:
    bad = [
        spoken(importer, imported)
        for importer, imported in imports()
        if importer[2:] == ["model"] and imported[1] not in {"core", "stats", importer[1]} and len(imported) != 2
    ]
    assert not bad, bad


def imported_packages(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - {"perenne"}


def restricted_files() -> list[tuple[Path, set[str]]]:
    chosen = [(path, names) for folder, names in ALLOWED_THIRD_PARTY.items() for path in (SRC / folder).rglob("*.py")]
    return chosen + [(path, SMALL) for path in SRC.glob("*/model.py") if path.parent.name not in EDGE]


def test_core_stats_formats_and_models_import_only_what_is_allowed() -> None:
    bad = []
    for path, allowed in restricted_files():
        foreign = imported_packages(path) - set(sys.stdlib_module_names) - allowed
        bad += [f"{path.relative_to(SRC)}: {name}" for name in sorted(foreign)]
    assert not bad, bad


def test_stats_formats_and_models_do_no_input_or_output() -> None:
    bad = []
    for path, _ in restricted_files():
        if path.parent.name == "core":
            continue
        bad += [f"{path.relative_to(SRC)}: {name}" for name in sorted(imported_packages(path) & DOING_INPUT_OUTPUT)]
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
        bad += [f"{path.relative_to(SRC)}:{call.lineno} open()" for call in calls if getattr(call.func, "id", "") == "open"]
    assert not bad, bad


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Go through the statements below a node; expressions, which are nine of ten nodes, hold none."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for below in getattr(node, name, ()) if not isinstance(node, ast.expr) else ():
            yield below
            yield from statements(below)


def test_files_and_functions_are_short() -> None:
    """Schema versions apart: they are generated, one statement after the other."""
    bad = []
    written = [path for path in source_files() if path.parent.name != "versions"]
    for path in [*written, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]:
        name = path.relative_to(ROOT)
        lines = path.read_text().count("\n")
        if lines > MAX_FILE:
            bad.append(f"{name}: {lines} lines")
        for node in statements(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    bad.append(f"{name}:{node.lineno} {node.name}: {length} lines")
    assert not bad, bad


def test_modules_have_names_that_say_something() -> None:
    bad = [str(p.relative_to(SRC)) for p in SRC.rglob("*") if p.stem in NAMES_THAT_SAY_NOTHING and "__pycache__" not in p.parts]
    assert not bad, bad


def test_every_package_says_what_it_is() -> None:
    bad = [str(path.relative_to(SRC)) for path in source_files() if path.read_text() and not ast.get_docstring(tree(path))]
    assert not bad, bad


@pytest.mark.parametrize("domain", domains())
def test_a_facade_has_at_most_a_dozen_doors_and_each_name_can_be_imported(domain: str) -> None:
    """Doors are what does something; the types that travel through them come along (docs/decisions)."""
    facade = importlib.import_module(f"perenne.{domain}")
    names = list(getattr(facade, "__all__", ()))
    assert len(names) == len(set(names)), "__all__ names something twice"
    assert [name for name in names if not hasattr(facade, name)] == []
    doors = [name for name in names if not is_type_that_travels(getattr(facade, name))]
    assert len(doors) <= MAX_FACADE, f"{len(doors)} doors: {doors}"


def is_type_that_travels(value: object) -> bool:
    """Tell whether a name is a Struct, an enumeration, a type alias or a constant."""
    return not (inspect.isfunction(value) or inspect.ismodule(value)) and not (
        inspect.isclass(value) and not issubclass(value, msgspec.Struct | Enum)
    )


def test_importing_every_facade_and_the_command_line_is_cheap() -> None:
    modules = ["perenne", "perenne.cli.root", *(f"perenne.{domain}" for domain in domains())]
    program = f"import sys, importlib; [importlib.import_module(m) for m in {modules}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert HEAVY & set(done.stdout.split()) == set()


def folders_of_nouns() -> dict[str, str]:
    return {noun.folder: noun.command for noun in NOUNS}


def test_every_domain_has_its_noun_and_every_noun_its_folder() -> None:
    named = folders_of_nouns()
    without_people = {"inference"}
    assert [domain for domain in domains() if domain not in named and domain not in without_people] == []
    assert [folder for folder in named if not (SRC / folder).is_dir()] == []


def test_a_domains_commands_and_tests_have_its_name() -> None:
    from perenne.cli.root import COMMANDS

    bad = []
    for folder, command in folders_of_nouns().items():
        # A noun whose verbs come from several domains is put together at the edge, in a module of its name.
        homes = (f"perenne.{folder}.commands:", f"perenne.cli.{command}:")
        if (SRC / folder / "commands.py").exists() and not COMMANDS.get(command, ("",))[0].startswith(homes):
            bad.append(f"{command}: not a command of perenne.{folder}")
    bad += [f"tests/{domain} is missing" for domain in domains() if not list((ROOT / "tests" / domain).glob("test_*.py"))]
    assert not bad, bad


def test_every_domain_has_its_page_in_the_docs() -> None:
    assert [noun.page for noun in NOUNS if not (ROOT / "docs" / f"{noun.page}.md").exists()] == []


def test_every_command_of_the_root_can_be_imported() -> None:
    from perenne.cli.root import COMMANDS

    bad = []
    for name, (target, _) in COMMANDS.items():
        module, _, attribute = target.partition(":")
        path = SRC.joinpath(*module.split(".")[1:]).with_suffix(".py")
        if not path.exists() or not hasattr(importlib.import_module(module), attribute):
            bad.append(f"{name}: {target}")
    assert not bad, bad


def ports() -> list[tuple[str, str]]:
    """The Protocols with two methods or more, with the module of each; one of properties alone is the shape of a value."""
    found = []
    for path in source_files():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases):
                functions = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
                methods = [item for item in functions if "property" not in map(ast.unparse, item.decorator_list)]
                if len(methods) >= 2:
                    assert len(methods) <= 8, f"{path}: {node.name} has {len(methods)} methods"
                    found.append((str(path.relative_to(SRC)), node.name))
    return found


def test_every_port_publishes_its_contract() -> None:
    bodies = [tree(path).body for path in (SRC / "testing").glob("*.py")]
    published = {node.name for body in bodies for node in body if isinstance(node, ast.ClassDef)}
    assert [f"{path}: {name}" for path, name in ports() if f"{name}Contract" not in published] == []
