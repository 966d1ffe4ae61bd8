"""What the README and the docs show works: their code runs, their commands exist, their links lead somewhere."""

import re
from pathlib import Path

import pytest
from tests.docs.snippets import FENCE, ROOT, blocks, check_command, commands, run_page, run_shell, running

PAGES = sorted(path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLES = sorted((ROOT / "examples").rglob("*.md"))
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(page, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    without_code = FENCE.sub("", page.read_text())
    targets = [match["target"].split("#")[0] for match in LINK.finditer(without_code)]
    missing = [target for target in targets if target and "://" not in target and not (page.parent / target).exists()]
    assert not missing, missing


def test_an_unknown_command_or_option_in_a_page_would_be_found() -> None:
    with pytest.raises(AssertionError, match="no command"):
        check_command(["no-such-command"], "here")
    with pytest.raises(AssertionError, match="unknown option"):
        check_command(["model", "list", "--no-such-option"], "here")


def test_commands_are_found_wherever_they_stand_in_a_line() -> None:
    script = "A=1 ./perenne run --json | jq '.(x);\n y' # perenne no\nperenne why \\\n  $(perenne status) && echo perenne\n"
    script += "cat > x <<'END'\ndon't perenne\nEND\nperenne up &\n"
    assert list(commands(script)) == [["run", "--json"], ["why", "$"], ["status"], ["up"]]


def test_blocks_are_read_with_their_marks() -> None:
    found = list(blocks("a\n```python file=p.py\nx = 1\n```\n```sh no-run\nperenne up\n```\n"))
    assert [(block.line, block.language, block.file, block.runs) for block in found] == [
        (2, "python", "p.py", True),
        (5, "sh", None, False),
    ]


def test_a_block_that_is_tried_until_it_succeeds_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    block = next(blocks("```sh until\nif [ -e seen ]; then exit 0; fi; touch seen; exit 1\n```\n"))
    run_shell(block, "here")
    with pytest.raises(AssertionError, match="here"):
        run_shell(next(blocks("```sh\nexit 1\n```\n")), "here")


def test_a_block_in_the_background_must_not_end_before_the_page() -> None:
    block = next(blocks("```sh background\nexit 3\n```\n"))
    with pytest.raises(AssertionError, match="before the page"), running(block) as process:
        process.wait()
