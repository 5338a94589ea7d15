"""The page in a real browser. Without one these tests are skipped; the first two need none."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphrag.export import export
from tests.export.chromium import Browser, find_chromium, launch
from tests.export.conftest import SCRIPT_NAME, SVG_NAME, MemoryIndex, make_index


@pytest.fixture(scope="module")
def page(index: MemoryIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = export(index, "html", tmp_path_factory.mktemp("html"))
    assert isinstance(written, Path)
    return written


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium)")
    with launch(executable, tmp_path_factory.mktemp("profile")) as running:
        yield running


def test_no_data_can_leave_their_script_element(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 2
    assert not set(scripts[0]) & set("<>&\u2028\u2029")
    titles = [entity["title"] for entity in json.loads(scripts[0])["entities"]]
    assert SCRIPT_NAME in titles
    assert SVG_NAME in titles
    assert html.escape(SCRIPT_NAME) in text
    assert SCRIPT_NAME not in text


def test_the_page_names_no_other_place(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "unsafe" not in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_it_opens_without_errors_or_requests(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.console == []
    assert browser.requests == [page.as_uri()]
    assert "30 entities" in browser.run("document.getElementById('counts').textContent")
    pixels = "document.getElementById('graph').getContext('2d').getImageData(0, 0, 1280, 700).data"
    assert browser.run(f"{pixels}.some(value => value > 0)")
    assert browser.run("document.getElementById('note').hidden")


def test_the_policy_refuses_what_the_page_did_not_bring(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run(
        "const script = document.createElement('script'); script.textContent = 'window.pwned = 3';"
        "const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';"
        "document.body.append(script, image);"
    )
    browser.settle()
    assert browser.run("window.pwned === undefined")
    # The protocol reports a request as soon as it is wanted, and then that it was not let out.
    assert browser.requests == [page.as_uri(), "http://127.0.0.1:9/x.png"]
    assert browser.refused == ["csp"]
    assert len(browser.console) >= 2  # both refusals


def test_search_finds_and_enter_opens_the_panel_with_the_sentence(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('search').focus()")
    browser.type("person k")
    assert browser.run("[...document.querySelectorAll('#results .what')].map(e => e.textContent)") == [
        "Person K"
    ]
    browser.press("Enter")
    panel = browser.run("document.getElementById('panel').innerText")
    assert panel.startswith("Person K")
    assert "Here Person K speaks of item number" in panel
    assert browser.run("document.querySelector('#panel mark').textContent") == "Person K"
    assert "Letters" in browser.run("document.querySelector('#panel cite').textContent")
    browser.run("document.getElementById('search').focus()")
    browser.run("document.getElementById('search').select()")
    browser.type("alias; 6")
    assert browser.run("document.querySelectorAll('#results [role=option]').length") == 1
    browser.type("nobody of this name")
    assert "Nothing" in browser.run("document.getElementById('results').textContent")
    assert browser.console == []


def test_a_click_on_a_node_opens_it_and_a_hostile_name_stays_text(browser: Browser, page: Path) -> None:
    for name in (SCRIPT_NAME, SVG_NAME):
        browser.open(page)
        x, y = browser.run(f"graphPage.positionOf(graphPage.find({json.dumps(name)}))")
        browser.click(x, y)
        assert browser.run("document.querySelector('#panel h2').textContent") == name
        assert name in browser.run("document.querySelector('#panel blockquote').textContent")
        browser.run("document.getElementById('search').focus()")
        browser.type(name[:12])
        assert name in browser.run("document.getElementById('results').textContent")
        browser.run("document.getElementById('show-list').click()")
        browser.run("document.getElementById('list-relationships').click()")
        browser.settle()
        assert browser.run("document.querySelectorAll('main img, main svg, main b, main i').length") == 0
        assert browser.run("window.pwned === undefined")
        assert browser.console == []
        assert browser.requests == [page.as_uri()]


def test_the_panel_follows_relationships_and_shows_claims_and_communities(
    browser: Browser, page: Path
) -> None:
    browser.open(page, fragment="#e0")
    panel = browser.run("document.getElementById('panel').innerText")
    assert panel.startswith(SCRIPT_NAME)
    assert "TRUE" in panel
    assert "deed 1911 to 1912" in panel
    assert "SUSPECTED" in panel
    assert "Summary of 0." in panel
    assert "Report 3 <b>&" in panel
    assert "←" in panel
    assert "→" in panel
    target = browser.run("document.querySelector('#panel .relation .link').textContent")
    browser.run("document.querySelector('#panel .relation .link').click()")
    assert browser.run("document.querySelector('#panel h2').textContent") == target
    browser.press("Escape")
    assert browser.run("document.getElementById('panel').hidden && location.hash === ''")


def test_a_level_recolours_and_a_legend_row_isolates(browser: Browser, page: Path) -> None:
    browser.open(page)
    colours = "graphPage.entities.map((_, i) => graphPage.colourOf(i))"
    before = browser.run(colours)
    assert len(set(before)) == 3
    browser.run(
        "const level = document.getElementById('level'); level.value = '1'; level.onchange({target: level})"
    )
    after = browser.run(colours)
    assert after != before
    assert len(set(after)) >= 6
    assert browser.run("document.querySelectorAll('#legend-rows button').length") == 5
    browser.run("document.querySelector('#legend-rows button').click()")
    assert browser.run(
        "document.querySelector('#legend-rows [aria-pressed=true] .what').textContent"
    ).startswith("Report")
    browser.run("document.querySelector('#legend-rows button').click()")
    assert browser.run("document.querySelector('#legend-rows [aria-pressed=true]') === null")


def test_keys_and_wheel_move_the_picture(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('graph').focus()")
    where = "graphPage.positionOf(0).map(Math.round)"
    start = browser.run(where)
    browser.press("ArrowDown")
    assert browser.run(where) == [start[0], start[1] - 60]
    browser.send("Input.dispatchMouseEvent", type="mouseWheel", x=900, y=500, deltaX=0, deltaY=-300)
    browser.settle()
    spread = "Math.abs(graphPage.positionOf(0)[0] - graphPage.positionOf(9)[0])"
    zoomed = browser.run(spread)
    browser.run("document.getElementById('zoom-fit').click()")
    browser.settle()
    assert browser.run(spread) < zoomed
    assert browser.run(where) == start


def test_the_list_sorts_and_filters(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('show-list').click()")
    rows = "[...document.querySelectorAll('#list-body tr')].map(row => row.cells[0].textContent)"
    browser.run("document.querySelectorAll('#list-head button')[0].click()")
    assert [row for row in browser.run(rows) if row.startswith("Person")] == [
        f"Person {c}" for c in "ABCDEFGHIJKLMNOPQRSTUVW"
    ]
    browser.run("document.querySelectorAll('#list-head button')[0].click()")
    assert browser.run("document.querySelector('#list-head th').getAttribute('aria-sort')") == "descending"
    browser.run("document.getElementById('filter').focus()")
    browser.type("Person C")
    assert browser.run(rows) == ["Person C"]
    assert browser.run("document.getElementById('matches').textContent") == "1 of 30"
    browser.run("document.querySelector('#list-body button').click()")
    assert browser.run("document.querySelector('#panel h2').textContent") == "Person C"


def test_a_cut_graph_says_so(browser: Browser, tmp_path: Path) -> None:
    page = export(make_index(tuple(f"N{i}" for i in range(40))), "html", tmp_path, max_nodes=25)
    assert isinstance(page, Path)
    browser.open(page)
    assert browser.run("document.getElementById('note').textContent").startswith("Showing 25 of 40 entities")


def test_a_phone_in_the_dark(browser: Browser, page: Path) -> None:
    browser.open(page, 390, 844, dark=True, phone=True)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 27)"
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert not browser.run("document.getElementById('legend').open")
    x, y = browser.run("graphPage.positionOf(10)")
    browser.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    browser.settle()
    title = browser.run("graphPage.entities[10].title")
    assert browser.run("document.querySelector('#panel h2').textContent") == title
    covered = browser.run(
        "graphPage.positionOf(10)[1] > document.getElementById('panel').getBoundingClientRect().top"
    )
    assert not covered
    assert browser.console == []


def test_without_javascript_there_is_a_table(browser: Browser, page: Path) -> None:
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page, settle=False)
        # With scripts off a noscript element has elements inside; with scripts on it is one text.
        assert browser.run("document.querySelectorAll('noscript tbody tr').length") == 30
        seen = browser.run("document.body.innerText")
        assert SCRIPT_NAME in seen
        assert "Search" not in seen
        assert browser.run("document.querySelectorAll('noscript img, noscript svg').length") == 0
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
