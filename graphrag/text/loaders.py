"""Read a folder of files into documents.

One bad file or record never ends a run: it becomes a :class:`SkippedInput` that names it and says
what to do. Nothing outside the folder is read.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphrag.characters import clean, replace_surrogates
from graphrag.errors import GraphRAGError, InputError
from graphrag.hashing import canonical_json, content_hash
from graphrag.settings import InputSettings
from graphrag.text.encoding import check_encoding, decode
from graphrag.text.files import InputFile, find_files
from graphrag.text.html import declared_encoding, html_to_markdown
from graphrag.text.office import docx_to_markdown, pdf_to_text
from graphrag.text.records import (
    BrokenRecord,
    Record,
    missing_column,
    read_csv,
    read_json,
    read_jsonl,
    read_parquet,
)
from graphrag.text.sentences import is_heading, sentence_spans

MAX_BYTES = 512 * 1024 * 1024  # of one file, unpacked
_RECORDS_NAMED = 20  # broken records of one file that are listed one by one
_LONGEST_TITLE = 120
_HEADINGS_WITHIN = 20_000  # characters in which a Markdown title is looked for
_DATES = ("creation_date", "date")

_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MEDIA_TYPES = {
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".docx": _WORD,
}


def iter_documents(folder: Path, settings: InputSettings) -> Iterator[LoadedDocument | SkippedInput]:
    r"""Yield every document below ``folder`` and every file or record that is none, in path order.

    Files whose path has a part that begins with a dot are ignored. Records keep their order; their
    uri is the file's, ``#``, and their id or their number (JSON lines: line, else row from 1); a
    second record of the same id gets ``~2``. Texts have ``\n`` line ends, no control characters and
    Unicode NFC; Markdown stays as it is otherwise, HTML and Word files become Markdown.

    Raises:
        InputError: there is no such folder.
        ConfigError: ``settings.encoding`` names no encoding.
    """
    check_encoding(settings.encoding)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", hint="Create it and put documents there.")
    for file in find_files(folder, settings.include, settings.exclude):
        if file.problem is not None:
            yield SkippedInput(file.uri, file.problem)
            continue
        try:
            yield from _read_file(file, settings)
        except GraphRAGError as error:
            yield SkippedInput(file.uri, str(error))
        except OSError as error:
            yield SkippedInput(
                file.uri, f"It cannot be opened ({error.strerror or error}). Check its permissions."
            )


def _read_file(file: InputFile, settings: InputSettings) -> Iterator[LoadedDocument | SkippedInput]:
    name = file.path.name.lower()
    packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    media_type = _MEDIA_TYPES.get(suffix)
    if media_type is None:
        raise InputError(
            f"Files that end in {suffix or 'nothing'!r} are not read.",
            hint=f"Formats: {' '.join(_MEDIA_TYPES)}, each also with .gz. Convert it or exclude it.",
        )
    if suffix == ".parquet" and not packed:
        yield from _documents(file.uri, media_type, read_parquet(file.path, settings.text_column), settings)
        return
    data = _unpack(file.path) if packed else _read(file.path)
    if not data or data.isspace():
        raise InputError("It is empty.", hint="Fill it or leave it out.")
    if suffix == ".parquet":
        yield from _documents(file.uri, media_type, read_parquet(data, settings.text_column), settings)
        return
    if suffix in (".pdf", ".docx"):
        title, text = pdf_to_text(data) if suffix == ".pdf" else docx_to_markdown(data)
        yield _whole_file(file, media_type, title, text)
        return
    if suffix in (".html", ".htm"):
        page = clean(decode(data, settings.encoding, declared_encoding(data)))
        yield _whole_file(file, media_type, *html_to_markdown(page))
        return
    text = decode(data, settings.encoding)
    column = settings.text_column
    if suffix in (".csv", ".tsv"):
        yield from _documents(file.uri, media_type, read_csv(text, column, tabs=suffix == ".tsv"), settings)
    elif suffix == ".json":
        yield from _documents(file.uri, media_type, read_json(text, column), settings)
    elif suffix in (".jsonl", ".ndjson"):
        yield from _documents(file.uri, media_type, read_jsonl(text), settings)
    else:
        yield _whole_file(file, media_type, None, text)


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    return _within_limit(data, "It is")


def _unpack(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            data: bytes = stream.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"Its gzip data is broken ({error}).", hint="Copy or pack it again.") from None
    return _within_limit(data, "It unpacks to")


def _within_limit(data: bytes, what: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise InputError(f"{what} more than {MAX_BYTES // 2**20} MiB.", hint="Split it into smaller files.")
    return data


def _whole_file(file: InputFile, media_type: str, title: str | None, text: str) -> LoadedDocument:
    text = clean(text)
    if not text.strip():
        raise InputError("It holds no text.", hint="Fill it or leave it out.")
    title = _one_line(title) or _title_of(text, media_type) or file.stem
    return LoadedDocument(
        id=content_hash("document", file.uri, text),
        uri=file.uri,
        record_id=None,
        title=title,
        media_type=media_type,
        creation_date=None,
        metadata="{}",
        text=text,
    )


def _title_of(text: str, media_type: str) -> str | None:
    """Return the first heading of a text that may have headings, else its first line if that is short."""
    if media_type != "text/plain":
        head = text[:_HEADINGS_WITHIN]
        for start, end in sentence_spans(head):
            if is_heading(head[start:end]):
                line = head[start:end].partition("\n")[0]
                return _one_line(line.strip(" #"))
    first = text.lstrip().partition("\n")[0].strip()
    return _one_line(first) if len(first) <= _LONGEST_TITLE else None


def _one_line(title: str | None) -> str | None:
    return " ".join(clean(title).split()) or None if title else None


def _documents(
    uri: str, media_type: str, records: Iterator[Record | BrokenRecord], settings: InputSettings
) -> Iterator[LoadedDocument | SkippedInput]:
    uses: dict[str, int] = {}  # how many records have had this uri
    problems = count = lacking = 0
    names: dict[str, None] = {}
    for record in records:
        count += 1
        made: LoadedDocument | BrokenRecord
        if isinstance(record, Record):
            if settings.text_column not in record.fields:
                lacking += 1
                names.update(dict.fromkeys(record.fields))
                continue
            made = _record_document(uri, media_type, record, settings, uses)
        else:
            made = record
        if isinstance(made, LoadedDocument):
            yield made
            continue
        problems += 1
        if problems <= _RECORDS_NAMED:
            yield SkippedInput(f"{uri}#{made.number}", made.reason)
    if problems > _RECORDS_NAMED:
        yield SkippedInput(uri, f"{problems - _RECORDS_NAMED} more of its records cannot be read.")
    if lacking:
        yield SkippedInput(
            uri, f"{lacking} of its {count} records: {missing_column(settings.text_column, names)}"
        )
    if not count:
        yield SkippedInput(uri, "It holds no records. Fill it or leave it out.")


def _record_document(
    uri: str, media_type: str, record: Record, settings: InputSettings, uses: dict[str, int]
) -> LoadedDocument | BrokenRecord:
    fields = dict(record.fields)
    text = _as_text(fields.pop(settings.text_column))
    if text is None or not text.strip():
        return BrokenRecord(record.number, f"Record {record.number} has no text in {settings.text_column!r}.")
    record_id = _take(fields, settings.id_column)
    title = _take(fields, settings.title_column)
    created = next((value for name in _DATES if (value := _take(fields, name)) is not None), None)
    try:
        metadata = replace_surrogates(canonical_json(fields))
    except RecursionError:
        return BrokenRecord(record.number, f"Record {record.number} is nested too deeply. Flatten it.")
    title = title or _title_of(text, media_type) or record_id or f"record {record.number}"
    own = _unique(f"{uri}#{record_id or record.number}", uses)
    return LoadedDocument(
        id=content_hash("document", own, text),
        uri=own,
        record_id=record_id,
        title=title,
        media_type=media_type,
        creation_date=created,
        metadata=metadata,
        text=text,
    )


def _as_text(value: Any) -> str | None:
    """Return a record's text; a list of paragraphs is joined by line ends."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = "\n".join(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    return clean(value) if isinstance(value, str) else None


def _take(fields: dict[str, Any], name: str) -> str | None:
    """Remove the plain value called ``name`` and return it as one line; anything else stays."""
    value = fields.get(name)
    if value is None:
        fields.pop(name, None)
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    del fields[name]
    return _one_line(str(value))


def _unique(uri: str, uses: dict[str, int]) -> str:
    candidate = uri
    while candidate in uses:
        uses[uri] += 1
        candidate = f"{uri}~{uses[uri]}"
    uses[candidate] = 1
    return candidate


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A row of :data:`graphrag.schema.DOCUMENTS`."""

    id: str
    uri: str
    record_id: str | None
    title: str
    media_type: str
    creation_date: str | None
    metadata: str
    text: str


@dataclass(frozen=True, slots=True)
class SkippedInput:
    """A file or record that became no document; ``reason`` says why and what to do."""

    uri: str
    reason: str
