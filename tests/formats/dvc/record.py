"""Asks the real DVC what it makes of values, and writes the golden files beside this one.

Run by the Python of an environment with dvc 3.67.1: ``<that environment>/bin/python tests/formats/dvc/record.py``.
"""

# ruff: noqa: E501
import io
import itertools
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from dvc.config import Config
from dvc.ignore import DvcIgnorePatterns
from dvc.pathspec_math import PatternInfo, merge_patterns
from dvc.utils import dict_md5, dict_sha256
from dvc.utils.collections import apply_diff
from dvc.utils.serialize import dump_yaml, modify_yaml, parse_yaml_for_update
from dvc.utils.serialize._yaml import _dump
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree
from scmrepo.git import GitWildMatchPattern

GOLDEN = Path(__file__).parent / "golden"
NAMES = [
    "a.txt", "x y.csv", "file name #1.txt", "[br]*.txt", "-dash", "ünïcode", "emoji😀", "quo'te", 'double"quote', "back\\slash", "a:b", "a: b",
    "1", "1e3", "0x1F", "yes", "null", "~", "true", "#lead", "!lead", "tab\tname", "new\nline", "trailing ", " leading", "sub/x", "sub-/x",
    "sub.d/x", "&a", "*", "@x", "%x", "`x", "a,b", "{a}", "...", "---", "- x", "?", "long" * 25, "long words " * 12 + "end",
]  # fmt: skip


def text_of(value: object) -> str:
    stream = io.StringIO()
    _dump(value, stream)
    return stream.getvalue()


def metafiles() -> list[Any]:
    """New texts, and edits of old ones."""
    found = []
    for name in NAMES:
        keys = {"outs": [{"md5": "9dd4e461268c8034f5c8564e155c67a6", "size": 1, "isexec": True, "hash": "md5", "path": name}]}
        found.append({"old": None, "new": keys, "text": text_of(keys)})
    olds = [
        "# by hand\nouts:\n- md5: 9dd4e461268c8034f5c8564e155c67a6 # old\n  size: 1\n  path: data # where\nmeta:\n  owner: 'me'\n  list: [1, 2]\n",
        "outs:\n  - path: data\n    md5: 9dd4e461268c8034f5c8564e155c67a6\n    desc: |\n      two\n      lines\n",
        "outs:\n- md5: 9dd4e461268c8034f5c8564e155c67a6\n  size: 1\n  path: data\nmeta: {a: 1}\ndesc: note\n",
        "desc: \"quoted\"\nouts:\n- md5: 9dd4e461268c8034f5c8564e155c67a6\n  size: 1\n  hash: md5\n  path: data\n",
    ]  # fmt: skip
    for old in olds:
        keys = json.loads(json.dumps(parse_yaml_for_update(old, "x")))
        keys["outs"][0] = {"md5": "60b725f10c9c85c70d97880dfe8191b3", "size": 2, "hash": "md5", **keys["outs"][0]}
        keys["outs"][0]["md5"], keys["outs"][0]["size"] = "60b725f10c9c85c70d97880dfe8191b3", 2
        document = parse_yaml_for_update(old, "x")
        apply_diff(keys, document)
        found.append({"old": old, "new": keys, "text": text_of(document)})
    return found


def manifests() -> list[Any]:
    rng, found = random.Random(6), []
    for count in (0, 1, 3, 8, len(NAMES)):
        tree, names = Tree(), rng.sample([name for name in NAMES if "\\" not in name], min(count, len(NAMES) - 1))
        entries = [(name, f"{rng.getrandbits(128):032x}") for name in names]
        for name, digest in entries:
            tree.add(tuple(name.split("/")), Meta(), HashInfo("md5", digest))
        tree.digest()
        found.append({"entries": entries, "bytes": tree.as_bytes().decode(), "digest": tree.hash_info.value})
    return found


def values() -> list[Any]:
    shared = {"x": 1}
    return [
        1, -1, 0, 0.1, 1e-10, 1e22, 1e16, -0.0, 1.5e300, True, False, None, "yes", "no", "on", "1", "1.0", "1e5", "null", "~", "", " ", "a b", "a: b",
        "a #b", "2020-01-01", "12:30", "0o7", "0x1f", "ü😀", "line\nbreak", "tab\t", "it's", 'say "x"', "'q'", "- x", [], {}, [1, [2, [3]]], [None], [{}],
        {"a": None}, {"a": {"b": []}}, {"a b": 1, "1": 2, "yes": 3}, ["x" * 90], "word " * 30, "x" * 100, {"one": shared, "two": shared}, "%x", "@x",
    ]  # fmt: skip


def locks() -> list[Any]:
    """Series of stages saved one after the other, with the text after each."""
    found = []
    for seed in range(6):
        rng = random.Random(seed)
        with tempfile.TemporaryDirectory() as folder:
            path, steps = Path(folder) / "dvc.lock", []
            for _ in range(10):
                name, stage = rng.choice(["prep", "train", "m@1-a b", "e@k1", "'q'", "2"]), stage_of(rng)
                with modify_yaml(path) as data:
                    if not data:
                        data.update({"schema": "2.0"})
                    data["stages"] = data.get("stages", {})
                    data["stages"].update({name: stage})
                steps.append({"name": name, "stage": stage, "text": path.read_text()})
            found.append(steps)
    return found


def stage_of(rng: random.Random) -> dict[str, Any]:
    stage: dict[str, Any] = {
        "cmd": rng.choice(
            ["make", ["a", "b"], "mkdir -p out && cat " + "data/file.txt " * 8 + "> out/all", "echo 'a' \"b\"", "a: b"]
        )
    }
    if rng.random() < 0.7:
        stage["deps"] = [entry_of(rng, f"d{index}") for index in range(rng.randint(1, 2))]
    if rng.random() < 0.7:
        stage["params"] = {"params.yaml": {f"k{index}": rng.choice(values()) for index in range(3)}}
    stage["outs"] = [entry_of(rng, rng.choice(["out", "x y", "#o"]))]
    return stage


def entry_of(rng: random.Random, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "hash": "md5",
        "md5": f"{rng.getrandbits(128):032x}{rng.choice(['', '.dir'])}",
        "size": rng.randint(0, 99),
    }


def lock_values() -> list[Any]:
    stages = [{"cmd": "x", "params": {"params.yaml": {"v": value}}} for value in values()]
    found = []
    for stage in stages:
        with tempfile.TemporaryDirectory() as folder:
            dump_yaml(Path(folder) / "x", stage)
            text = (Path(folder) / "x").read_text()
        keyed = {**stage, "outs": []}
        found.append({"stage": stage, "text": text, "key": dict_sha256(keyed, exclude=["size", "nfiles"])})
    return found


def stage_hashes() -> list[Any]:
    not_counted = ["desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles"]
    stages: list[Any] = [
        {"frozen": True, "deps": [{"path": "d", "repo": {"url": "../src3", "rev_lock": "d47d6539a255169cd19cf10287dc538b805d9e88"}}],
         "outs": [{"md5": "f437247ec66d73ba66b0ade0246fcb49.dir", "size": 4, "nfiles": 2, "hash": "md5", "path": "d"}]},
        {"frozen": True, "deps": [{"md5": "26ab0db90d72e28ad0ba1e22ee510510", "size": 2, "hash": "md5", "path": "../src3/d/2"}],
         "outs": [{"hash": "md5", "path": "two"}]},
    ]  # fmt: skip
    return [{"stage": stage, "md5": dict_md5(stage, exclude=not_counted)} for stage in stages]


def ignores() -> dict[str, Any]:
    patterns = [
        "*.tmp", "/logs", "logs/", "a/b", "a/*/c", "**/x", "x/**", "a/**/b", "!keep.tmp", "!a/b", "[ab].txt", "[!a].txt", "[^a]b", "[a", "?.py", "*", "*/",
        "**", "**/", "/", "\\#hash", "\\!bang", "#comment", "foo bar", "foo\\ ", "[]-]", "a\\*b", "/a", "a/", "b?/*", "[]", "x\\", "!", "!*.txt", "/*", "!/a",
        "/a/*", "!/a/b", "**/c/**", "a//b", "***", "a**b",
    ]  # fmt: skip
    paths = ["a", "b", "a/b", "a/b/c", "a/x/c", "x", "x/y", "logs", "logs/l.tmp", "k.tmp", "keep.tmp", "a/keep.tmp", "a.txt", "b.txt", "cb", "ab",
             "q.py", "a/q.py", "#hash", "!bang", "foo bar", "foo ", "-", "]", "a*b", "axxb", "c/d", "z/c/d", ".git", "a/.git/x", ".dvc/config", "[]"]  # fmt: skip
    rng, found = random.Random(7), []
    for _ in range(120):
        outer, inner = rng.sample(patterns, rng.randint(1, 4)), rng.sample(patterns, rng.randint(0, 3))
        rules, base = [PatternInfo(p, f".dvcignore:{i}:{p}") for i, p in enumerate(outer)], "/r"
        inside = [PatternInfo(p, f"a/.dvcignore:{i}:{p}") for i, p in enumerate(inner)]
        try:
            kept = [DvcIgnorePatterns(patterns, "/r", "/").pattern_list for patterns in (rules, inside)]
            rules, base = merge_patterns(os.path, kept[0], base, kept[1], "/r/a")
            ignore = DvcIgnorePatterns(rules, base, "/")
        except ValueError:
            continue
        answers = []
        for path, is_dir in itertools.product(paths, (False, True)):
            folder, name = os.path.split("/r/" + path)
            result, matched = ignore.matches(folder, name, is_dir, True)
            if matched:
                answers.append([path, is_dir, result, [str(rule) for rule in matched]])
        found.append({"outer": outer, "inner": inner, "answers": answers})
    return {"paths": paths, "cases": found}


def escapes() -> list[Any]:
    return [[name, GitWildMatchPattern.escape("/" + name)] for name in NAMES if "\n" not in name and "/" not in name]


def configs() -> list[Any]:
    """Series of changes, with the text after each."""
    series: list[Any] = [
        [("core", "remote", "loc"), ("cache", "type", "hardlink,symlink"), ('remote "loc"', "url", "/abs/path"), ("core", "remote", None)],
        [('remote "s3r"', "url", "s3://bucket/pre"), ('remote "s3r"', "endpointurl", "http://host:9000"), ("core", "autostage", "true"),
         ('remote "b"', "url", "/x y/#z"), ('remote "s3r"', "version_aware", "true"), ('remote "s3r"', None, None), ("cache", "shared", "group")],
        [("cache", "dir", "/it's"), ("cache", "dir", '/say "x"'), ("cache", "type", "copy"), ("core", "site_cache_dir", "/ü"[:1]),
         ("cache", "dir", None), ("cache", "type", None)],
        [('remote "x"', "url", "/a"), ('remote "x"', None, None)],
    ]  # fmt: skip
    found = []
    for changes in series:
        with tempfile.TemporaryDirectory() as folder:
            dvc = Path(folder) / ".dvc"
            dvc.mkdir()
            steps = []
            config = Config.init(str(dvc))
            for section, key, value in changes:
                with config.edit("repo", validate=False) as conf:
                    kind, _, name = section.partition(" ")
                    keys = conf[kind].setdefault(name.strip('"'), {}) if name else conf[kind]
                    if key is None:
                        del conf[kind][name.strip('"')]
                    elif value is None:
                        del keys[key]
                    else:
                        keys[key] = value
                steps.append([section, key, value, (dvc / "config").read_text()])
            found.append(steps)
    return found


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    recorded = {
        "metafiles": metafiles(), "manifests": manifests(), "locks": locks(), "lock_values": lock_values(), "stage_hashes": stage_hashes(),
        "ignores": ignores(), "escapes": escapes(), "configs": configs(),
    }  # fmt: skip
    for name, value in recorded.items():
        (GOLDEN / f"{name}.json").write_text(json.dumps(value, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
