"""The screens of labels in the browser: twenty items by keyboard alone, undo and skip, decisions, figures, hostile rows."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.labels.people import ADA, BEN, CAT, VAL, ids, say, taken, write
from tests.web.conftest import Browse, Inspect
from tests.web.control_plane import control_plane
from tests.web.sweep import PICTURE

from perenne.core.clock import SystemClock
from perenne.core.config import load_settings
from perenne.labels import choosing, label_store, labelling, rules, sets, suspects, versions
from perenne.labels.model import Definition, LabelClass, Role, TaskKind
from perenne.labels.values import Label
from perenne.storage.workspace import Workspace

HOSTILE = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
PIXEL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
INSTRUCTIONS = (
    "# When is it late?\n\nA flight is **late** if it lands `15` minutes or more after plan.\n\n"
    "- cancelled flights: skip\n- see [the rule](https://example.org/rule)"
)
CLASSES = (LabelClass("on time", colour="#0b7a5c", help="less than 15 minutes"), LabelClass("late", colour="#c9731b"))


class Labelled:
    """An installation with label sets, behind a control plane."""

    def __init__(self, workspace: Workspace, url: str) -> None:
        self.workspace = workspace
        self.url = url

    def make(self, name: str, table: pa.Table, **named: Any) -> dict[int, str]:
        said: dict[str, Any] = {"kind": TaskKind.BINARY, "classes": CLASSES, "keys": ("id",)} | named
        write(self.workspace, sets.create, ADA, name, Definition(**said), project="flights")
        snapshot = taken(self.workspace, table)
        choosing.choose(self.workspace.database, self.workspace.objects, ADA, name, snapshot.id)
        return ids(self.workspace, name)

    def history(self, name: str) -> list[Label]:
        with self.workspace.database.read() as tx:
            return labelling.history(tx, ADA, name)


def flights(number: int = 30, **more: Any) -> pa.Table:
    words = [f"Flight {1000 + n} from Bern to Oslo left {n % 50} minutes after plan." for n in range(number)]
    plain = {"id": list(range(number)), "report": words, "carrier": ["UA", "DL", "B6"][:3] * (number // 3)}
    return pa.table(plain | {"delay": [float(n % 50) for n in range(number)]} | more)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labelled]:
    folder: Path = tmp_path_factory.mktemp("labelled")
    settings = load_settings(folder, {})
    settings.home.mkdir(parents=True, exist_ok=True)
    with Workspace(settings, SystemClock()) as workspace, control_plane(workspace) as url:
        yield Labelled(workspace, url)


def text_of(page: Page) -> str:
    return page.locator(".label-text").inner_text()


def wait_sent(page: Page) -> None:
    expect(page.get_by_text("on the way")).to_have_count(0)


def test_twenty_items_by_keyboard_alone(browse: Browse, labelled: Labelled, inspect: Inspect) -> None:
    """Nothing is clicked and nothing is waited for: a key says it, and the next item stands there."""
    item = labelled.make("lateness", flights(), text="report", instructions=INSTRUCTIONS)
    page = browse("/label/lateness/work", labelled.url)
    expect(page.get_by_role("heading", name="lateness")).to_be_visible()
    expect(page.locator(".label-text")).to_be_visible()
    page.keyboard.press("i")
    expect(page.get_by_text("When is it late?")).to_be_visible()
    expect(page.locator(".label-instructions").get_by_role("link", name="the rule")).to_have_attribute(
        "rel", "noopener noreferrer"
    )
    inspect(page, "label-work")
    page.keyboard.press("i")
    seen: dict[str, str] = {}
    for place in range(20):
        before = text_of(page)
        key = "1" if place % 2 else "2"
        if place == 3:
            page.keyboard.press("n")
            page.keyboard.type("not sure about 1 or 2")
            page.keyboard.press("Escape")
        page.keyboard.press(key)
        seen[before] = "on time" if key == "1" else "late"
        expect(page.locator(".label-text")).not_to_have_text(before)
    wait_sent(page)
    kept = labelled.history("lateness")
    number = {each: row for row, each in item.items()}
    words = {f"Flight {1000 + n} from Bern to Oslo left {n % 50} minutes after plan.": n for n in range(30)}
    assert {number[each.item]: each.decoded for each in kept} == {words[text]: value for text, value in seen.items()}
    assert len(kept) == 20 and [each.note for each in kept if each.note] == ["not sure about 1 or 2"]
    expect(page.get_by_text("20 of 30 items")).to_be_visible()


def test_undo_and_skip_by_keyboard(browse: Browse, labelled: Labelled) -> None:
    labelled.make("undoing", flights(6), text="report")
    page = browse("/label/undoing/work", labelled.url)
    first = text_of(page)
    page.keyboard.press("2")
    expect(page.locator(".label-text")).not_to_have_text(first)
    second = text_of(page)
    page.keyboard.press("s")
    expect(page.locator(".label-text")).not_to_have_text(second)
    page.keyboard.press("u")
    expect(page.locator(".label-text")).to_have_text(second)
    page.keyboard.press("u")
    expect(page.locator(".label-text")).to_have_text(first)
    assert [each.value for each in labelled.history("undoing")] == ['"late"', None]
    for _ in range(6):
        before = text_of(page)
        page.keyboard.press("1")
        expect(page.locator(".label-text", has_text=before)).to_have_count(0)
    expect(page.get_by_text("Nothing is left for you here")).to_be_visible()
    wait_sent(page)
    assert len({each.item for each in labelled.history("undoing") if each.value}) == 6


def test_a_server_that_is_away_for_a_while_loses_nothing(context: BrowserContext, labelled: Labelled) -> None:
    """The browser itself reports the failed answers in its console, so that is not looked at here."""
    labelled.make("away", flights(6), text="report")
    page = context.new_page()
    page.goto(f"{labelled.url}/label/away/work")
    expect(page.locator(".label-text")).to_be_visible()
    answered: list[int] = []

    def lose(route: Any) -> None:
        """Let the server keep it, and lose the answer of the first two tries."""
        answer = route.fetch()
        answered.append(answer.status)
        if len(answered) <= 2:
            route.fulfill(status=503, json={"message": "away"})
        else:
            route.fulfill(response=answer)

    page.route(re.compile(r"/api/label/away/labels$"), lose)
    before = text_of(page)
    page.keyboard.press("1")
    expect(page.locator(".label-text")).not_to_have_text(before)
    expect(page.get_by_text("1 on the way")).to_be_visible()
    wait_sent(page)
    assert answered == [201, 201, 201]
    assert len(labelled.history("away")) == 1


def test_several_numbers_texts_and_spans_by_keyboard(browse: Browse, labelled: Labelled) -> None:
    table = flights(3)
    labelled.make("many", table, kind=TaskKind.MULTILABEL, text="report")
    page = browse("/label/many/work", labelled.url)
    expect(page.locator(".label-text")).to_be_visible()
    page.keyboard.press("2")
    page.keyboard.press("1")
    page.keyboard.press("1")
    expect(page.get_by_role("button", name="late", exact=False).first).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    wait_sent(page)
    assert [each.decoded for each in labelled.history("many")] == [["late"]]
    labelled.make("amount", table, kind=TaskKind.NUMBER, classes=(), low=0.0, high=60.0, text="report")
    page = browse("/label/amount/work", labelled.url)
    expect(page.get_by_role("spinbutton", name="The number")).to_be_focused()
    page.keyboard.type("12.5")
    page.keyboard.press("Enter")
    page.keyboard.press("s")
    wait_sent(page)
    assert [each.decoded for each in labelled.history("amount")] == [12.5]
    labelled.make("words", table, kind=TaskKind.TEXT, classes=(), text="report")
    page = browse("/label/words/work", labelled.url)
    expect(page.get_by_role("textbox", name="The text")).to_be_focused()
    page.keyboard.type("sun and snow")
    page.keyboard.press("Control+Enter")
    wait_sent(page)
    assert [each.decoded for each in labelled.history("words")] == ["sun and snow"]
    labelled.make("spans", table, kind=TaskKind.SPANS, text="report")
    page = browse("/label/spans/work", labelled.url)
    expect(page.get_by_role("textbox", name="The text")).to_be_focused()
    page.keyboard.press("Control+Home")
    for _ in range(6):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("2")
    expect(page.get_by_text("“Flight”")).to_be_visible()
    page.keyboard.press("Enter")
    wait_sent(page)
    assert [each.decoded for each in labelled.history("spans")] == [[{"start": 0, "end": 6, "label": "late", "text": "Flight"}]]


def test_rows_that_would_like_to_be_code_are_text(browse: Browse, labelled: Labelled) -> None:
    table = pa.table(
        {
            "id": [1],
            "<b>name</b>": [HOSTILE],
            "link": ["https://example.org/a?b=1"],
            "bad": ["javascript:alert(1)"],
            "photo": [PIXEL],
        }
    )
    labelled.make("hostile", table, text="<b>name</b>", image="photo", instructions=f"{HOSTILE}\n\n[x](javascript:alert(1))")
    page = browse("/label/hostile/work", labelled.url)
    expect(page.locator(".label-text")).to_have_text(HOSTILE)
    expect(page.get_by_role("img", name="The picture in photo")).to_be_visible()
    expect(page.get_by_role("link", name="https://example.org/a?b=1")).to_have_attribute("rel", "noopener noreferrer")
    expect(page.get_by_role("link", name="javascript")).to_have_count(0)
    page.keyboard.press("i")
    expect(page.locator(".label-instructions")).to_contain_text("<script>")
    assert "ran" not in page.title()


def test_what_people_differ_on_is_decided_by_keyboard(browse: Browse, labelled: Labelled, inspect: Inspect) -> None:
    item = labelled.make("differing", flights(9), text="report", opinions=2)
    for row in range(9):
        say(labelled.workspace, BEN, {item[row]: "late"}, "differing")
        say(labelled.workspace, CAT, {item[row]: "late" if row > 2 else "on time"}, "differing")
    page = browse("/", labelled.url)
    expect(page.get_by_text("people differ on 3 items")).to_be_visible()
    page.get_by_role("link", name="differing", exact=True).click()
    expect(page).to_have_url(re.compile("/label/differing/decide$"))
    page = browse("/label/differing", labelled.url)
    page.get_by_role("link", name="Decide 3 items").click()
    expect(page.locator(".label-dispute")).to_have_count(3)
    expect(page.locator(".label-first")).to_contain_text("ben says late")
    inspect(page, "label-decide")
    for left in (2, 1, 0):
        page.keyboard.press("2")
        expect(page.locator(".label-dispute")).to_have_count(left)
    expect(page.get_by_text("Nobody differs")).to_be_visible()
    expect(page.get_by_text("Decided: late")).to_have_count(3)
    kept = [each for each in labelled.history("differing") if each.role == "decision"]
    assert len(kept) == 3 and {each.decoded for each in kept} == {"late"}


def test_a_label_set_shows_what_is_known_of_it(browse: Browse, labelled: Labelled, inspect: Inspect) -> None:
    workspace = labelled.workspace
    item = labelled.make("shown", flights(60), text="report", opinions=2, instructions=INSTRUCTIONS)
    for row in range(40):
        true = "late" if row % 50 >= 15 else "on time"
        say(workspace, BEN, {item[row]: true}, "shown")
        say(workspace, CAT, {item[row]: true if row % 9 else "late"}, "shown")
        if row % 4 == 0:
            say(workspace, ADA, {item[row]: true}, "shown")
    say(workspace, VAL, {item[1]: "on time", item[16]: "late"}, "shown", role=Role.GOLD)
    for name, text, value in (("long delay", "delay >= 20", "late"), ("short delay", "delay < 16", "on time")):
        write(workspace, rules.add, ADA, "shown", name, text, value)
    rules.run(workspace.database, workspace.objects, ADA, "shown")
    versions.freeze(workspace.database, workspace.objects, ADA, "shown")
    suspects.find(workspace.database, workspace.objects, ADA, "shown", folds=3)
    page = browse("/label", labelled.url)
    line = page.get_by_role("row", name=re.compile("shown"))
    expect(line).to_contain_text("of 60")
    expect(line).to_contain_text("%")
    inspect(page, "label-sets")
    line.get_by_role("link").click()
    expect(page.get_by_role("region", name="Agreement", exact=True)).to_contain_text("Krippendorff’s alpha")
    expect(page.get_by_role("region", name="Labellers", exact=True)).to_contain_text("cat")
    expect(page.get_by_role("region", name="Rules", exact=True).first).to_contain_text("delay >= 20")
    expect(page.get_by_role("region", name="Versions", exact=True).first).to_contain_text("late")
    expect(page.get_by_role("region", name="Agreement of each two labellers")).to_contain_text("ben")
    inspect(page, "label-set")
    page.get_by_role("link", name="Label", exact=True).click()
    expect(page).to_have_url(re.compile("/label/shown/work$"))


def test_likely_errors_are_asked_for_by_their_order(browse: Browse, labelled: Labelled) -> None:
    item = labelled.make("doubted", flights(3), text="report")
    say(labelled.workspace, BEN, dict.fromkeys(item.values(), "late"), "doubted")
    write(labelled.workspace, label_store.set_suspicion, "doubted", [(item[1], 0.9, '"on time"')])
    page = browse("/label/doubted", labelled.url)
    page.get_by_role("link", name="1 likely wrong").click()
    expect(page.get_by_text("A model that did not see this row says on time")).to_be_visible()
    expect(page.locator(".label-text")).to_contain_text("Flight 1001")
    page.get_by_role("combobox", name="Order").select_option("")
    expect(page.get_by_text("Nothing is left for you here")).to_be_visible()


def test_without_anything_the_list_says_what_to_do(browse: Browse, tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    settings.home.mkdir(parents=True, exist_ok=True)
    with Workspace(settings, SystemClock()) as workspace, control_plane(workspace) as url:
        page = browse("/label", url)
        expect(page.get_by_text("No label sets yet")).to_be_visible()
        expect(page.get_by_text("perenne label create NAME")).to_be_visible()
        page.close()
