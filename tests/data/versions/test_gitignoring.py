"""What Git ignores, decided without Git where the rules are simple, is what Git says."""

import subprocess
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perenne.data.versions.gitignoring import GitIgnoring

NAMES = ["a", "b", "a b", "a.dvc", "#x", "!y", "[z]", "*", "q?", "back\\slash", "ü"]
RULES = st.lists(
    st.sampled_from(
        ["/a", "a", "a/", "/a/", "b", "/a b", r"/\#x", r"/\!y", r"/\[z\]", r"/\*", r"q\?", "# note", "", "ü", "*.dvc", "!a"]
    ),
    max_size=4,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(top=RULES, inner=RULES)
def test_git_agrees(tmp_path: Path, top: list[str], inner: list[str]) -> None:
    if not (tmp_path / ".git").exists():
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        (tmp_path / "in").mkdir()
    (tmp_path / ".gitignore").write_text("\n".join(top) + "\n")
    (tmp_path / "in/.gitignore").write_text("\n".join(inner) + "\n")
    for folder in (str(tmp_path), f"{tmp_path}/in"):
        paths = [f"{folder}/{name}{end}" for name in NAMES for end in ("", "/")]
        with GitIgnoring(tmp_path, str(tmp_path)) as asking:
            asking.kept(str(tmp_path), [f"{tmp_path}/x"])
            found = asking.kept(folder, paths)
        given_ = b"\0".join(path.encode() for path in paths)
        command = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "--stdin", "-z"]
        said = subprocess.run(command, input=given_, capture_output=True, check=False).stdout
        ignored = {path.decode() for path in said.split(b"\0") if path}
        assert found == [path for path in paths if path not in ignored]
