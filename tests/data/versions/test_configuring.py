"""The four config files, and what their options may be."""

from pathlib import Path

import pytest

from perenne.core.errors import Invalid, NotFound
from perenne.data.versions.configuring import ConfigFiles, checked_remote
from perenne.data.versions.repository import init_repository


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigFiles:
    root = tmp_path / "project"
    (root / "inner").mkdir(parents=True)
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    monkeypatch.chdir(root / "inner")
    init_repository(root, no_scm=True)
    return ConfigFiles()


def test_a_relative_path_is_stored_from_the_file_and_read_from_anywhere(files: ConfigFiles, tmp_path: Path) -> None:
    files.set(None, 'remote "store"', "url", "../../store")
    assert files.raw(None)['remote "store"'] == {"url": "../../store"}
    assert files.read(None)['remote "store"'] == {"url": str(tmp_path / "store")}


def test_the_later_file_wins_and_secrets_may_lie_in_the_local_one(files: ConfigFiles) -> None:
    files.set("global", "core", "remote", "far")
    files.set(None, 'remote "near"', "url", "s3://bucket/data")
    files.set(None, "core", "remote", "near")
    files.set("local", 'remote "near"', "secret_access_key", "hush")
    assert files.merged()["core"]["remote"] == "near"
    assert files.merged()['remote "near"'] == {"url": "s3://bucket/data", "secret_access_key": "hush"}
    assert "hush" not in files.place(None).read_text()
    files.unset(None, "core", "remote")
    assert files.merged()["core"]["remote"] == "far"


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("core", "colour", "red", r"extra keys not allowed @ data\['core'\]\['colour'\]"),
        ("nowhere", "x", "1", "extra keys not allowed"),
        ("core", "autostage", "perhaps", "expected true or false for 'core.autostage'"),
        ("cache", "type", "hardlink,teleport", "types of links"),
        ("cache", "shared", "all", "one of group"),
        ("core", "checksum_jobs", "many", "a whole number"),
        ('remote "r"', "url", "gopher://x/y", "Unsupported URL type gopher://"),
        ('remote "r"', "region", "eu", r"extra keys not allowed @ data\['remote'\]\['r'\]\['region'\]"),
    ],
)
def test_what_dvc_does_not_take_is_refused_and_changes_nothing(
    files: ConfigFiles, section: str, key: str, value: str, said: str
) -> None:
    before = files.place(None).read_bytes()
    with pytest.raises(Invalid, match=said):
        files.set(None, section, key, value)
    assert files.place(None).read_bytes() == before


def test_a_remote_takes_all_its_options_to_its_new_name(files: ConfigFiles) -> None:
    files.set(None, 'remote "a"', "url", "s3://bucket")
    files.set(None, 'remote "a"', "region", "eu")
    files.rename_remote(None, "a", "b")
    assert checked_remote(files.merged(), "b") == {"url": "s3://bucket", "region": "eu"}
    with pytest.raises(NotFound, match="remote 'a' doesn't exist"):
        checked_remote(files.merged(), "a")


def test_a_repositorys_file_needs_a_repository(tmp_path: Path) -> None:
    outside = ConfigFiles(tmp_path)
    with pytest.raises(Invalid, match="Not inside a DVC repo"):
        outside.set(None, "core", "autostage", "true")
