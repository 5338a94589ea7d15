"""Which encoding is found, what is refused, and which characters are kept."""

from __future__ import annotations

import pytest

from graphrag.characters import clean
from graphrag.errors import ConfigError, InputError
from graphrag.text.encoding import check_encoding, decode

KOREAN = "서울은 대한민국의 수도이다. 한강이 도시를 가로지른다.\n인구는 약 940만 명이다.\n"
FRENCH = "Le café est à côté de l'église, près de la forêt. Où êtes-vous allés ?\n"
RUSSIAN = "Москва является столицей России. Сегодня хорошая погода.\n"
ENGLISH = "It’s “quoted” text — and it costs 5 € only.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (KOREAN, "utf-8"),
        (KOREAN, "utf-8-sig"),
        (KOREAN, "utf-16"),
        (KOREAN, "utf-32"),
        (KOREAN, "utf-16-le"),
        (KOREAN, "utf-16-be"),
        (KOREAN, "cp949"),
        (KOREAN, "euc-kr"),
        (FRENCH, "cp1252"),
        (FRENCH, "utf-16-le"),
        (ENGLISH, "cp1252"),
        (RUSSIAN, "cp1251"),
        ("東京は日本の首都である。人口は多い。\n", "shift_jis"),
        ("plain\n", "ascii"),
    ],
)
def test_encodings_are_found(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_setting_overrides_the_guess() -> None:
    assert decode("Łódź".encode("cp1250"), "cp1250") == "Łódź"
    assert decode("\ufeffabc".encode(), "utf-8") == "abc"
    with pytest.raises(InputError, match="cannot be read as ascii"):
        decode(KOREAN.encode(), "ascii")


def test_a_page_may_declare_its_encoding() -> None:
    assert decode("Łódź".encode("cp1250"), declared="cp1250") == "Łódź"
    assert decode(FRENCH.encode("cp1252"), declared="no-such-encoding") == FRENCH


def test_unknown_setting_is_a_config_error() -> None:
    check_encoding(None)
    check_encoding("cp949")
    with pytest.raises(ConfigError, match="klingon"):
        check_encoding("klingon")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (KOREAN.encode()[:40] + b"\xff" + KOREAN.encode()[40:], r"broken at byte \d+ \(line 1\)"),
        (KOREAN.encode()[:-3], r"broken at byte \d+ \(line 2\)"),
        (b"\xff\xfe\x00", "byte order mark"),
        (bytes(range(256)) * 8, "binary"),
        (b"\x00\x01\x02\x03" * 50, "binary"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        decode(data)


def test_text_is_cleaned() -> None:
    assert clean("a\r\nb\rc\x0cd\u2028e\x85f") == "a\nb\nc\nd\ne\nf"
    assert clean("a\x00b\x07c\ufeffd\te") == "abcd\te"
    assert clean("cafe\u0301 \u1112\u1161\u11ab") == "café 한"
    assert clean("half \ud83d pair") == "half \ufffd pair"


def test_a_few_nuls_make_no_binary() -> None:
    assert clean(decode(b"abc\x00def ghi\n")) == "abcdef ghi\n"
