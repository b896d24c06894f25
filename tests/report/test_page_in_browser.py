"""The page in a real browser: what its script adds works, by keyboard too, and nothing hostile in it does anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from synthetic_runs import DOSES, RunMaker

from codingspot.report import build_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser, and isn't installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe looks at the page, and isn't installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: install the package chromium")

HOSTILE = "<img src=x onerror=window.owned=1>"
PROGRAM = f"</script><script>window.owned=1</script>{HOSTILE}\u202e"


@dataclass
class Opened:
    """A page, what its console said, and what it asked for."""

    page: playwright.Page
    path: Path
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def texts(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_inner_texts()]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """The report of a run whose names, questions and programs are hostile."""
    doses = DOSES[1::2]
    maker = RunMaker(
        spots=((f"paper {HOSTILE}", "sum", "all", doses), ("contrast", "set_difference", "blocks", doses)),
        controlled_spots=(f"paper {HOSTILE}",),
        controls=("matched",),
        study=f"study {HOSTILE}",
        model_id=f"model {HOSTILE}",
        bad_program=PROGRAM,
        prompt=f"What is it? {HOSTILE}</script>",
    )
    path = build_report(maker.write(tmp_path_factory.mktemp("browser") / "run"))
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
        page.set_default_timeout(5000)
        found = Opened(page, path)
        page.on("console", lambda message: found.console.append(message.text))
        page.on("pageerror", lambda error: found.console.append(str(error)))
        page.on("request", lambda request: found.requests.append(request.url))
        page.goto(path.as_uri())
        yield found
        browser.close()


def test_nothing_that_came_from_outside_does_anything(opened: Opened):
    page = opened.page
    assert page.locator("h1").inner_text() == f"study {HOSTILE}"
    page.locator("#items select").nth(2).select_option("broken by the edit")
    assert page.locator(".items .programs pre").nth(1).inner_text() == PROGRAM.replace("\u202e", r"\u202e")
    assert page.locator(".items pre").first.inner_text().startswith(f"What is it? {HOSTILE}</script>")
    page.locator("#items select").nth(2).select_option("all items")
    assert opened.count("img, script[src], link, iframe") == 0
    assert page.evaluate("window.owned") is None


def test_tables_are_sorted_by_size_and_back_by_keyboard(opened: Opened):
    table = "#table4_retention"
    column = f"{table} tbody:first-of-type tr:not(.heading, .original) td:nth-child(3)"
    heading = opened.page.locator(f"{table} th button", has_text="Parameters")
    written = opened.texts(column)
    sizes = [int(text.replace(",", "")) for text in written]
    assert sizes != sorted(sizes, reverse=True)
    heading.focus()
    for way, expected in (("ascending", sorted(sizes)), ("descending", sorted(sizes, reverse=True)), (None, sizes)):
        opened.page.keyboard.press("Enter")
        assert [int(text.replace(",", "")) for text in opened.texts(column)] == expected
        assert heading.locator("xpath=..").get_attribute("aria-sort") == way
    assert opened.texts(f"{table} tbody:first-of-type tr")[1].startswith("Original")


def test_missing_and_signed_values_are_sorted_as_numbers(opened: Opened):
    table = "#table3_monosemanticity"
    column = f"{table} tbody:first-of-type tr:not(.heading, .original) td:nth-child(4)"
    opened.page.locator(f"{table} th button", has_text="Avg. GTC").click()
    values = [float(text.strip("%").replace("−", "-")) for text in opened.texts(column)]
    assert values == sorted(values)
    assert values[0] < 0


def test_rows_are_filtered_by_their_text(opened: Opened):
    figure = opened.page.locator("#table4_retention")
    shown = "#table4_retention tbody tr:not(.heading):visible"
    figure.get_by_label("Filter rows").fill("MATCHED")
    assert all(text.startswith("Matched random") for text in opened.texts(shown))
    assert figure.get_by_role("status").inner_text() == f"{opened.count(shown)} of 8 rows"
    assert opened.count("#table4_retention tr.heading:visible") == 1
    figure.get_by_label("Filter rows").fill("")
    assert opened.count(shown) == 8


def test_series_and_spots_are_switched_off_and_on(opened: Opened):
    figure = opened.page.locator(".picture.dose_response")
    drawn = figure.locator("svg [id*='-series-']:visible")
    everything = drawn.count()
    boxes = [figure.get_by_label(name, exact=True) for name in ("general", "matched random", "contrast")]
    counts = [everything]
    for box in boxes:
        box.uncheck()
        counts.append(drawn.count())
    assert sorted(set(counts), reverse=True) == counts
    assert counts[-1] > 0
    assert figure.locator(".panel:visible").count() == 1
    for box in boxes:
        box.check()
    assert drawn.count() == everything
    domains = opened.page.locator(".picture.perplexity")
    english = domains.get_by_label("English", exact=True)
    english.uncheck()
    assert domains.locator("svg [id*='-series-2-']:visible").count() == 0
    assert domains.locator("svg [id*='-series-1-']:visible").count() > 0
    english.check()


def test_k_is_drawn_along_a_linear_axis_and_back(opened: Opened):
    figure = opened.page.locator(".picture.dose_response")
    place = (
        "[...document.querySelectorAll('.dose_response .panel:first-child [id*=\"-series-\"] use')]"
        ".slice(-2).map((use) => Number(use.getAttribute('x')))"
    )
    was = opened.page.evaluate(place)
    figure.get_by_label("linear").check()
    left = opened.page.evaluate("JSON.parse(document.querySelector('.dose_response metadata').textContent).span[0]")
    moved = [x - left for x in opened.page.evaluate(place)]
    assert moved[1] / moved[0] == pytest.approx(DOSES[3] / DOSES[1], rel=0.01)
    figure.get_by_label("logarithmic").check()
    assert opened.page.evaluate(place) == pytest.approx(was, abs=0.1)


def test_points_show_their_numbers_by_keyboard_and_by_pointer(opened: Opened):
    figure = opened.page.locator(".picture.dose_response")
    plot, tip = figure.locator(".plot").first, figure.locator(".tip").first
    plot.focus()
    opened.page.keyboard.press("ArrowRight")
    first = tip.inner_text()
    assert first.startswith("code · k 0.01% · Retention ")
    assert "95% interval" in first
    opened.page.keyboard.press("ArrowRight")
    assert "k 0.25%" in tip.inner_text()
    opened.page.keyboard.press("ArrowDown")
    assert tip.inner_text().startswith("code: matched random · k 0.25% · Mean ")
    opened.page.keyboard.press("Enter")
    noted = figure.locator(".noted tbody tr").first
    assert noted.inner_text().split("\t")[:3] == [f"paper {HOSTILE}", "code: matched random", "0.25%"]
    opened.page.keyboard.press("Escape")
    assert not tip.is_visible()
    box = plot.bounding_box()
    x, y = opened.page.evaluate(
        "JSON.parse(document.querySelector('.dose_response metadata').textContent).series[0].points[0].slice(0, 2)"
    )
    width, height = opened.page.evaluate(
        "(({ width, height }) => [width, height])(document.querySelector('.dose_response svg').viewBox.baseVal)"
    )
    opened.page.mouse.move(box["x"] + box["width"] * x / width + 2, box["y"] + box["height"] * y / height)
    assert first in tip.inner_text()
    figure.get_by_role("button", name="Clear").click()
    assert opened.count(".dose_response .noted tr") == 0


def test_the_map_of_a_spot_gives_a_module_s_counts_against_chance(opened: Opened):
    plot = opened.page.locator(".picture.density .plot").first
    plot.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "Enter"):
        opened.page.keyboard.press(key)
    heads = opened.texts(".density .noted thead th")
    row = dict(zip(heads, opened.texts(".density .noted tbody tr :is(th, td)"), strict=False))
    assert row["Module"] == "layer 1, k"
    assert row["Parameters"] == "16,384"
    inside, chance, times = (float(row[name].replace(",", "")) for name in ("In the spot", "By chance", "Times chance"))
    assert times == pytest.approx(inside / chance, abs=0.02)


def test_a_row_leads_to_the_items_of_its_cell(opened: Opened):
    page = opened.page
    row = page.locator("#table4_retention tr[data-cell='contrast-k0.25']")
    row.get_by_role("link", name="items").focus()
    page.keyboard.press("Enter")
    edited = page.get_by_label("Edited model")
    # a browser tells of a new address after the key is done
    playwright.expect(edited.locator("option:checked")).to_have_text("contrast, 0.25%: spot")
    playwright.expect(edited).to_be_focused()
    status = page.locator("#items > p[role=status]")
    page.get_by_label("Task").select_option("Python problems")
    total = status.inner_text()
    assert total == "164 of 164 items"
    page.get_by_label("Show").select_option("broken by the edit")
    broken = int(status.inner_text().split()[0])
    assert opened.texts("ol.items h3 .verdict") == ["broken"] * 5
    page.get_by_label("Show").select_option("kept")
    kept = int(status.inner_text().split()[0])
    assert broken > 0
    assert broken + kept < 164
    page.get_by_label("Show").select_option("all items")
    page.get_by_label("Search").fill("It? <IMG SRC=X ONERROR=window.owned=1></script> (77)")
    assert status.inner_text() == "1 of 164 items"
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="Show more").click()
    assert opened.count("ol.items > li") == 10
    page.get_by_label("Task").select_option("Events")
    assert opened.texts("ol.items > li:first-child .choices li") == ["this (right)", "that"]


def test_the_keyboard_alone_reaches_everything(opened: Opened):
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    unreachable = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, select, summary, .plot, .scroll, pre')]"
        ".filter((each) => each.tabIndex !== 0).map((each) => each.outerHTML)"
    )
    assert unreachable == []
    reached = []
    page.locator("#result input").first.focus()
    for _ in range(12):
        reached.append(page.evaluate("document.activeElement.className || document.activeElement.tagName"))
        page.keyboard.press("Tab")
    assert reached == [*["INPUT"] * 4, "plot", *["A"] * 7]


@pytest.mark.parametrize(("width", "scheme"), [(380, "light"), (1440, "dark")])
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_page(opened: Opened, width: int, scheme: str):
    page = opened.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = axe.Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["html"] for node in each["nodes"]][:3])
        for each in violations
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_without_scripts_the_page_is_as_it_was(opened: Opened):
    context = opened.page.context.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(opened.path.as_uri())
    assert page.locator(".dose_response svg").first.is_visible()
    assert page.locator("#table4_retention table").is_visible()
    assert page.locator("#samples").is_visible()
    assert not page.locator("#items").is_visible()
    assert page.locator(".tools, .sort, .tip").count() == 0
    context.close()


def test_the_console_is_silent_and_no_request_left_the_file(opened: Opened):
    """Last: whatever the tests before did."""
    assert opened.console == []
    assert [url for url in opened.requests if url.partition("#")[0] != opened.path.as_uri()] == []


def test_an_address_that_is_none_does_nothing(opened: Opened):
    before = opened.page.url
    opened.page.evaluate("location.hash = '#items/%E0%A4%A'")
    opened.page.wait_for_timeout(100)
    assert opened.console == []
    opened.page.goto(before)
