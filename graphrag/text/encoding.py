"""From bytes to text: which encoding a file has."""

from __future__ import annotations

import codecs
import unicodedata

from graphrag.errors import ConfigError, InputError

_BOMS = (  # UTF-32 before UTF-16: the one begins like the other
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNATURES = (
    (b"%PDF-", "a PDF file"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x1f\x8b", "gzip data without the ending .gz"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"\x7fELF", "a program"),
)
_CONTROL_BYTES = bytes({*range(0x20), 0x7F} - set(b"\t\n\v\f\r\x1b"))
_MOST_CONTROL = 0.1  # files with a larger share of control bytes are not text
_FEW_CONTROL = 4  # too few to tell
_SAMPLE = 1 << 16
_WESTERN = frozenset(
    "àâäãåáæçèéêëîïíìôöòóõøœùûüúÿñßšžÀÂÄÃÅÁÆÇÈÉÊËÎÏÍÔÖÓÕØŒÙÛÜÚÑŠŽ«»‹›‘’“”„‚–—…•·°€£§©®™´¿¡ºª\xa0"
)


def check_encoding(name: str | None) -> None:
    """Raise ConfigError when ``name`` is no encoding that Python knows."""
    if name is None:
        return
    try:
        codecs.lookup(name)
    except LookupError:
        raise ConfigError(
            f"input.encoding is {name!r}, which is no known encoding.",
            hint="Use a name such as utf-8, cp949, shift_jis or cp1252, or leave it empty.",
        ) from None


def decode(data: bytes, encoding: str | None = None, declared: str | None = None) -> str:
    """Decode ``data`` with ``encoding``, or find it: byte order mark, strict UTF-8, then a guess.

    ``declared`` is what the file says of itself (HTML) and is tried before the guess.

    Raises:
        InputError: the bytes are no text, broken, or of an encoding that cannot be told.
    """
    for signature, what in _SIGNATURES:
        if data.startswith(signature):
            raise InputError(f"It is {what}, not text.", hint="Give it the ending that fits its format.")
    if encoding is not None:
        return _decode_as(data, encoding, "input.encoding says so")
    for bom, name in _BOMS:
        if data.startswith(bom):
            return _decode_as(data, name, "its byte order mark says so")
    sample = data[:_SAMPLE]
    controls = len(sample) - len(sample.translate(None, _CONTROL_BYTES))
    if controls and (wide := _utf16_without_mark(data)) is not None:
        return wide
    if controls > max(_FEW_CONTROL, _MOST_CONTROL * len(sample)):
        raise InputError("It is binary, not text.", hint="Convert it to text or leave it out.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _decode_legacy(data, error, declared)


def _decode_as(data: bytes, encoding: str, why: str) -> str:
    try:
        return codecs.decode(data, encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, TypeError, AttributeError) as error:
        raise InputError(
            f"It cannot be read as {encoding} ({why}): {error}.",
            hint="Save it as UTF-8 or correct the encoding.",
        ) from None


def _utf16_without_mark(data: bytes) -> str | None:
    """Decode UTF-16 that has no byte order mark, if that gives words, blanks and next to nothing else."""
    if len(data) % 2 or len(data) < 4:
        return None
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        sample = text[: _SAMPLE // 2]
        blanks = sum(map(sample.count, " \n\u3000"))
        odd = sum(
            1
            for character in sample
            if unicodedata.category(character)[0] == "C" and character not in "\t\r\n"
        )
        if blanks >= 0.01 * len(sample) and blanks and odd <= 0.02 * len(sample):
            return text
    return None


def _decode_legacy(data: bytes, error: UnicodeDecodeError, declared: str | None) -> str:
    replaced = data.decode("utf-8", "replace")
    bad = replaced.count("\ufffd")
    good = sum(1 for character in replaced if character > "\x7f") - bad
    if good > bad:  # other encodings hardly ever form so many valid sequences by chance
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"It is UTF-8 but broken at byte {error.start} (line {line}).",
            hint="Repair it, or set input.encoding.",
        )
    if declared is not None:
        try:
            return codecs.decode(data, declared)
        except (LookupError, UnicodeDecodeError, TypeError, AttributeError):
            pass  # pages often declare what they are not; the guess follows
    if (western := _as_western(data)) is not None:
        return western
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    if best is None:
        raise InputError("Its encoding cannot be told.", hint="Save it as UTF-8, or set input.encoding.")
    return str(best)


def _as_western(data: bytes) -> str | None:
    """Decode as cp1252 if that gives Western European text: some accents among many plain letters.

    Statistics fail on short texts with few accents, which are what cp1252 files mostly hold.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    marked = [character for character in text if character > "\x7f"]
    plain = sum(1 for character in text if character.isascii() and character.isalpha())
    return text if 2 * len(marked) <= plain and _WESTERN.issuperset(marked) else None
