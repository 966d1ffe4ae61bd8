"""Our files beside those that DVC 3.67.1 wrote (``record.py`` asked it)."""

import json
from pathlib import Path
from typing import Any

import pytest

from perenne.formats.dvc import configs, documents, ignores, locks, run_cache
from perenne.formats.dvc.entries import entry_of
from perenne.formats.dvc.manifests import ManifestEntry, manifest_digest, read_manifest, write_manifest
from perenne.formats.dvc.metafiles import MetaFile, read_metafile, stage_md5, write_metafile, written_metafile

GOLDEN = Path(__file__).parent / "golden"


def recorded(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def test_metafiles() -> None:
    for case in recorded("metafiles"):
        old, text = case["old"] and case["old"].encode(), case["text"].encode()
        assert documents.load(text, "x") == case["new"]
        assert (documents.edit(old, case["new"], "x") if old else documents.dump(case["new"])) == text


def test_a_metafile_read_and_written_keeps_its_bytes() -> None:
    for case in recorded("metafiles"):
        text = case["text"].encode()
        if "\\n" in json.dumps(case["new"]["outs"][0]["path"]):
            continue
        meta = read_metafile(text, "x.dvc")
        assert write_metafile(meta, text) is text
        assert documents.load(write_metafile(meta), "x.dvc") == {**case["new"], **written_metafile(meta)}


def test_manifests() -> None:
    for case in recorded("manifests"):
        entries = [ManifestEntry(path, digest) for path, digest in case["entries"]]
        data = case["bytes"].encode()
        assert write_manifest(entries) == data
        assert manifest_digest(data) == case["digest"]
        assert sorted(read_manifest(data, "x"), key=str) == sorted(entries, key=str)


def locked(keys: dict[str, Any]) -> locks.LockedStage:
    """Make a stage; what was one object when DVC wrote it is one again."""
    for value in keys.get("params", {}).get("params.yaml", {}).values():
        if isinstance(value, dict) and "two" in value:
            value["two"] = value["one"]
    return locks.stage_of(keys, "x")


def test_locks() -> None:
    for steps in recorded("locks"):
        text: bytes | None = None
        for step in steps:
            text = locks.write_stage(text, step["name"], locked(step["stage"]))
            assert text.decode() == step["text"]
        assert locks.read_lock(text or b"").stages[steps[-1]["name"]] == locked(steps[-1]["stage"])


def test_values_of_params_and_keys_of_the_run_cache() -> None:
    for case in recorded("lock_values"):
        stage = locked(case["stage"])
        assert run_cache.write_entry(stage).decode() == case["text"]
        assert run_cache.key_of(stage) == case["key"]
        assert run_cache.read_entry(case["text"].encode(), "x") == stage


def test_the_hash_of_a_stage() -> None:
    for case in recorded("stage_hashes"):
        keys = case["stage"]
        meta = MetaFile(
            frozen=keys["frozen"],
            deps=tuple(entry_of(entry, "x") for entry in keys["deps"]),
            outs=tuple(entry_of(entry, "x") for entry in keys["outs"]),
        )
        assert stage_md5(meta) == case["md5"]


def test_ignore_files() -> None:
    golden = recorded("ignores")
    for case in golden["cases"]:
        outer = ignores.Ignore([ignores.Rule(p, f".dvcignore:{i}:{p}") for i, p in enumerate(case["outer"])])
        inner = ignores.Ignore([ignores.Rule(p, f"a/.dvcignore:{i}:{p}") for i, p in enumerate(case["inner"])], "a")
        both = outer.nested(inner)
        expected = {(path, is_dir): (result, rules) for path, is_dir, result, rules in case["answers"]}
        for path in golden["paths"]:
            for is_dir in (False, True):
                ignored, rules = both.explain(path, is_dir)
                assert (ignored, list(map(str, rules))) == expected.get((path, is_dir), (False, [])), (case, path, is_dir)


def test_lines_of_gitignore() -> None:
    for name, line in recorded("escapes"):
        assert ignores.escaped(name) == line
        assert ignores.without_line(ignores.with_line(b"/x", name), name) == b"/x\n"


@pytest.mark.parametrize("steps", recorded("configs"))
def test_configs(steps: list[Any]) -> None:
    text = b""
    for section, key, value, expected in steps:
        text = configs.write_config(text, section, key, value)
        assert text.decode() == expected
        config = configs.read_config(text)
        assert config.get(section, {}).get(key) == value
