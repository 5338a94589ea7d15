"""The main text of a web page, as Markdown: headings, lists and tables stay, menus go."""

from __future__ import annotations

import re
from typing import Any

from graphrag.errors import InputError

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_EMPHASIS = re.compile(r"</?(?:b|strong|em|i|u|mark|small|font)(?:\s[^<>]*)?>", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
_ITEM = re.compile(r"^\s*(?:- |\d+\. )", re.MULTILINE)
_ROW = re.compile(r"^\|", re.MULTILINE)
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_HEAD_BYTES = 4096
_SHORT_PAGE = 2000  # characters


def _names(block: str) -> frozenset[str]:
    return frozenset(block.split())


_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_SKIPPED = _names(
    """
    script style noscript template nav footer aside button select iframe svg object head title dialog
    """
)
_BLOCKS = _names(
    """
    p div section article main header blockquote figure figcaption address details summary dl dt dd hr form
    fieldset ul ol table caption thead tbody tfoot body html center
    """
)
_CELLS = frozenset({"td", "th"})


def declared_encoding(data: bytes) -> str | None:
    """Return the encoding that a page's ``<meta>`` element names, if any."""
    found = _META_CHARSET.search(data[:_HEAD_BYTES])
    return found.group(1).decode("ascii") if found else None


def html_to_markdown(page: str) -> tuple[str | None, str]:
    """Return the title of ``page`` and its main text as Markdown; the text may be empty.

    A page that marks its main text (``<main>``, one ``<article>``) is taken at its word. Elsewhere
    Trafilatura chooses (Barbaresi, ACL 2021), unless it loses all headings, lists or tables, or most
    of a short page; then the body without menus is taken.

    Raises:
        InputError: the elements are nested so deeply that the parser lost some.
    """
    from lxml import etree, html

    page = _DECLARATION.sub("", page, count=1)
    parser = html.HTMLParser(huge_tree=True)  # without it everything below 256 levels is silently lost
    try:
        root = html.document_fromstring(page, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # nothing but comments and broken tags
        return None, ""
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise InputError("Its elements are nested more than 2,000 deep.", hint="Save the page as text.")
    title = root.findtext(".//head/title") or root.findtext(".//title") or ""
    title = " ".join(title.split()) or None
    marked = _marked_main(root)
    if marked is not None and (text := _render(marked).text()):
        return title, text
    body = _render(root)
    whole = body.text()
    main = _main_text(page) if whole else ""
    loses_structure = (
        (body.has_headings and not _HEADING.search(main))
        or (body.has_items and not _ITEM.search(main))
        or (body.has_rows and not _ROW.search(main))
    )
    loses_text = len(whole) < _SHORT_PAGE and 2 * len(main) < len(whole)
    return title, whole if loses_structure or loses_text else main


def _marked_main(root: Any) -> Any:
    marked = root.find(".//main")
    if marked is None:
        articles = root.findall(".//article")
        marked = articles[0] if len(articles) == 1 else None
    return marked


def _main_text(page: str) -> str:
    import trafilatura

    found = trafilatura.extract(
        _EMPHASIS.sub("", page),  # asterisks around names would only be in the way of finding them
        output_format="markdown",
        include_tables=True,
        include_comments=False,
        include_links=False,
        include_images=False,
        deduplicate=False,
        favor_recall=True,
    )
    return "\n".join(line.rstrip() for line in (found or "").split("\n")).strip()


def _render(start: Any) -> _Renderer:
    from lxml import etree

    page = _Renderer()
    walk = etree.iterwalk(start, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        if event == "start":
            if element.tag in _SKIPPED:
                walk.skip_subtree()
            else:
                page.open(element.tag)
                page.write(element.text)
            continue
        if event == "end" and element.tag not in _SKIPPED:
            page.close(element.tag)
        if element is not start:
            page.write(element.tail)
    page.end_block()
    return page


class _Renderer:
    """Collects blocks of text while the elements of a page are walked, without recursion."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._inline: list[str] = []
        self._prefix = ""
        self._lists: list[int | None] = []  # the next number, or None for bullets
        self._cells: list[str] | None = None  # of the open table row
        self._verbatim = 0
        self._links = 0
        self.has_headings = self.has_rows = False
        self.has_items = False  # other than links, which make a menu

    def write(self, text: str | None) -> None:
        if text:
            if not self._links and self._prefix and self._lists and text.strip():
                self.has_items = True
            self._inline.append(text if self._verbatim else _BLANKS.sub(" ", text))

    def open(self, tag: str) -> None:
        if tag == "br":
            self._inline.append(" " if self._cells is not None else "\n")
        elif tag == "tr":
            self._leave_row()
            self._cells = []
        elif tag in _CELLS and self._cells is not None:
            self._inline.clear()
        elif tag in _HEADINGS or tag == "table":
            self._leave_row()  # a table that holds headings or tables is layout, not data
            self._prefix = _HEADINGS.get(tag, "")
            self.has_headings |= tag in _HEADINGS
        elif tag == "li":
            self.end_block()
            if self._cells is None:
                self._prefix = self._bullet()
        elif tag == "pre" or tag in _BLOCKS:
            self.end_block()
            self._verbatim += tag == "pre"
        self._links += tag == "a"
        if tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else None)

    def close(self, tag: str) -> None:
        if tag in _CELLS and self._cells is not None:
            self._cells.append(" ".join("".join(self._inline).split()))
            self._inline.clear()
        elif tag == "tr" and self._cells is not None:
            if any(self._cells):
                self.has_rows = True
                self._blocks.append("| " + " | ".join(self._cells) + " |")
            self._cells = None
            self._inline.clear()
        elif tag in _HEADINGS or tag in ("li", "pre", "td", "th", "tr") or tag in _BLOCKS:
            self.end_block()
        self._verbatim -= tag == "pre"
        self._links -= tag == "a"
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()

    def end_block(self) -> None:
        if self._cells is not None:
            self._inline.append(" ")
            return
        lines = "".join(self._inline).split("\n")
        text = "\n".join(line.rstrip() if self._verbatim else line.strip() for line in lines).strip("\n")
        self._inline.clear()
        if text.strip():
            self._blocks.append(self._prefix + text)
            self._prefix = ""

    def text(self) -> str:
        """Return the blocks: rows and list items on lines of their own, the rest as paragraphs."""
        parts: list[str] = []
        for before, block in zip(["", *self._blocks], self._blocks, strict=False):
            row = block.startswith("| ") and before.startswith("| ")
            item = _is_item(block) and _is_item(before)
            parts += ("\n" if row or item else "\n\n", block)
        return "".join(parts[1:])

    def _leave_row(self) -> None:
        if self._cells is not None:
            cells, self._cells = self._cells, None
            self._blocks += [cell for cell in cells if cell]
        self.end_block()

    def _bullet(self) -> str:
        if not self._lists or self._lists[-1] is None:
            return "- "
        number = self._lists[-1]
        self._lists[-1] = number + 1
        return f"{number}. "


def _is_item(block: str) -> bool:
    return block.startswith("- ") or block.partition(". ")[0].isdecimal()
