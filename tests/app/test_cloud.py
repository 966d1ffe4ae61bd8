"""Everything that uses objects works on S3: the command line, a round, the doctor, `perenne up` and the processes it starts."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv as csv
import pytest
from tests.app.test_up import Up, rows
from tests.automation.conftest import PROJECT
from tests.s3_server import S3Server
from tests.training.conftest import table_of


class Project:
    """A project whose objects lie in a bucket, and the command line in its folder."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.folder, self.server = folder, server
        self.bucket = server.make_bucket()
        self.url = f"s3://{self.bucket}/lumps"
        source = str(Path("src").resolve())
        self.environment = server.child_environment(PYTHONPATH=source, NO_COLOR="1", PERENNE_CACHE=str(folder.with_name("cache")))
        (folder / "project.py").write_text(PROJECT)
        csv.write_csv(table_of("breast_cancer"), folder / "samples.csv")

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "perenne", *arguments]
        environment = {**self.environment, **more}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def answer(self, *arguments: str) -> Any:
        done = self.run("--objects", self.url, *arguments, "--json")
        assert done.returncode in (0, 6), done.stderr
        return json.loads(done.stdout)

    def objects_check(self, *arguments: str, **more: str) -> tuple[int, dict[str, str]]:
        done = self.run("doctor", *arguments, "--json", **more)
        assert "Traceback" not in done.stderr
        return done.returncode, next(found for found in json.loads(done.stdout) if found["check"] == "objects")

    @property
    def keys(self) -> list[str]:
        return list(self.server.backend.buckets[self.bucket].keys)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("lumps"), s3_server)
    done = project.run("run", PERENNE_OBJECTS=project.url)
    assert done.returncode == 0, done.stderr
    yield project
    s3_server.drop_bucket(project.bucket)


def test_a_round_keeps_all_its_objects_in_the_bucket(project: Project) -> None:
    assert len(project.keys) > 10
    assert all(key.startswith("lumps/") for key in project.keys)
    assert not (project.folder / ".perenne" / "objects").exists()
    before = project.keys
    done = project.run("run", "--objects", project.url)
    assert done.returncode == 0
    assert "nothing changed" in done.stderr
    assert project.keys == before


def test_the_doctor_tries_the_bucket_and_leaves_no_probe(project: Project) -> None:
    before = project.keys
    code, found = project.objects_check("--deep", "--objects", project.url)
    assert (code, found["state"]) == (0, "ok"), found
    assert f"S3 {project.url} at 127.0.0.1:{project.server.port}: {len(before)} objects" in found["detail"]
    assert "a probe was written, read and deleted" in found["detail"]
    assert project.keys == before


@pytest.mark.parametrize(
    ("url", "endpoint", "words"),
    [
        ("s3://no-such-bucket/x", None, "there is no bucket s3://no-such-bucket/x. make the bucket"),
        ("s3://bucket/x", "http://127.0.0.1:9", "s3://bucket/x cannot be reached"),
        ("s3://bucket/x", "http://s3.example.org", "AWS_ENDPOINT_URL is http to another machine"),
    ],
)
def test_the_doctor_says_what_is_wrong_with_the_bucket(project: Project, url: str, endpoint: str | None, words: str) -> None:
    environment = {"PERENNE_OBJECTS": url} | ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {})
    code, found = project.objects_check(**environment)
    assert (code, found["state"]) == (6, "problem")
    assert words in found["detail"]


def test_a_url_that_is_wrong_is_refused_before_anything_is_opened(project: Project, tmp_path: Path) -> None:
    for arguments in (("--objects", "s3://k:secret@b/x", "up"), ("up", "--objects", "s3://k:secret@b/x")):
        done = project.run(*arguments, PERENNE_HOME=str(tmp_path / "home"))
        assert done.returncode == 1
        assert "error[objects.url]" in done.stderr
        assert "secret" not in done.stderr
        assert not (tmp_path / "home").exists()


def test_up_serves_and_retrains_from_the_bucket_that_its_option_names(project: Project) -> None:
    up = Up(project.folder, "--objects", project.url, environment=project.environment)
    try:
        assert up.ask("POST", "/invocations", rows(), port=up.model_port)[0] == 200
        before = set(project.keys)
        csv.write_csv(table_of("breast_cancer").slice(1), project.folder / "samples.csv")
        project.answer("policy", "trigger", "lumps", "--reason", "the trainer must find the bucket too")
        deadline = time.monotonic() + 240
        while len(project.answer("model", "list")) < 2:
            assert time.monotonic() < deadline, (project.folder / "up.log").read_text()
            assert up.process.poll() is None
            time.sleep(0.5)
    finally:
        code = up.end()
    assert code == 0
    assert set(project.keys) > before
    assert not (project.folder / ".perenne" / "objects").exists()
