"""Web pages: what stays, what goes, and pages made to hurt."""

from __future__ import annotations

import time

import pytest

from graphrag.errors import InputError
from graphrag.text.html import declared_encoding, html_to_markdown

BODY = """<h1>The Harbour</h1><p>It was built in 1901 by <b>Ada Stone</b>.{filler}</p><h2>Ships</h2>
<ul><li>Aurora, a steamer</li><li>Beagle</li></ul><ol><li>one</li><li>two</li></ol>
<table><tr><th>Ship</th><th>Year</th></tr><tr><td>Aurora</td><td>1899</td></tr></table>"""
PAGE = """<!DOCTYPE html><html><head><title>Harbour &amp;
 Bay</title><style>p {{color: red}}</style></head><body><nav><a href="/">Home</a></nav>{body}
<script>alert("script text")</script><footer>Copyright notice</footer></body></html>"""
FILLER = " The work took years because the sea was rough, and the men were few and badly paid." * 8


@pytest.mark.parametrize("filler", ["", FILLER])
@pytest.mark.parametrize("wrap", ["{}", "<article>{}</article>", "<div><div>{}</div></div>"])
def test_structure_stays_and_menus_go(filler: str, wrap: str) -> None:
    title, text = html_to_markdown(PAGE.format(body=wrap.format(BODY.format(filler=filler))))
    lines = text.split("\n")
    assert title == "Harbour & Bay"
    assert "# The Harbour" in lines
    assert "## Ships" in lines
    assert "- Aurora, a steamer" in lines
    assert "1. one" in lines
    assert "| Aurora | 1899 |" in lines
    assert "It was built in 1901 by Ada Stone." in text
    for gone in ("script text", "color: red", "Copyright", "Home"):
        assert gone not in text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Only one short line.", "Only one short line."),
        ("no tags at all", "no tags at all"),
        ("<html><body></body></html>", ""),
        ("<!-- nothing -->", ""),
        ("a<!-- c -->b<br>c", "ab\nc"),
        ("<?xml version='1.0' encoding='utf-8'?><html><body><p>strict</p></body></html>", "strict"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n- b\n- c"),
        ("<pre>x = 1\n  y = 2</pre>", "x = 1\n  y = 2"),
        ("<table><tr><td>menu<td><table><tr><td>x<td>y</table></table>", "menu\n\n| x | y |"),
        ("<main><p>inside</p></main><p>outside</p>", "inside"),
    ],
)
def test_short_pages(page: str, text: str) -> None:
    assert html_to_markdown(page)[1] == text


@pytest.mark.parametrize(
    "page",
    [
        "<a " * 100_000,
        "<!--" * 50_000,
        "<" * 200_000,
        "</" * 50_000,
        "<p a='" * 50_000,
        "&" * 100_000,
        "<b " * 100_000,
    ],
)
def test_malformed_pages_take_linear_time(page: str) -> None:
    began = time.process_time()
    html_to_markdown(page)
    assert time.process_time() - began < 10


def test_deep_pages_are_read_or_refused_but_never_cut_short() -> None:
    assert html_to_markdown("<div>" * 1500 + "deep text")[1] == "deep text"
    with pytest.raises(InputError, match="nested"):
        html_to_markdown("<div>" * 100_000 + "lost text")


def test_a_page_without_marks_loses_its_menus_to_the_statistics() -> None:
    menu = (
        "<div class='menu'><ul><li><a href='/a'>Shop now</a></li><li><a href='/b'>Log in</a></li></ul></div>"
    )
    _, text = html_to_markdown(
        f"<html><body>{menu}<div><p>{FILLER}</p><p>{FILLER[::2]}</p></div></body></html>"
    )
    assert "rough" in text
    assert "Shop now" not in text


def test_declared_encoding() -> None:
    assert declared_encoding(b"<html><meta charset='EUC-KR'>") == "EUC-KR"
    assert declared_encoding(b'<meta http-equiv=x content="text/html; charset=cp1252">') == "cp1252"
    assert declared_encoding(b"<p>charset=none</p>") is None
