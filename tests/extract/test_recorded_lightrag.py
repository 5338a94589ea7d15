"""LightRAG's and nano-graphrag's working folders."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from graphrag.errors import ConfigError
from graphrag.extract.recorded import Recording, read_recording
from tests.extract.test_recorded import assert_consistent
from tests.extract.test_recorded_msgraphrag import unit_with

GRAPH = """<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="d5" for="edge" attr.name="source_id" attr.type="string" />
  <key id="d4" for="edge" attr.name="description" attr.type="string" />
  <key id="d3" for="edge" attr.name="weight" attr.type="double" />
  <key id="d2" for="node" attr.name="source_id" attr.type="string" />
  <key id="d1" for="node" attr.name="description" attr.type="string" />
  <key id="d0" for="node" attr.name="entity_type" attr.type="string" />
  <graph edgedefault="undirected">
    <node id="&quot;FRAM&quot;">
      <data key="d0">"SHIP"</data>
      <data key="d1">"The Fram went south with Amundsen."&lt;SEP&gt;"The Fram was built by Archer."</data>
      <data key="d2">c-0&lt;SEP&gt;c-1</data>
    </node>
    <node id="&quot;COLIN ARCHER&quot;">
      <data key="d0">UNKNOWN</data><data key="d1">Builder</data><data key="d2">c-0</data>
    </node>
    <node id="&quot;LOST&quot;"><data key="d0">person</data><data key="d2">c-9</data></node>
    <edge source="&quot;FRAM&quot;" target="&quot;COLIN ARCHER&quot;">
      <data key="d3">12.0</data>
      <data key="d4">"Colin Archer built the Fram."</data>
      <data key="d5">c-0&lt;SEP&gt;c-1</data>
    </edge>
  </graph>
</graphml>
"""
TEXT = "Colin Archer built the Fram. Amundsen went south with the Fram."
CHUNKS = {
    "c-1": {
        "content": "Amundsen went south with the Fram.",
        "chunk_order_index": 1,
        "full_doc_id": "doc-1",
        "tokens": 7,
    },
    "c-0": {
        "content": "Colin Archer built the Fram.",
        "chunk_order_index": 0,
        "full_doc_id": "doc-1",
        "tokens": 6,
    },
}


def write_folder(
    folder: Path, *, chunks: Any = CHUNKS, documents: Any = None, graph: str = GRAPH, packed: bool = False
) -> Path:
    folder.mkdir(exist_ok=True)
    documents = {"doc-1": {"content": TEXT, "file_path": "fram.txt"}} if documents is None else documents
    files = {
        "graph_chunk_entity_relation.graphml": graph,
        "kv_store_text_chunks.json": json.dumps(chunks),
        "kv_store_full_docs.json": json.dumps(documents),
    }
    for name, content in files.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        else:
            (folder / name).write_text(content, encoding="utf-8")
    return folder


def totals(recording: Recording) -> tuple[int, int]:
    found = recording.extractions.values()
    return len({e.name for x in found for e in x.entities}), len(
        {(r.head, r.tail) for x in found for r in x.relations}
    )


def test_descriptions_go_where_their_words_are(tmp_path: Path) -> None:
    recording = read_recording(write_folder(tmp_path / "run"))
    assert_consistent(recording)
    assert recording.format == "lightrag"
    (document,) = recording.documents
    assert (document["uri"], document["record_id"], document["title"]) == (
        "run/fram.txt",
        "doc-1",
        "fram.txt",
    )
    assert [(unit["start_char"], unit["end_char"]) for unit in recording.text_units] == [(0, 28), (29, 63)]
    built = recording.extractions[unit_with(recording, "Archer")["id"]]
    sailed = recording.extractions[unit_with(recording, "south")["id"]]
    assert [(e.name, e.type, e.description) for e in built.entities] == [
        ("FRAM", "ship", "The Fram was built by Archer."), ("COLIN ARCHER", "other", "Builder"),
    ]  # fmt: skip
    assert sailed.entities[0].description == "The Fram went south with Amundsen."
    (relation,) = built.relations
    assert (relation.head, relation.predicate, relation.tail, relation.strength) == (
        "COLIN ARCHER",
        "built",
        "FRAM",
        6.0,
    )
    assert sailed.relations[0].description == ""
    said = "\n".join(recording.problems)
    assert "1 of 3 entities have no type (the first: COLIN ARCHER)." in said
    assert "1 of 3 entities name no chunk that is there and are left out (the first: LOST)." in said


def test_packed_files_and_the_graph_file_alone_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    plain = read_recording(write_folder(tmp_path / "run"))
    packed = write_folder(tmp_path / "packed" / "run", packed=True)
    assert read_recording(packed) == plain
    assert read_recording(packed / "graph_chunk_entity_relation.graphml.gz") == plain


def test_without_full_documents_every_chunk_is_one(tmp_path: Path) -> None:
    recording = read_recording(write_folder(tmp_path / "run", documents={}))
    assert_consistent(recording)
    assert [document["record_id"] for document in recording.documents] == ["c-0", "c-1"]


def test_an_empty_chunk_store_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "run", chunks={})
    with pytest.raises(
        ConfigError, match=r"kv_store_text_chunks\.json of .* is empty: the text of the 3 chunks"
    ):
        read_recording(folder)
    (folder / "kv_store_text_chunks.json").unlink()
    with pytest.raises(ConfigError, match="is missing"):
        read_recording(folder)


@pytest.mark.parametrize(("file", "content", "what"), [
    ("graph_chunk_entity_relation.graphml", "<graphml", "not valid XML"),
    ("kv_store_text_chunks.json", "{", "not valid JSON"),
    ("kv_store_text_chunks.json", "[]", "must be a JSON object"),
])  # fmt: skip
def test_broken_files_are_named(tmp_path: Path, file: str, content: str, what: str) -> None:
    folder = write_folder(tmp_path / "run")
    (folder / file).write_text(content)
    with pytest.raises(ConfigError, match=what):
        read_recording(folder)


@pytest.mark.parametrize(
    ("name", "units", "expected"),
    [
        ("graphragbench_medical", 199, (1764, 1904)),
        # 186 edges, one of them from a node to itself.
        ("christmas_carol_recorded/nano_hhyhuang", 42, (374, 185)),
    ],
)
def test_real_folders_come_whole(shared: Path, name: str, units: int, expected: tuple[int, int]) -> None:
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not here")
    recording = read_recording(folder)
    assert_consistent(recording)
    assert (len(recording.documents), len(recording.text_units)) == (1, units)
    assert totals(recording) == expected


# nano_isfarbaset: 694 nodes, of which two are the same name but for a broken quotation mark.
@pytest.mark.parametrize(("name", "expected"), [("nano_yoshi", (284, 210)), ("nano_isfarbaset", (693, 250))])
def test_the_chunk_store_of_another_run_over_the_text_fits(
    shared: Path, tmp_path: Path, name: str, expected: tuple[int, int]
) -> None:
    folder = shared / "data" / "christmas_carol_recorded"
    if not folder.is_dir():
        pytest.skip("christmas_carol_recorded is not here")
    with pytest.raises(ConfigError, match="is empty"):
        read_recording(folder / name)
    shutil.copy(folder / name / "graph_chunk_entity_relation.graphml.gz", tmp_path)
    for store in ("kv_store_text_chunks.json.gz", "kv_store_full_docs.json.gz"):
        shutil.copy(folder / "nano_hhyhuang" / store, tmp_path)
    recording = read_recording(tmp_path)
    assert_consistent(recording)
    assert totals(recording) == expected
