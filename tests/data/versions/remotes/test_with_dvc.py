"""Beside the real DVC: what one sends the other brings, on a folder and on S3, and neither notices the other."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.versions.remotes.scenes import drop_cache, files, objects, set_remote
from tests.s3_server import S3Server

from perenne.data.versions.fetching import fetch, pull
from perenne.data.versions.importing import import_repo, import_url
from perenne.data.versions.plans import Scope
from perenne.data.versions.pushing import push
from perenne.data.versions.repository import Repository, open_repository

DVC = os.environ.get("PERENNE_DVC", "")

pytestmark = [pytest.mark.long, pytest.mark.skipif(not DVC, reason="PERENNE_DVC names no DVC")]


def dvc(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder.parent / "site")}
    done = subprocess.run([DVC, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["folder", "s3"])
def remote(request: pytest.FixtureRequest, repository: Repository, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "store")
        return
    bucket = request.getfixturevalue("s3").removesuffix("/objects")
    server: S3Server = request.getfixturevalue("s3_server")
    set_remote(repository, "store", f"{bucket}/pre", endpointurl=server.endpoint)
    yield f"{bucket}/pre"


def test_dvc_brings_what_we_sent(repository: Repository, remote: str) -> None:
    before = files(repository.root)
    assert push(open_repository()).is_whole
    assert "Everything is up to date" in dvc(repository.root, "push")
    assert "in sync" in dvc(repository.root, "status", "--cloud")
    drop_cache(repository)
    dvc(repository.root, "pull")
    assert files(repository.root) == before


def test_we_bring_what_dvc_sent(repository: Repository, remote: str) -> None:
    before = files(repository.root)
    dvc(repository.root, "push")
    assert push(open_repository()).moved == 0
    drop_cache(repository)
    assert pull(open_repository()).fetched.is_whole
    assert files(repository.root) == before
    assert "up to date" in dvc(repository.root, "status")


def test_both_lay_out_the_same_objects(repository: Repository, tmp_path: Path) -> None:
    push(repository)
    ours = objects(tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    dvc(repository.root, "push")
    assert objects(tmp_path / "store") == ours


def test_imports_are_written_as_dvc_writes_them(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[dict[str, bytes]] = []
    push(repository)
    for name in ("ours", "theirs"):
        root = tmp_path / name
        root.mkdir()
        monkeypatch.chdir(root)
        subprocess.run(["git", "init", "--quiet"], check=True)
        dvc(root, "init")
        if name == "ours":
            import_repo(open_repository(), "../repository", "data")
            import_repo(open_repository(), "../repository", "data/sub/b.bin", rev="main")
            import_url(open_repository(), "../repository/single.bin", "url.bin")
            assert fetch(open_repository(), Scope()).is_whole
        else:
            dvc(root, "import", "../repository", "data")
            dvc(root, "import", "../repository", "data/sub/b.bin", "--rev", "main")
            dvc(root, "import-url", "../repository/single.bin", "url.bin")
        assert "up to date" in dvc(root, "status")
        written.append(files(root))
    ours, theirs = written
    assert ours == theirs


def test_versions_of_a_bucket_pass_between_both(repository: Repository, s3: str, s3_server: S3Server) -> None:
    bucket = s3.removeprefix("s3://").partition("/")[0]
    s3_server.backend.put_bucket_versioning(bucket, "Enabled")
    set_remote(repository, "ver", f"s3://{bucket}/pre", endpointurl=s3_server.endpoint, version_aware="true")
    before = files(repository.root)
    assert sorted(push(open_repository()).changed) == ["data.dvc", "single.bin.dvc"]
    noted = (repository.root / "data.dvc").read_bytes()
    dvc(repository.root, "push")
    assert (repository.root / "data.dvc").read_bytes() == noted
    drop_cache(open_repository())
    dvc(repository.root, "pull")
    after = files(repository.root)
    assert {name: data for name, data in after.items() if not name.endswith(".dvc")} == {
        name: data for name, data in before.items() if not name.endswith(".dvc")
    }
