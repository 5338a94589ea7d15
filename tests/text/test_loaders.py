"""Whole folders: every format, every way a file can be bad, and that the rest goes on."""

from __future__ import annotations

import gzip
import json
import random
import time
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from graphrag.errors import ConfigError, InputError
from graphrag.hashing import content_hash
from graphrag.schema import DOCUMENTS
from graphrag.settings import InputSettings
from graphrag.text import loaders
from graphrag.text.loaders import LoadedDocument, SkippedInput, iter_documents
from tests.text.test_office import make_docx, make_pdf

TEXT = "The harbour was built in 1901."


def load(folder: Path, **values: Any) -> tuple[dict[str, LoadedDocument], dict[str, str]]:
    """Return the documents and the reasons of what was skipped, both by uri."""
    items = list(iter_documents(folder, InputSettings(**values)))
    documents = {item.uri: item for item in items if isinstance(item, LoadedDocument)}
    skipped = {item.uri: item.reason for item in items if isinstance(item, SkippedInput)}
    assert len(documents) + len(skipped) == len(items), "a uri came twice"
    return documents, skipped


def put(folder: Path, name: str, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def test_a_document_is_a_row_of_the_table() -> None:
    assert tuple(field.name for field in fields(LoadedDocument)) == DOCUMENTS.names


def test_an_empty_folder_has_no_documents(tmp_path: Path) -> None:
    assert load(tmp_path) == ({}, {})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        load(tmp_path / "nowhere")


def test_an_unknown_encoding_setting_ends_the_run_at_once(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", TEXT)
    with pytest.raises(ConfigError, match="klingon"):
        load(tmp_path, encoding="klingon")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_text_formats(tmp_path: Path, ending: str) -> None:
    put(tmp_path, "a.txt" + ending, f"The Harbour\r\n\r\n{TEXT}\r\n")
    put(tmp_path, "b.md" + ending, f"Intro line\n\n## The *Ships* ##\n\n{TEXT}\n")
    put(tmp_path, "c.HTM" + ending, f"<title>Bay</title><h1>Head</h1><p>{TEXT}</p>")
    put(tmp_path, "d.markdown" + ending, f"{TEXT * 10}\n")
    documents, skipped = load(tmp_path)
    assert skipped == {}
    a, b, c, d = documents.values()
    assert (a.uri, a.title, a.text) == ("a.txt" + ending, "The Harbour", f"The Harbour\n\n{TEXT}\n")
    assert (b.title, b.media_type) == ("The *Ships*", "text/markdown")
    assert b.text == f"Intro line\n\n## The *Ships* ##\n\n{TEXT}\n"
    assert (c.title, c.media_type, c.text) == ("Bay", "text/html", f"# Head\n\n{TEXT}")
    assert d.title == "d"
    assert a.id == content_hash("document", a.uri, a.text)
    assert (a.record_id, a.creation_date, a.metadata) == (None, None, "{}")


RECORDS = [
    {"id": "r1", "title": "One", "text": TEXT, "source": "book", "year": 1901, "date": None},
    {
        "id": "r2",
        "title": None,
        "text": "한강은 서울을 지난다.",
        "date": "2024-05-01",
        "source": None,
        "year": None,
    },
]


@pytest.mark.parametrize(
    "name", ["r.json", "r.jsonl", "r.ndjson.gz", "list.json.gz", "single.parquet", "p.parquet.gz"]
)
def test_records(tmp_path: Path, name: str) -> None:
    if "parquet" in name:
        parquet.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "x")
        put(tmp_path, name, (tmp_path / "x").read_bytes())
        (tmp_path / "x").unlink()
    elif name.startswith("list"):
        put(tmp_path, name, json.dumps({"version": 1, "documents": RECORDS}))
    elif name.endswith(".json"):
        put(tmp_path, name, json.dumps(RECORDS))
    else:
        put(tmp_path, name, "\n".join(json.dumps(record) for record in RECORDS))
    documents, skipped = load(tmp_path)
    assert skipped == {}
    one, two = documents.values()
    assert (one.uri, one.record_id, one.title, one.text) == (f"{name}#r1", "r1", "One", TEXT)
    assert json.loads(one.metadata)["source"] == "book"
    assert json.loads(one.metadata)["year"] == 1901
    assert (two.title, two.text) == ("한강은 서울을 지난다.", "한강은 서울을 지난다.")
    assert (one.creation_date, two.creation_date) == (None, "2024-05-01")
    assert not {"id", "title", "text"} & json.loads(two.metadata).keys()


def test_csv_with_quotes_newlines_and_a_huge_field(tmp_path: Path) -> None:
    huge = "word " * 60_000
    put(tmp_path, "a.csv", f'id,text,note\r\n1,"A ""quoted"" text,\r\nwith lines",n\r\n\r\n2,"{huge}",m\r\n')
    put(tmp_path, "b.tsv", "text\tid\nfrom tabs\t7\n")
    put(tmp_path, "c.csv", '"Nr";"text"\n5;semicolons, and commas\n')
    documents, skipped = load(tmp_path)
    assert skipped == {}
    assert documents["a.csv#1"].text == 'A "quoted" text,\nwith lines'
    assert documents["a.csv#1"].metadata == '{"note":"n"}'
    assert documents["a.csv#2"].text == huge
    assert documents["b.tsv#7"].text == "from tabs"
    assert documents["c.csv#1"].text == "semicolons, and commas"


def test_broken_csv_rows_are_named_and_the_others_kept(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", 'id,text\n1,good\n2,cut, short\n3,\n4,fine\n5,"never closed\n6,lost\n')
    documents, skipped = load(tmp_path)
    assert list(documents) == ["a.csv#1", "a.csv#4"]
    assert "Line 3 has 3 fields, the header 2" in skipped["a.csv#2"]
    assert "no text" in skipped["a.csv#3"]
    assert "line 6 is broken" in skipped["a.csv#5"]


def test_broken_jsonl_lines_are_named_and_the_others_kept(tmp_path: Path) -> None:
    lines = [
        '{"text": "one"}',
        "{broken",
        "",
        '["list"]',
        '{"text": "  "}',
        '{"text": ["two", "paragraphs"]}',
    ]
    put(tmp_path, "a.jsonl", "\n".join(lines))
    documents, skipped = load(tmp_path)
    assert [(uri, d.text) for uri, d in documents.items()] == [
        ("a.jsonl#1", "one"),
        ("a.jsonl#6", "two\nparagraphs"),
    ]
    assert "Line 2" in skipped["a.jsonl#2"]
    assert "not an object" in skipped["a.jsonl#4"]
    assert "no text" in skipped["a.jsonl#5"]


def test_thousands_of_broken_lines_are_summed_up(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", "{\n" * 3000 + '{"text": "good"}')
    documents, skipped = load(tmp_path)
    assert list(documents) == ["a.jsonl#3001"]
    assert len(skipped) == 21
    assert "2980 more" in skipped["a.jsonl"]


def test_json_that_holds_lines_is_read_as_lines(tmp_path: Path) -> None:
    put(tmp_path, "a.json", '{"text": "one"}\n{"text": "two"}\n')
    assert [d.text for d in load(tmp_path)[0].values()] == ["one", "two"]


def test_a_single_json_record_and_other_column_names(tmp_path: Path) -> None:
    put(tmp_path, "a.json", json.dumps({"body": TEXT, "headline": "H", "key": 7, "tags": ["x"]}))
    documents, _ = load(tmp_path, text_column="body", title_column="headline", id_column="key")
    (one,) = documents.values()
    assert (one.uri, one.record_id, one.title, one.metadata) == ("a.json#7", "7", "H", '{"tags":["x"]}')


def test_equal_ids_get_different_uris(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "text": "a"},
        {"id": "x", "text": "b"},
        {"id": "x~2", "text": "c"},
        {"id": "x", "text": "d"},
    ]
    put(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    documents, _ = load(tmp_path)
    assert {uri: d.text for uri, d in documents.items()} == {
        "a.jsonl#x": "a",
        "a.jsonl#x~2": "b",
        "a.jsonl#x~2~2": "c",
        "a.jsonl#x~3": "d",
    }
    assert {d.record_id for d in documents.values()} == {"x", "x~2"}


def test_values_that_no_table_can_hold(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", r'{"text": "half \ud83d nul \u0000 end", "note": "\ud83d", "n": NaN}')
    (one,) = load(tmp_path)[0].values()
    assert one.text == "half \ufffd nul  end"
    assert json.loads(one.metadata) == {"note": "\ufffd", "n": None}
    table = DOCUMENTS.of([{field.name: getattr(one, field.name) for field in fields(one)}])
    assert table.num_rows == 1


def test_parquet_types_become_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array([b"as bytes"], pa.binary()),
            "date": [date(2024, 5, 1)],
            "x": [float("nan")],
            "day": [date(1901, 1, 2)],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    (one,) = load(tmp_path)[0].values()
    assert (one.text, one.creation_date) == ("as bytes", "2024-05-01")
    assert json.loads(one.metadata) == {"x": None, "day": "1901-01-02"}


def test_records_without_the_text_column_list_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "id,body\n1,x\n")
    parquet.write_table(pa.table({"id": [1], "content": ["x"]}), tmp_path / "b.parquet")
    put(tmp_path, "c.jsonl", '{"id": 1, "passage": "x"}\n{"text": "good"}\n')
    put(tmp_path, "d.json", '{"settings": {"a": 1}}')
    documents, skipped = load(tmp_path)
    assert list(documents) == ["c.jsonl#2"]
    assert "id, body" in skipped["a.csv"]
    assert "id, content" in skipped["b.parquet"]
    assert "1 of its 2 records" in skipped["c.jsonl"]
    assert "id, passage" in skipped["c.jsonl"]
    assert "settings" in skipped["d.json"]
    assert all("input.text_column" in reason for reason in skipped.values())


def test_encodings_of_files(tmp_path: Path) -> None:
    korean = "서울은 대한민국의 수도이다. 한강이 도시를 가로지른다.\n"
    for name, encoding in [("a", "cp949"), ("b", "utf-16"), ("c", "utf-8-sig"), ("d", "utf-16-le")]:
        put(tmp_path, f"{name}.txt", korean.encode(encoding))
    put(tmp_path, "e.csv", f"id,text\n1,{korean}".encode("cp949"))
    put(tmp_path, "f.html", f"<meta charset='euc-kr'><p>{korean}</p>".encode("cp949"))
    documents, skipped = load(tmp_path)
    assert skipped == {}
    assert len(documents) == 6
    assert {d.text.strip() for d in documents.values()} == {korean.strip()}
    documents, skipped = load(tmp_path, encoding="cp949", include=("a.txt", "b.txt"))
    assert list(documents) == ["a.txt"]
    assert "input.encoding" in skipped["b.txt"]


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    put(tmp_path, "outside.txt", "secret")
    put(folder, "0.txt", TEXT)
    put(folder, "empty.txt", "")
    put(folder, "blank.md", " \n\n")
    put(folder, "blank.html", "<html><body><script>x</script></body></html>")
    put(folder, "binary.txt", bytes(range(256)) * 20)
    put(folder, "broken.txt", ("한국어 " * 20).encode() + b"\xff\xfe" + "끝".encode())
    put(folder, "deep.json", "[" * 100_000)
    put(folder, "deep.jsonl", '{"a":' * 100_000 + '\n{"text": "after"}')
    put(folder, "header.csv", "id,text\n")
    put(folder, "none.json", "[]")
    put(folder, "number.json", "3")
    put(folder, "image.png", b"\x89PNG")
    put(folder, "noending", TEXT)
    put(folder, "bad.parquet", b"PAR1 nothing")
    put(folder, "bad.pdf", b"%PDF-1.7 nothing")
    put(folder, "bad.docx", b"nothing")
    whole = gzip.compress(random.Random(1).randbytes(5000))
    (folder / "cut.txt.gz").write_bytes(whole[:2000])
    (folder / "nogzip.txt.gz").write_bytes(b"plain text")
    (folder / "leaves.txt").symlink_to(tmp_path / "outside.txt")
    put(folder, "zz.txt", "The last file.")
    documents, skipped = load(folder)
    assert list(documents) == ["0.txt", "deep.jsonl#2", "zz.txt"]
    expected = {
        "bad.docx": "broken Word",
        "bad.parquet": "broken Parquet",
        "bad.pdf": "broken PDF",
        "binary.txt": "binary",
        "blank.html": "no text",
        "blank.md": "empty",
        "broken.txt": "broken at byte",
        "cut.txt.gz": "gzip data is broken",
        "deep.json": "nested too deeply",
        "deep.jsonl#1": "nested too deeply",
        "empty.txt": "empty",
        "header.csv": "no records",
        "image.png": "Formats: .txt .md",
        "leaves.txt": "leaves the input folder",
        "noending": "Formats: .txt .md",
        "nogzip.txt.gz": "gzip data is broken",
        "none.json": "no records",
        "number.json": "int, not records",
    }
    assert list(skipped) == list(expected)
    for uri, part in expected.items():
        assert part in skipped[uri], uri
        assert skipped[uri].endswith("."), uri


def test_a_gzip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "MAX_BYTES", 2**20)
    put(tmp_path, "bomb.txt.gz", b" a" * 5_000_000)
    put(tmp_path, "long.txt", b" a" * 600_000)
    put(tmp_path, "small.txt.gz", TEXT)
    documents, skipped = load(tmp_path)
    assert list(documents) == ["small.txt.gz"]
    assert "unpacks to more than 1 MiB" in skipped["bomb.txt.gz"]
    assert "more than 1 MiB" in skipped["long.txt"]


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.txt", TEXT)
    put(tmp_path, "b.txt", TEXT)
    real = Path.open

    def refuse(self: Path, *args: Any, **values: Any) -> Any:
        if self.name == "a.txt":
            raise PermissionError(13, "Permission denied")
        return real(self, *args, **values)

    monkeypatch.setattr(Path, "open", refuse)
    documents, skipped = load(tmp_path)
    assert list(documents) == ["b.txt"]
    assert "Permission denied" in skipped["a.txt"]


def test_pdf_and_docx(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    pytest.importorskip("docx")
    put(tmp_path, "a.pdf", make_pdf(TEXT))
    put(tmp_path, "b.docx", make_docx())
    documents, skipped = load(tmp_path)
    assert skipped == {}
    assert (documents["a.pdf"].title, documents["a.pdf"].media_type) == (TEXT, "application/pdf")
    assert documents["b.docx"].title == "Harbour report"
    assert "# The Harbour" in documents["b.docx"].text


def test_a_megabyte_on_one_line(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "word " * 200_000)
    put(tmp_path, "b.md", "#" * 1_000_000)
    put(tmp_path, "c.json", '{"text": "' + "y" * 1_000_000 + '"}')
    began = time.process_time()
    documents, skipped = load(tmp_path)
    assert time.process_time() - began < 10
    assert skipped == {}
    assert [len(d.text) for d in documents.values()] == [1_000_000] * 3


def test_two_runs_give_the_same(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "c.jsonl"):
        put(tmp_path, name, f'{{"text": "{name}"}}')
    assert load(tmp_path) == load(tmp_path)
    assert list(load(tmp_path)[0]) == ["a.md", "b.txt", "c.jsonl#1"]


def test_the_2wiki_corpus_loads_fast(shared: Path) -> None:
    began = time.process_time()
    documents, skipped = load(shared / "data" / "2wiki", include=("corpus.jsonl.gz",))
    assert time.process_time() - began < 3  # 0.4 s on the development machine, which was shared
    assert (len(documents), skipped) == (6119, {})
    assert documents["corpus.jsonl.gz#2w00000"].title == "Teutberga"
