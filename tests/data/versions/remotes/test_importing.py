"""Import, update, get and list: data of other repositories and of URLs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.data.versions.remotes.scenes import files, git, set_remote, write
from tests.s3_server import S3Server
from tests.web_server import WebServer

from perenne.core.errors import Conflict, Invalid, NotFound, Unavailable
from perenne.data.versions.adding import add
from perenne.data.versions.fetching import fetch, pull
from perenne.data.versions.getting import get, get_url
from perenne.data.versions.importing import Wish, import_repo, import_url, update
from perenne.data.versions.listing import list_files
from perenne.data.versions.pushing import push
from perenne.data.versions.repository import Repository, init_repository, open_repository
from perenne.data.versions.sources import overrides


@pytest.fixture
def here(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Another repository beside the first, in the present folder; the first has a file that Git keeps, too."""
    write(repository.root, {"mixed/plain.txt": b"plain", "mixed/kept/x": b"x"})
    add(repository, [repository.root / "mixed/kept"])
    git(repository.root, "add", ".")
    git(repository.root, "commit", "--quiet", "--message=mixed")
    git(repository.root, "tag", "v1")
    root = tmp_path / "here"
    root.mkdir()
    monkeypatch.chdir(root)
    git(root, "init", "--quiet", "--initial-branch=main")
    return init_repository(root)


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.stop()


def test_a_folder_of_another_repository_is_tracked_with_its_commit(here: Repository, repository: Repository) -> None:
    done = import_repo(here, "../repository", "data", rev="v1")
    assert files(here.root / "data") == {"a.txt": b"a", "empty": b"", "sub/b.bin": bytes(range(256)) * 40}
    commit = git(repository.root, "rev-parse", "v1")
    text = (here.root / "data.dvc").read_text()
    assert (
        f"frozen: true\ndeps:\n- path: data\n  repo:\n    url: ../repository\n    rev: v1\n    rev_lock: {commit}\nouts:" in text
    )
    assert (here.root / ".gitignore").read_text() == "/data\n"
    assert done.digest is not None
    assert list((repository.root.parent).glob("perenne-clone-*")) == []


def test_what_git_keeps_and_what_is_tracked_come_together(here: Repository) -> None:
    import_repo(here, "../repository", "mixed", "both")
    assert files(here.root / "both") == {"plain.txt": b"plain", ".gitignore": b"/kept\n", "kept/x": b"x"}


@pytest.mark.parametrize("path", ["data/sub/b.bin", "mixed/plain.txt", "single.bin", "mixed/kept"])
def test_parts_are_imported(here: Repository, path: str) -> None:
    done = import_repo(here, "../repository", path)
    assert (here.root / path.rpartition("/")[2]).exists()
    assert done.digest is not None
    assert update(open_repository())[0].changed is False


def test_an_import_is_fetched_from_where_it_came(here: Repository, repository: Repository) -> None:
    import_repo(here, "../repository", "data")
    set_remote(here, "store", str(here.root.parent / "mine"))
    assert push(open_repository()).moved == 0  # its objects are kept there
    shutil.rmtree(here.cache_folder)
    shutil.rmtree(here.root / "data")
    assert pull(open_repository()).fetched.is_whole
    assert (here.root / "data/a.txt").read_bytes() == b"a"
    push(repository)
    shutil.rmtree(repository.cache_folder)
    shutil.rmtree(here.cache_folder)
    assert fetch(open_repository()).is_whole  # from that repository's remote
    shutil.rmtree(repository.root)
    shutil.rmtree(here.cache_folder)
    report = fetch(open_repository())
    assert [(one.path, one.code) for one in report.missing] == [("data", "data.no_source")]


def test_an_update_follows_the_source(here: Repository, repository: Repository) -> None:
    import_repo(here, "../repository", "data")
    write(repository.root, {"data/new": b"new"})
    add(open_repository(repository.root), [repository.root / "data"])
    git(repository.root, "commit", "--quiet", "--all", "--message=more")
    assert [one.changed for one in update(open_repository(), ["data"])] == [True]
    assert (here.root / "data/new").read_bytes() == b"new"
    assert update(open_repository())[0].changed is False
    assert [one.changed for one in update(open_repository(), ["data.dvc"], rev="v1")] == [True]
    assert not (here.root / "data/new").exists()
    assert "rev: v1" in (here.root / "data.dvc").read_text()


def test_a_refused_import_leaves_nothing(here: Repository, repository: Repository) -> None:
    before = files(here.root)
    shutil.rmtree(repository.cache_folder)
    with pytest.raises(Unavailable):
        import_repo(here, "../repository", "data")
    for wrong in ("nothing", "../elsewhere"):
        with pytest.raises((NotFound, Invalid)):
            import_repo(here, "../repository", wrong)
    with pytest.raises(NotFound):
        import_repo(here, "../repository", "mixed/plain.txt", rev="v9")
    with pytest.raises(NotFound):
        import_repo(here, "../nowhere", "data")
    assert files(here.root) == before
    (here.root / "plain.txt").write_bytes(b"mine")
    with pytest.raises(Conflict):
        import_repo(here, "../repository", "mixed/plain.txt")
    assert (here.root / "plain.txt").read_bytes() == b"mine"


def test_a_manifest_that_leads_out_is_refused(here: Repository, repository: Repository) -> None:
    evil = repository.cache.add_bytes(b'[{"md5": "0cc175b9c0f1b6a831c399e269772661", "relpath": "../../evil"}]', ".dir")
    text = f"outs:\n- md5: {evil}\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: evil\n"
    (repository.root / "evil.dvc").write_text(text)
    git(repository.root, "add", ".")
    git(repository.root, "commit", "--quiet", "--message=evil")
    for take in (lambda: get("../repository", "evil"), lambda: import_repo(here, "../repository", "evil")):
        with pytest.raises((Unavailable, Invalid)):
            take()
    assert not (here.root.parent / "evil").exists()
    assert not (here.root / "evil.dvc").exists()


def test_a_file_is_got_and_nothing_else(here: Repository) -> None:
    before = files(here.root)
    got = get("../repository", "data/a.txt", "copy.txt")
    assert (got.path, got.files, got.bytes) == ("copy.txt", 1, 1)
    assert files(here.root) == before | {"copy.txt": b"a"}
    assert sorted(path.name for path in here.root.iterdir()) == [".dvc", ".dvcignore", ".git", "copy.txt"]
    with pytest.raises(Conflict):
        get("../repository", "data/a.txt", "copy.txt")
    get("../repository", "single.bin", "copy.txt", force=True, rev="v1")
    assert (here.root / "copy.txt").read_bytes() == b"single" * 1_000


def test_a_repository_is_listed(here: Repository, repository: Repository) -> None:
    push(repository)
    names = {one.path: (one.isout, one.isdir) for one in list_files("../repository")}
    assert names["data"] == (True, True)
    assert names["mixed"] == (False, True)
    assert names["single.bin"] == (True, False)
    assert names["data.dvc"] == (False, False)
    inside = [(one.path, one.size) for one in list_files("../repository", "data", recursive=True, rev="v1")]
    assert inside == [("a.txt", 1), ("empty", 0), ("sub/b.bin", 10_240)]
    assert {one.path for one in list_files("../repository", tracked_only=True)} == {"data", "mixed", "single.bin"}
    with pytest.raises(NotFound):
        list_files("../repository", "nowhere")


def test_a_clone_is_read_through_its_remote(here: Repository, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a URL nothing of the other machine is at hand but what Git and the remote have."""
    push(repository)
    url = f"file://{repository.root}"
    bare = here.root.parent / "bare.git"
    git(here.root, "clone", "--quiet", "--bare", url, str(bare))
    get(str(bare), "data", "got", rev="main")
    assert (here.root / "got/a.txt").read_bytes() == b"a"


def test_a_file_of_a_web_server_is_tracked_by_its_etag(here: Repository, web: WebServer) -> None:
    web.files["/x.csv"] = b"1,2\n"
    import_url(here, f"{web.url}/x.csv")
    assert (here.root / "x.csv").read_bytes() == b"1,2\n"
    assert "deps:\n- checksum: '\"" in (here.root / "x.csv.dvc").read_text()
    asked = len(web.seen)
    assert [one.changed for one in update(open_repository())] == [False]
    assert len(web.seen) == asked + 1  # its head alone
    web.files["/x.csv"] = b"1,3\n"
    assert [one.changed for one in update(open_repository())] == [True]
    assert (here.root / "x.csv").read_bytes() == b"1,3\n"
    with pytest.raises(NotFound):
        import_url(here, f"{web.url}/nothing.csv")


def test_a_version_can_be_noted_and_left_there(here: Repository, web: WebServer) -> None:
    web.files["/x.csv"] = b"1,2\n"
    done = import_url(here, f"{web.url}/x.csv", wish=Wish(no_download=True))
    assert done.digest is None
    assert not (here.root / "x.csv").exists()
    update(open_repository())
    assert (here.root / "x.csv").read_bytes() == b"1,2\n"


def test_a_folder_of_a_bucket_is_tracked(here: Repository, s3: str, s3_server: S3Server) -> None:
    bucket = s3.removeprefix("s3://").partition("/")[0]
    for name in ("d/1", "d/sub/2"):
        s3_server.backend.put_object(bucket, name, name.encode())
    import_url(here, f"s3://{bucket}/d")
    assert files(here.root / "d") == {"1": b"d/1", "sub/2": b"d/sub/2"}
    assert [one.changed for one in update(open_repository())] == [False]
    got = get_url(f"s3://{bucket}/d/sub/2", "two")
    assert (got.files, (here.root / "two").read_bytes()) == (1, b"d/sub/2")
    s3_server.backend.put_object(bucket, "d/../../evil", b"x")
    with pytest.raises((Invalid, Unavailable)):
        get_url(f"s3://{bucket}/d", "again")
    assert not (here.root / "again").exists()


def test_a_path_is_meant_from_its_output(here: Repository) -> None:
    write(here.root, {"in.txt": b"in", "sub/other": b"o"})
    import_url(here, "in.txt", "sub/out.txt")
    assert "path: ../in.txt\n" in (here.root / "sub/out.txt.dvc").read_text()
    (here.root / "in.txt").write_bytes(b"changed")
    assert [one.changed for one in update(open_repository(), [str(here.root / "sub/out.txt")])] == [True]
    assert (here.root / "sub/out.txt").read_bytes() == b"changed"


def test_versions_of_a_bucket_are_pushed_and_pulled(here: Repository, s3: str, s3_server: S3Server) -> None:
    bucket = s3.removeprefix("s3://").partition("/")[0]
    s3_server.backend.put_bucket_versioning(bucket, "Enabled")
    write(here.root, {"d/1": b"one", "d/sub/2": b"two", "single": b"first"})
    add(here, [here.root / "d", here.root / "single"])
    set_remote(here, "ver", f"s3://{bucket}/pre", version_aware="true")
    report = push(open_repository())
    assert sorted(report.changed) == ["d.dvc", "single.dvc"]
    assert "version_id: " in (here.root / "single.dvc").read_text()
    assert s3_server.backend.get_object(bucket, "pre/d/sub/2").value == b"two"
    assert push(open_repository()).moved == 0
    s3_server.backend.put_object(bucket, "pre/single", b"somebody wrote over it")
    for name in ("d", "single"):
        shutil.rmtree(here.root / name) if (here.root / name).is_dir() else (here.root / name).unlink()
    shutil.rmtree(here.cache_folder)
    assert pull(open_repository()).fetched.is_whole
    assert (here.root / "single").read_bytes() == b"first"
    assert files(here.root / "d") == {"1": b"one", "sub/2": b"two"}


def test_what_a_metafile_says_of_a_remote_goes_before_the_sources_own() -> None:
    assert overrides(None, "other") == {"core": {"remote": "other"}}
    assert overrides({"remote": {"a": {"url": "/x"}}, "core": {"remote": "a"}}, None) == {
        'remote "a"': {"url": "/x"},
        "core": {"remote": "a"},
    }
    given = overrides(None, {"url": "/y"})
    assert given[f'remote "{given["core"]["remote"]}"'] == {"url": "/y"}
