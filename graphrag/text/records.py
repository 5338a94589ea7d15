"""Records of CSV, JSON, JSON-lines and Parquet files, one at a time; a broken one does not end the file."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from graphrag.errors import InputError

_DELIMITERS = ",;\t|"
_LONGEST_FIELD = 2**31 - 1  # what csv accepts on every platform
_NAMES_SHOWN = 20


def missing_column(column: str, names: Iterable[str]) -> InputError:
    """Return the error for records without the text ``column``; it lists the ``names`` there are."""
    there = [str(name) for name in names]
    listed = ", ".join(there[:_NAMES_SHOWN]) + (", …" if len(there) > _NAMES_SHOWN else "")
    return InputError(
        f"There is no column {column!r} with the text.",
        hint=f"There are: {listed or 'none'}. Set input.text_column to one of them.",
    )


def read_csv(text: str, text_column: str, *, tabs: bool = False) -> Iterator[Record | BrokenRecord]:
    """Yield the rows of a CSV file with a header; the delimiter is the one that makes a text column.

    Rows are numbered from 1 below the header. A row with more fields than the header is broken: an
    unquoted comma would otherwise cut its text short. After a quote that is never closed nothing can
    be told apart, so the rest is reported as one broken record.

    Raises:
        InputError: there is no text column.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_FIELD))  # of the process; the default is 128 kB
    delimiter = "\t" if tabs else _delimiter(text, text_column)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    first_line = 1
    try:
        for row in reader:
            start, first_line = first_line, reader.line_num + 1
            if not any(row):
                continue
            if header is None:
                header = [name.strip() for name in row]
                if text_column not in header:
                    raise missing_column(text_column, header)
                continue
            number += 1
            if len(row) > len(header):
                yield BrokenRecord(
                    number,
                    f"Line {start} has {len(row)} fields, the header {len(header)}. "
                    f"Put fields with {delimiter!r} in quotes.",
                )
            else:
                yield Record(number, dict(zip(header, row, strict=False)))
    except csv.Error as error:
        yield BrokenRecord(
            number + 1, f"The row at line {first_line} is broken ({error}); nothing from there on was read."
        )


def read_json(text: str, text_column: str) -> Iterator[Record | BrokenRecord]:
    """Yield the records of a list, of an object that holds one list of objects, or of one object.

    A file that holds one object per line although it ends in ``.json`` is read as JSON lines.

    Raises:
        InputError: it is not JSON, or holds no objects.
    """
    try:
        value = _parse(text)
    except InputError:
        if not _begins_with_an_object(text):
            raise
        yield from read_jsonl(text)
        return
    if isinstance(value, dict):
        lists = [
            item for item in value.values() if isinstance(item, list) and item and isinstance(item[0], dict)
        ]
        value = lists[0] if text_column not in value and len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise InputError(
            f"It holds a {type(value).__name__}, not records.",
            hint="Write a list of objects with a text each.",
        )
    for number, item in enumerate(value, 1):
        yield _record(number, item)


def read_jsonl(text: str) -> Iterator[Record | BrokenRecord]:
    """Yield one record per line, numbered by its line; blank lines are passed over."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            yield _record(number, _parse(line))
        except InputError as error:
            yield BrokenRecord(number, f"Line {number}: {error}")


def read_parquet(source: Path | bytes, text_column: str) -> Iterator[Record | BrokenRecord]:
    """Yield the rows of a Parquet file, numbered from 1, holding one batch of them at a time.

    Raises:
        InputError: it is broken, or there is no text column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(BytesIO(source) if isinstance(source, bytes) else source)
        with file:
            names = file.schema_arrow.names
            if text_column not in names:
                raise missing_column(text_column, names)
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(number, {key: _plain(value) for key, value in row.items()})
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"It is a broken Parquet file ({error}).", hint="Write it again.") from None


def _delimiter(text: str, text_column: str) -> str:
    header = text.lstrip("\r\n").partition("\n")[0].rstrip("\r")
    for delimiter in _DELIMITERS:
        if text_column in (name.strip(' "') for name in header.split(delimiter)):
            return delimiter
    return max(_DELIMITERS, key=header.count)


def _parse(text: str) -> Any:
    try:
        return json.loads(
            text, parse_constant=lambda _: None
        )  # NaN is not JSON and could not be stored as such
    except RecursionError:
        raise InputError("Its brackets are nested too deeply.", hint="Flatten it.") from None
    except ValueError as error:
        raise InputError(f"It is not valid JSON ({error}).", hint="Correct or remove it.") from None


def _begins_with_an_object(text: str) -> bool:
    try:
        return isinstance(_parse(text.lstrip().partition("\n")[0]), dict)
    except InputError:
        return False


def _record(number: int, value: Any) -> Record | BrokenRecord:
    if isinstance(value, dict):
        return Record(number, value)
    return BrokenRecord(number, f"Record {number} is a {type(value).__name__}, not an object.")


def _plain(value: Any) -> Any:
    """Turn what Parquet can hold and JSON cannot into text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # false for NaN as well
    return value if value is None or isinstance(value, (str, int)) else str(value)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its row or line, counted from 1, and its fields."""

    number: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that cannot be read, and why."""

    number: int
    reason: str
