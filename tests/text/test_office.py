"""PDF and Word files, read with the real libraries of the extra ``docs``."""

from __future__ import annotations

import builtins
import zipfile
from io import BytesIO
from typing import Any

import pytest

from graphrag.errors import InputError, MissingExtraError
from graphrag.text import office
from graphrag.text.office import docx_to_markdown, pdf_to_text


def make_pdf(*pages: str) -> bytes:
    """Write a minimal PDF file by hand: one font, one line of text per page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, line in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 700 Td ({line}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        out
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
            f"startxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def make_docx() -> bytes:
    import docx

    document = docx.Document()
    document.core_properties.title = "Harbour report"
    document.add_heading("The Harbour", 1)
    document.add_paragraph("It was built in 1901 by Ada Stone.")
    document.add_paragraph("Aurora", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for place, text in enumerate(["Ship", "Year", "Aurora", "1899"]):
        table.cell(place // 2, place % 2).text = text
    document.add_paragraph("The end.")
    stream = BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_pdf_pages() -> None:
    pytest.importorskip("pypdf")
    title, text = pdf_to_text(make_pdf("The harbour was built in 1901.", "It stands."))
    assert title is None
    assert text == "The harbour was built in 1901.\n\nIt stands."


def test_pdf_without_text_wants_ocr() -> None:
    pytest.importorskip("pypdf")
    with pytest.raises(InputError, match="OCR"):
        pdf_to_text(make_pdf(""))


def test_encrypted_pdf_is_named() -> None:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter(clone_from=BytesIO(make_pdf("secret")))
    writer.encrypt("word", algorithm="RC4-128")
    stream = BytesIO()
    writer.write(stream)
    with pytest.raises(InputError, match="encrypted"):
        pdf_to_text(stream.getvalue())


@pytest.mark.parametrize("data", [b"%PDF-1.7\nnothing more", b"no pdf", make_pdf("x")[:60]])
def test_broken_pdf(data: bytes) -> None:
    pytest.importorskip("pypdf")
    with pytest.raises(InputError, match="broken PDF"):
        pdf_to_text(data)


def test_docx_keeps_headings_lists_and_tables_in_order() -> None:
    pytest.importorskip("docx")
    title, text = docx_to_markdown(make_docx())
    assert title == "Harbour report"
    assert text == (
        "# The Harbour\n\nIt was built in 1901 by Ada Stone.\n\n- Aurora\n\n"
        "| Ship | Year |\n| Aurora | 1899 |\n\nThe end."
    )


@pytest.mark.parametrize("data", [b"no docx", b"PK\x03\x04 cut short"])
def test_broken_docx(data: bytes) -> None:
    with pytest.raises(InputError, match="broken Word"):
        docx_to_markdown(data)


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("docx")
    monkeypatch.setattr(office, "_MOST_UNPACKED", 1000)
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", "x" * 100_000)
    with pytest.raises(InputError, match="unpacks to 100,000 bytes"):
        docx_to_markdown(stream.getvalue())


@pytest.mark.parametrize(("read", "package"), [(pdf_to_text, "pypdf"), (docx_to_markdown, "docx")])
def test_without_the_extra_the_error_names_it(
    read: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"graphrag-engine\[docs\]"):
        read(b"")
