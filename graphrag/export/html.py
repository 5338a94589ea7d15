"""One self-contained HTML page: the graph drawn on a canvas, with search, communities and sources.

The page asks nothing of any server. Its content security policy allows the one script and the one style
sheet that it carries, by their SHA-256, and ``data:`` images; the browser refuses everything else. Data
travel as JSON in which no character can end a script element, and the script puts text into the page as
text only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from graphrag.export.atomic import replacing
from graphrag.export.page_data import page_data
from graphrag.export.tables import Options, TableSource

_SLOT = re.compile(r"\{\{(\w+)\}\}")
# In JSON these characters stand only inside strings, where their escapes mean the same.
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_SCRIPTS = ("graph.js", "panel.js", "list.js", "start.js")
_PLAIN_ROWS = 300  # entities listed for readers without JavaScript


def write(index: TableSource, out: Path, options: Options) -> list[Path]:
    """Write the page to ``out``, opened at the level and with at most the entities of ``options``."""
    page = render_page(page_data(index, level=options.level, max_nodes=options.max_nodes))
    with replacing(out) as path:
        path.write_text(page, encoding="utf-8", newline="\n")
    return [out]


def render_page(data: dict[str, Any]) -> str:
    """Return the page for ``data`` as :func:`graphrag.export.page_data.page_data` makes it."""
    script, style = _script(), _resource("page.css")
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    slots = {
        "title": html.escape(data["title"]),
        "policy": (
            f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        "style": style,
        "script": script,
        "plain": _plain(data),
        "data": text.translate(_ESCAPES),
    }
    # One pass, so that braces inside the data or the script are never taken for a slot.
    return _SLOT.sub(lambda match: slots[match[1]], _resource("page.html"))


def _resource(name: str) -> str:
    return files("graphrag.export").joinpath("page", name).read_text(encoding="utf-8")


def _script() -> str:
    """Join the parts to one script with a scope of its own."""
    parts = "\n".join(_resource(name) for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(data: dict[str, Any]) -> str:
    """Return the table that readers without JavaScript see."""
    entities = data["entities"][:_PLAIN_ROWS]
    lines = [
        f"<tr><th scope=row>{html.escape(title)}</th><td>{html.escape(data['types'][type_])}</td>"
        f"<td>{degree}</td><td>{html.escape(description)}</td></tr>"
        for title, type_, degree, description in (
            (row["title"], row["type"], row["degree"], row["description"]) for row in entities
        )
    ]
    note = f"The {len(entities)} most connected of {data['counts']['entities']} entities."
    return (
        f"<p>The picture needs JavaScript. {note}</p>\n<table><thead><tr><th>Entity</th><th>Type</th>"
        "<th>Relationships</th><th>Description</th></tr></thead>\n<tbody>"
        + "\n".join(lines)
        + "</tbody></table>"
    )
