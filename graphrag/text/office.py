"""Text of PDF and Word files; their readers are the extra ``docs``."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import Any

from graphrag.errors import InputError, MissingExtraError

_MOST_UNPACKED = 1 << 29


def pdf_to_text(data: bytes) -> tuple[str | None, str]:
    """Return the title and the text of a PDF file, pages parted by blank lines.

    Raises:
        InputError: it is broken, encrypted, or holds pictures of text only.
        MissingExtraError: pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
        from pypdf.errors import FileNotDecryptedError
    except ImportError:
        raise MissingExtraError("Reading PDF files", "pypdf", "docs") from None
    try:
        reader = PdfReader(BytesIO(data))
        title = reader.metadata.title if reader.metadata else None
        pages = [page.extract_text().strip() for page in reader.pages]
    except FileNotDecryptedError:
        raise InputError("It is encrypted.", hint="Save it without a password.") from None
    except Exception as error:  # a broken file makes the reader raise anything; all of it is reported
        raise InputError(
            f"It is a broken PDF file ({type(error).__name__}: {error}).", hint="Print it to a new PDF file."
        ) from error
    text = "\n\n".join(page for page in pages if page)
    if not text:
        raise InputError(
            f"Its {len(pages)} page(s) hold no text, only pictures.", hint="Run OCR over it first."
        )
    return title, text


def docx_to_markdown(data: bytes) -> tuple[str | None, str]:
    """Return the title and the text of a Word file, with headings, list items and table rows.

    Raises:
        InputError: it is broken, or unpacks to more than 512 MiB.
        MissingExtraError: python-docx is not installed.
    """
    try:
        import docx
    except ImportError:
        raise MissingExtraError("Reading Word files", "python-docx", "docs") from None
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > _MOST_UNPACKED:
            raise InputError(f"It unpacks to {unpacked:,} bytes.", hint="Split it into smaller files.")
        document = docx.Document(BytesIO(data))
        blocks = [block for item in document.iter_inner_content() for block in _blocks(item)]
        title = document.core_properties.title
    except InputError:
        raise
    except Exception as error:  # a broken file makes the reader raise anything; all of it is reported
        raise InputError(
            f"It is a broken Word file ({type(error).__name__}: {error}).", hint="Save it anew as .docx."
        ) from error
    return title or None, "\n\n".join(block for block in blocks if block)


def _blocks(item: Any) -> list[str]:
    if not hasattr(item, "rows"):
        text: str = item.text.strip()
        style: str = (item.style.name or "") if item.style is not None else ""
        if not text:
            return []
        if style == "Title":
            return [f"# {text}"]
        if style.startswith("Heading") and style[-1:].isdecimal():
            return [f"{'#' * min(6, int(style[-1]))} {text}"]
        return [f"- {text}"] if style.startswith("List") else [text]
    rows = []
    for row in item.rows:
        cells: list[str] = []
        seen = None
        for cell in row.cells:
            if cell._tc is not seen:  # a merged cell is listed once for every column it spans
                cells.append(" ".join(cell.text.split()))
            seen = cell._tc
        if any(cells):
            rows.append("| " + " | ".join(cells) + " |")
    return ["\n".join(rows)]
