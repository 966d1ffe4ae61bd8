"""Advisories: OSV records from a folder, a zip or an API, held against versions; what cannot be told is never a pass."""

import http.server
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perenne.core.clock import DAY, parse_time
from perenne.core.errors import Invalid
from perenne.delivery.bill import checking
from perenne.delivery.bill.model import BillSettings, Ignored, Materials, Part
from perenne.delivery.bill.severity import base_score
from perenne.registry import Verdict

NOW = parse_time("2027-01-01")
NUMPY = Part(name="numpy", version="1.26.0", licence="BSD-3-Clause")
SCIPY = Part(name="scipy", version="1.11.0", licence="BSD-3-Clause")


def record(
    identity: str = "PYSEC-2026-1", name: str = "numpy", events: Any = ({"introduced": "0"}, {"fixed": "1.27.0"}), **more: Any
) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}
    affected |= {key: more.pop(key) for key in ("versions", "package") if key in more}
    return {"id": identity, "summary": "bad", "affected": [affected], **more}


def write(folder: Path, *records: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, item in enumerate(records):
        (folder / f"{number}.json").write_text(item if isinstance(item, str) else json.dumps(item))
    return folder


def row(source: Any, *parts: Part, **said: Any) -> Any:
    asked = BillSettings(advisories=str(source), **said)
    return checking.vulnerabilities(Materials(python="", parts=parts or (NUMPY, SCIPY)), asked, NOW)


def test_an_affected_version_fails_and_names_what_is_wrong(tmp_path: Path) -> None:
    found = row(write(tmp_path / "osv", record(database_specific={"severity": "HIGH"}), record("PYSEC-2", "scipy")))
    assert found.verdict is Verdict.FAIL and found.value == 2
    assert found.detail == "2 found: PYSEC-2 in scipy 1.11.0 (severity not known), PYSEC-2026-1 in numpy 1.26.0 (high)"


def test_a_source_that_knows_nothing_bad_of_the_parts_is_a_pass(tmp_path: Path) -> None:
    found = row(write(tmp_path / "osv", record(name="pandas"), record(events=({"introduced": "2.0"},))))
    assert found.verdict is Verdict.PASS and found.detail == "none known among 2 parts, by osv, 2 records"


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        (({"introduced": "0"},), True),
        (({"introduced": "1.26.0"},), True),
        (({"introduced": "1.26.1"},), False),
        (({"introduced": "0"}, {"fixed": "1.26.0"}), False),
        (({"introduced": "0"}, {"fixed": "1.26.0rc1"}), False),
        (({"introduced": "0"}, {"last_affected": "1.26.0"}), True),
        (({"introduced": "0"}, {"last_affected": "1.25"}), False),
        (({"introduced": "1.0"}, {"fixed": "1.5"}, {"introduced": "1.26"}, {"fixed": "1.27"}), True),
        (({"fixed": "1.5"}, {"introduced": "0"}, {"introduced": "1.25"}, {"fixed": "1.26.0.post1"}), True),
    ],
)
def test_ranges_are_evaluated_by_pep_440(tmp_path: Path, events: Any, affected: bool) -> None:
    found = row(write(tmp_path / "osv", record(events=events)))
    assert (found.verdict is Verdict.FAIL) == affected


def test_names_and_versions_are_compared_as_python_does(tmp_path: Path) -> None:
    part = Part(name="scikit-learn", version="1.5.0")
    assert row(write(tmp_path / "a", record(name="Scikit_Learn", events=(), versions=["1.5"])), part).verdict is Verdict.FAIL
    assert (
        row(write(tmp_path / "b", record(name="scikit-learn", events=(), versions=["1.4", "0.9-old"])), part).verdict
        is Verdict.PASS
    )


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (["{not json"], "0.json cannot be read"),
        ([json.dumps({"summary": "no id"})], "0.json cannot be read"),
        ([record(events=())], "does not say which versions of numpy"),
        ([record(events=({"introduced": "first"},))], "does not say which versions of numpy"),
        ([], "holds no records"),
    ],
)
def test_what_cannot_be_told_is_unknown(tmp_path: Path, records: list[Any], said: str) -> None:
    found = row(write(tmp_path / "osv", *records))
    assert found.verdict is Verdict.UNKNOWN and said in found.detail


def test_unknown_weighs_less_than_a_finding_and_more_than_nothing(tmp_path: Path) -> None:
    source = write(tmp_path / "osv", record(), "{", *["{" for _ in range(8)])
    assert row(source).verdict is Verdict.FAIL
    assert "4 more" not in row(source).detail
    fine = write(tmp_path / "fine", *["{" for _ in range(9)])
    assert row(fine).verdict is Verdict.UNKNOWN and row(fine).detail.endswith("and 3 more")


def test_no_source_no_parts_and_unknown_parts_are_unknown(tmp_path: Path) -> None:
    assert "no source" in row("").detail and row("").verdict is Verdict.UNKNOWN
    source = write(tmp_path / "osv", record(name="pandas"))
    gapped = Materials(python="", parts=(NUMPY,), gaps=("x: it is not installed here",))
    assert checking.vulnerabilities(gapped, BillSettings(advisories=str(source)), NOW).verdict is Verdict.UNKNOWN
    assert (
        checking.vulnerabilities(Materials(python="", parts=()), BillSettings(advisories=str(source)), NOW).verdict
        is Verdict.UNKNOWN
    )
    assert "no source of advisories" in row(tmp_path / "absent").detail and row(tmp_path / "absent").verdict is Verdict.UNKNOWN


def test_what_was_withdrawn_and_other_ecosystems_do_not_count(tmp_path: Path) -> None:
    npm = record(package={"ecosystem": "npm", "name": "numpy"})
    assert row(write(tmp_path / "osv", record(withdrawn="2026-01-01T00:00:00Z"), npm)).verdict is Verdict.PASS


def test_severities_weigh_from_the_one_that_is_asked_for(tmp_path: Path) -> None:
    low = write(tmp_path / "low", record(severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:L/A:N"}]))
    assert row(low).verdict is Verdict.FAIL and row(low, least="high").verdict is Verdict.PASS
    nameless = write(tmp_path / "nameless", record())
    assert row(nameless, least="critical").verdict is Verdict.FAIL, "nobody said how bad: it counts"
    moderate = write(tmp_path / "moderate", record(database_specific={"severity": "MODERATE"}))
    assert row(moderate, least="high").verdict is Verdict.PASS and "(medium)" in row(moderate).detail


def test_scores_are_those_of_the_specification() -> None:
    # From FIRST's examples document of CVSS 3.1.
    assert base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N") == 6.1
    assert base_score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N") == 6.4
    assert base_score("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N") == 3.1
    assert base_score("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H") == 10.0
    assert base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N") == 0.0
    assert base_score("CVSS:3.1/AV:X") is None


def test_what_is_ignored_counts_again_when_its_day_is_over(tmp_path: Path) -> None:
    source = write(tmp_path / "osv", record(aliases=["CVE-2026-1"]))
    ignored = (Ignored("CVE-2026-1", "the function is never called", "2027-01-01"),)
    assert row(source, ignored=ignored).verdict is Verdict.PASS and "1 ignored" in row(source, ignored=ignored).detail
    asked = BillSettings(advisories=str(source), ignored=ignored)
    assert checking.vulnerabilities(Materials(python="", parts=(NUMPY,)), asked, NOW + DAY).verdict is Verdict.FAIL


def test_a_zip_is_read_as_a_folder_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(record("PYSEC-1")))
        archive.writestr("README.md", "not a record")
    found = row(tmp_path / "all.zip")
    assert found.verdict is Verdict.FAIL and "PYSEC-1" in found.detail


class Api(http.server.BaseHTTPRequestHandler):
    """Answers as OSV's API does: numpy has two pages, scipy is refused."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name, page = asked["package"]["name"], asked.get("page_token")
        if name == "scipy":
            self.send_error(500)
            return
        answer: dict[str, Any] = {}
        if name == "numpy":
            answer = {"vulns": [record("PYSEC-2")]} if page else {"vulns": [record("PYSEC-1")], "next_page_token": "2"}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_api_is_asked_for_each_part(api: str) -> None:
    found = row(f"http://{api}", NUMPY, hosts=(api,))
    assert found.verdict is Verdict.FAIL and found.value == 2
    assert row(f"http://{api}", Part(name="joblib", version="1.0"), hosts=(api,)).verdict is Verdict.PASS
    failing = row(f"http://{api}", SCIPY, hosts=(api,))
    assert failing.verdict is Verdict.UNKNOWN and "answered 500" in failing.detail


def test_a_private_api_is_not_asked_unless_it_is_named(api: str) -> None:
    assert row(f"http://{api}", NUMPY).verdict is Verdict.UNKNOWN


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "bill.yaml"
    path.write_text(
        "advisories: osv\nleast: high\nlicences: {deny: [GPL-*]}\n"
        "ignored:\n  - {id: CVE-1, reason: not reachable, until: '2027-03-31'}\n"
    )
    asked = checking.settings({"PERENNE_BILL_POLICY": str(path), "PERENNE_ADVISORIES": "elsewhere"})
    assert (asked.advisories, asked.least, asked.licences.deny) == ("elsewhere", "high", ("GPL-*",))
    assert checking.settings({}) == BillSettings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("least: dire", "least is 'dire'"),
        ("leest: high", "unknown field"),
        ("ignored: [{id: CVE-1, reason: '', until: '2027-03-31'}]", "without a reason"),
        ("ignored: [{id: CVE-1, reason: x, until: soon}]", "until 'soon'"),
        ("ignored: [{id: CVE-1, reason: x}]", "until"),
        ("a: [", "no YAML"),
    ],
)
def test_settings_that_say_something_else_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bill.yaml").write_text(text)
    with pytest.raises(Invalid, match=said):
        checking.read_settings(tmp_path / "bill.yaml")
    with pytest.raises(Invalid, match="cannot be read"):
        checking.read_settings(tmp_path / "absent.yaml")
