"""Static files: what is vendored is what it says, and every file is where the rules want it."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from perenne.core.addresses import _BY_ID, address_of
from perenne.web.assets import STATIC, Assets
from perenne.web.pages import PAGES

VENDOR = STATIC / "vendor"
DOMAINS = {path.parent.name for path in Path(STATIC).parents[1].glob("*/__init__.py")}
MOST_LINES = 500
OWN = [path for path in sorted(STATIC.rglob("*")) if path.suffix in (".js", ".css") and VENDOR not in path.parents]


def test_vendored_files_are_what_they_are_said_to_be() -> None:
    listed = json.loads((VENDOR / "vendor.json").read_text())
    for entry in listed:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        assert (VENDOR / entry["licence_file"]).read_text().strip()
        assert entry["version"]
        assert entry["licence"] in ("MIT", "Apache-2.0", "OFL-1.1")
    known = {entry["file"] for entry in listed} | {entry["licence_file"] for entry in listed} | {"vendor.json"}
    assert {path.name for path in VENDOR.iterdir()} == known


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.relative_to(STATIC).as_posix())
def test_a_file_lies_in_a_known_folder_and_is_short(path: Path) -> None:
    folder = path.relative_to(STATIC).parts[0]
    assert folder in {"core", "screens"} | DOMAINS
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES
    if path.suffix == ".js":
        assert text.startswith("//"), "the first line says what it is for"
        for name in re.findall(r'(?:from|import)\s*\(?"(\.[^"]+)"', text):
            assert (path.parent / name).resolve().is_file() or name.endswith("auth/login.js"), name
        assert not re.search(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval)\b", text)
        assert "dangerouslySetInnerHTML" not in text


def test_every_screen_has_an_address_that_opens_the_page() -> None:
    text = (STATIC / "core" / "screens.js").read_text()
    firsts = {path.split("/")[1] for path in re.findall(r'^\s*\["(/[^"]*)", \(\) => import', text, re.M)}
    assert firsts - {""} <= set(PAGES)


@pytest.mark.parametrize("path", ["/", "/model/churn", "/lineage/run/a/b", "/none"])
def test_the_shell_names_files_that_are_there(path: str) -> None:
    assets = Assets()
    names = re.findall(rf"{assets.prefix}([^\"]+)", assets.shell(path).decode())
    assert {"core/main.js", "vendor/preact.js", "core/all.css"} <= set(names)
    assert not [name for name in names if name not in assets.files]


@pytest.mark.parametrize("kind", [*_BY_ID, "version", "alias", "event"])
def test_the_address_of_a_thing_is_that_of_a_screen(kind: str) -> None:
    assets, path = Assets(), address_of(kind, "churn@3").partition("?")[0]
    assert assets.shell(path) != assets.shell("/none"), path


def test_the_shell_names_the_modules_of_its_screen(tmp_path: Path) -> None:
    texts = {
        "core/main.js": 'import {\n  a,\n} from "./a.js";\n',
        "core/a.js": 'import "../vendor/v.js";\nconst later = () => import("../auth/later.js");\n',
        "core/screens.js": 'const all = [\n  ["/thing/:name", () => import("../things/thing.js")],\n];\n',
        "things/thing.js": 'export { b } from "./b.js";\n',
        "things/b.js": "",
        "auth/later.js": "",
        "vendor/v.js": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assets = Assets(tmp_path)

    def named(path: str) -> list[str]:
        return re.findall(rf'modulepreload" href="{assets.prefix}([^"]+)', assets.shell(path).decode())

    assert named("/") == ["core/main.js", "core/a.js", "vendor/v.js"]
    assert named("/thing/one") == ["core/main.js", "core/a.js", "vendor/v.js", "things/thing.js", "things/b.js"]


def test_a_changed_file_changes_every_address(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("// one\n")
    before = Assets(tmp_path).prefix
    (tmp_path / "a.js").write_text("// two\n")
    assert Assets(tmp_path).prefix != before


def test_text_is_packed_and_fonts_are_not() -> None:
    files = Assets().files
    packed = files["core/main.js"].packed
    assert packed is None or gzip.decompress(packed) == files["core/main.js"].body
    assert files["vendor/uplot.js"].packed is not None
    assert files["vendor/inter.woff2"].packed is None
