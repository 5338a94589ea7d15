"""Read the gold corpora of the field as they are published, plain or gzipped.

* ``redocred``: Re-DocRED (Tan et al., 2022), documents with entity clusters; 96 Wikidata properties.
* ``pfn``: sentences as the PFN project keeps them (CoNLL04, SciERC, ADE), tokens with spans; its
  WebNLG and JointER's, texts with triples.
* ``text2kgbench``: one sentence and one triple a line (Mihindukulasooriya et al., 2023).

Abbreviated labels are spelt out: a model reads ``works for`` better than ``Work_For``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from graphrag.errors import InputError
from graphrag.extract.compact import ExtractionSchema, one_line
from graphrag.extract.gold.corpus import GoldCorpus, GoldEntity, GoldText, joined

_LABELS = {
    "PER": "person", "ORG": "organization", "LOC": "location", "TIME": "time", "NUM": "number",
    "MISC": "other",
    "Peop": "person", "Org": "organization", "Loc": "location", "Other": "other",
    "Kill": "kills", "Live_In": "lives in", "Located_In": "located in", "OrgBased_In": "based in",
    "Work_For": "works for", "OtherScientificTerm": "scientific term", "Adverse-Effect": "adverse effect",
}  # fmt: skip
_ADE_RELATION = "caused by"  # the corpus calls both the entity and the relation Adverse-Effect


def read_gold(path: Path, format: str) -> GoldCorpus:
    """Read the corpus at ``path`` in ``format``; texts come in its order.

    Raises:
        InputError: it is not there, or not in that format.
    """
    if format not in FORMATS:
        raise InputError(
            f"There is no gold format {format!r}.", hint=f"There are: {', '.join(sorted(FORMATS))}."
        )
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"The gold data at {path} cannot be read: {error.strerror}.") from None
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8")
        return FORMATS[format](path, text)
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not in the format {format!r}: {type(error).__name__} {error}.",
            hint="See the module graphrag.extract.gold.read for what each format is.",
        ) from None


def _redocred(path: Path, text: str) -> GoldCorpus:
    names = json.loads((path.parent / "rel_info.json").read_text(encoding="utf-8"))
    texts = []
    for row in json.loads(text):
        sentences = [joined(sentence) for sentence in row["sents"]]
        entities = []
        for cluster in row["vertexSet"]:
            mentions = sorted(cluster, key=lambda mention: (mention["sent_id"], mention["pos"]))
            found = []
            for mention in mentions:
                sentence, spans = sentences[mention["sent_id"]]
                first, last = mention["pos"]
                found.append(one_line(sentence[spans[first][0] : spans[last - 1][1]]))
            entities.append(GoldEntity(tuple(dict.fromkeys(found)), _label(cluster[0]["type"])))
        relations = {(label["h"], names[label["r"]], label["t"]) for label in row["labels"]}
        body = " ".join(sentence for sentence, _ in sentences)
        texts.append(GoldText(row["title"], one_line(body), tuple(entities), tuple(sorted(relations))))
    schema = ExtractionSchema(
        ("person", "organization", "location", "time", "number", "other"),
        tuple(sorted(set(names.values()))),
        "Wikidata",
    )
    return GoldCorpus("Re-DocRED", "MIT", schema, tuple(texts))


def _pfn(path: Path, text: str) -> GoldCorpus:
    rows = json.loads(text)
    if "triple_list" in rows[0] or "spo_list" in rows[0]:
        return _triples_only(path, rows)
    texts = []
    for number, row in enumerate(rows):
        body, spans = joined(row["tokens"])
        entities: list[GoldEntity] = []
        places: dict[tuple[int, int], int] = {}
        for one in row["entities"]:
            first, last, type_ = (
                (one["start"], one["end"], one["type"]) if isinstance(one, dict) else (one[0], one[1], one[2])
            )
            places[first, last] = len(entities)
            entities.append(GoldEntity((body[spans[first][0] : spans[last - 1][1]],), _label(type_)))
        relations = set()
        for one in row["relations"]:
            if isinstance(one, dict):
                relations.add((one["head"], _predicate(one["type"], entities), one["tail"]))
            else:
                relations.add((places[one[0], one[1]], _predicate(one[4], entities), places[one[2], one[3]]))
        texts.append(
            GoldText(f"{path.parent.name}/{number}", body, tuple(entities), tuple(sorted(relations)))
        )
    types = {entity.type for one in texts for entity in one.entities if entity.type}
    predicates = {predicate for one in texts for _, predicate, _ in one.relations}
    schema = ExtractionSchema(tuple(sorted(types)), tuple(sorted(predicates)))
    return GoldCorpus(path.parent.name, "none stated", schema, tuple(texts))


def _triples_only(path: Path, rows: list[dict[str, Any]]) -> GoldCorpus:
    texts = []
    for number, row in enumerate(rows):
        body = joined(row["tokens"] if "tokens" in row else row["text"].split())[0]
        triples = row.get("spo_list") or row.get("triple_list") or []
        spaced = [[joined(part.split())[0] for part in triple] for triple in triples]
        texts.append(_untyped(f"{path.parent.name}/{number}", body, spaced))
    predicates = tuple(sorted({predicate for one in texts for _, predicate, _ in one.relations}))
    schema = ExtractionSchema(None, predicates, "DBpedia")
    return GoldCorpus(path.parent.name, "CC BY-NC-SA 4.0", schema, tuple(texts))


def _text2kgbench(path: Path, text: str) -> GoldCorpus:
    grouped: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        row = json.loads(line)
        body = one_line(_repaired(row["sent"]))
        triples = row.get("triples") or [
            {"sub": row["sub_label"], "rel": row["rel_label"], "obj": row["obj_label"]}
        ]
        grouped.setdefault(body, []).extend(
            [_repaired(one["sub"]), one["rel"], _repaired(one["obj"])] for one in triples
        )
    texts = [_untyped(f"{path.stem}/{i}", body, triples) for i, (body, triples) in enumerate(grouped.items())]
    predicates = tuple(sorted({predicate for one in texts for _, predicate, _ in one.relations}))
    return GoldCorpus("Text2KGBench", "CC BY-SA 4.0", ExtractionSchema(None, predicates), tuple(texts))


def _untyped(identity: str, text: str, triples: Iterable[list[str]]) -> GoldText:
    places: dict[str, int] = {}
    relations = set()
    for head, predicate, tail in triples:
        ends = [places.setdefault(one_line(name.replace("_", " ")), len(places)) for name in (head, tail)]
        relations.add((ends[0], _spelt(predicate), ends[1]))
    entities = tuple(GoldEntity((name,), None) for name in places)
    return GoldText(identity, text, entities, tuple(sorted(relations)))


def _repaired(text: str) -> str:
    """Undo UTF-8 that was read as Latin-1, as in parts of Text2KGBench."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _label(label: str) -> str:
    return _LABELS.get(label, label.replace("_", " ").replace("-", " ").lower())


def _predicate(label: str, entities: list[GoldEntity]) -> str:
    if label == "Adverse-Effect" and any(entity.type == "drug" for entity in entities):
        return _ADE_RELATION
    return _spelt(_LABELS.get(label, label))


def _spelt(name: str) -> str:
    """Turn ``birthPlace`` and ``Used-for`` into ``birth place`` and ``used for``."""
    spaced = "".join(
        f" {letter}" if letter.isupper() and at and name[at - 1].islower() else letter
        for at, letter in enumerate(name)
    )
    return one_line(spaced.replace("_", " ").replace("-", " ")).lower()


FORMATS: dict[str, Callable[[Path, str], GoldCorpus]] = {
    "pfn": _pfn,
    "redocred": _redocred,
    "text2kgbench": _text2kgbench,
}
