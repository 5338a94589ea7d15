"""Synthetic corpora of any size, seeded: names, texts and mentions with the skew of real ones.

Names are drawn by Zipf's law from a vocabulary that grows with the corpus as Heaps' law says, people,
places, ships and companies among them; some are written in another way than usual (a typing error,
initials, an honorific, another type). Two ways out: documents for the whole pipeline
(:func:`write_corpus`), or mention tables put into a store, for the stages after extraction
(:func:`fill_store`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from graphrag.hashing import text_hash
from graphrag.schema import DOCUMENTS, ENTITY_MENTIONS, RELATION_MENTIONS, TEXT_UNITS
from graphrag.store.store import Store

Integers = npt.NDArray[np.int64]

VERBS = (
    "built", "sailed", "met", "admired", "founded", "wrote to", "led", "joined", "left", "bought", "sold",
    "visited", "repaired", "named", "described", "followed", "warned", "rescued", "funded", "taught",
    "was born in", "died in", "married", "succeeded", "commanded", "studied under", "worked for", "crossed",
    "mapped", "photographed", "advised", "opposed", "supported", "hired", "owned", "discovered", "reached",
)  # fmt: skip
_SYLLABLES = (
    "ar", "bel", "cor", "dan", "el", "fin", "gar", "hol", "im", "jor", "kal", "lum", "mor", "nan", "or", "pel",
    "qui", "ros", "sten", "tor", "ul", "var", "wen", "xan", "yor", "zel", "bri", "cla", "dre", "fro", "gla",
    "hri", "kno", "lys", "mar", "nor", "ost", "pri", "rud", "sva", "thu", "vik", "wal", "amund", "scot", "frid",
)  # fmt: skip
_KINDS = ("person", "place", "organization", "ship")
_RELATIONS_PER_UNIT = 13  # as in 2wiki, read by the rules
_ENTITIES_PER_NAME = 0.55  # of the mentions' number to the power 0.9: Heaps


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Distinct names with their types; number 0 is the most frequent."""

    names: list[str]
    types: list[str]

    def draw(self, random: np.random.Generator, size: int) -> Integers:
        """Return ``size`` numbers of names: Zipf with exponent 1 over the whole vocabulary."""
        uniform = random.random(size)
        drawn = np.floor(np.exp(uniform * np.log(len(self.names) + 1))) - 1
        return np.minimum(drawn.astype(np.int64), len(self.names) - 1)


def vocabulary(size: int, seed: int = 7) -> Vocabulary:
    """Make ``size`` distinct names; about one in twenty is another spelling of an earlier one."""
    random = np.random.default_rng(seed)
    firsts, lasts = _words(random, 60 + size // 400, 2), _words(random, 200 + size // 40, 3)
    names: dict[str, str] = {}
    recent: list[tuple[str, str]] = []
    while len(names) < size:
        picks = random.random((4096, 4))
        for kind_at, first_at, last_at, twist in picks.tolist():
            kind = _KINDS[int(kind_at**1.5 * len(_KINDS))]
            first = firsts[int(first_at**3 * len(firsts))]
            last = lasts[int(last_at**2 * len(lasts))]
            if kind == "person":
                name = f"{first} {last}"
            elif kind == "place":
                name = (
                    f"{last} {('Bay', 'Point', 'Land', 'Sound')[int(first_at * 4)]}"
                    if first_at < 0.4
                    else last
                )
            elif kind == "organization":
                name = (
                    f"{last} {('Society', 'Company', 'Institute', 'Shipyard')[int(first_at * 4)]} of {first}"
                )
            else:
                name = f"{first} {last} {1 + int(first_at * 9)}"
            if twist < 0.05 and recent:
                name, kind = _twisted(*recent[int(first_at * len(recent))], last_at)
            names.setdefault(name, kind)
            recent = [*recent[-63:], (name, kind)]
            if len(names) == size:
                break
    return Vocabulary(list(names), list(names.values()))


def _words(random: np.random.Generator, count: int, longest: int) -> list[str]:
    while len(_SYLLABLES) ** longest < 2 * count:  # else there are not so many to be found
        longest += 1
    found: dict[str, None] = {}
    while len(found) < count:
        parts = random.integers(0, len(_SYLLABLES), size=int(random.integers(2, longest + 1)))
        found["".join(_SYLLABLES[part] for part in parts).capitalize()] = None
    return list(found)


def _twisted(name: str, kind: str, chance: float) -> tuple[str, str]:
    """Return another spelling of a name: initials, an honorific, a slip, another type."""
    words = name.split()
    if chance < 0.3 and kind == "person":
        return f"{words[0][0]}. {words[-1]}", kind
    if chance < 0.5 and kind == "person":
        return f"Captain {name}", kind
    if chance < 0.8 and len(name) > 7:
        at = 2 + int(chance * 100) % (len(name) - 4)
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :], kind
    return name, "concept"


def n_names(relations: int) -> int:
    """Return how many distinct names a corpus of so many relation mentions has."""
    return max(50, int(_ENTITIES_PER_NAME * (2 * relations) ** 0.9))


# -- documents ------------------------------------------------------------------------------------
def write_corpus(folder: Path, n_chunks: int, seed: int = 7) -> int:
    """Write ``n_chunks`` short documents, each one text unit, as JSON Lines; return the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "corpus.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts(n_chunks, seed)):
            file.write(json.dumps({"id": f"d{number}", "title": f"Document {number}", "text": text}) + "\n")
    return path.stat().st_size


def texts(n_chunks: int, seed: int = 7) -> Iterator[str]:
    """Yield texts of five to seven sentences; a few names run through each of them."""
    random = np.random.default_rng(seed)
    known = vocabulary(n_names(6 * n_chunks), seed)
    for _ in range(n_chunks):
        count = int(random.integers(5, 8))
        hero = known.names[int(known.draw(random, 1)[0])]
        others = [known.names[i] for i in known.draw(random, count).tolist()]
        verbs = [VERBS[int(place**2 * len(VERBS))] for place in random.random(count).tolist()]
        years = random.integers(1850, 1950, count).tolist()
        yield " ".join(
            f"{hero if turn % 2 == 0 else others[turn - 1]} {verb} {other} in the spring of {year}."
            for turn, (other, verb, year) in enumerate(zip(others, verbs, years, strict=True))
        )


# -- mentions -------------------------------------------------------------------------------------
def fill_store(store: Store, relations: int, seed: int = 7) -> int:
    """Put documents, text units and mentions of about ``relations`` distinct relations into ``store``.

    Written in parts, so that the benchmark's own memory stays small. Returns the number of relation mentions.
    """
    random = np.random.default_rng(seed)
    wanted = int(relations * 1.02)  # a few are said twice
    known = vocabulary(n_names(relations), seed)
    names = np.array(known.names, dtype=object)
    types = np.array(known.types, dtype=object)
    per_part = 4000
    total = -(-wanted // _RELATIONS_PER_UNIT)
    said = 0
    for start in range(0, total, per_part):
        units = range(start, min(start + per_part, total))
        said += _fill_part(store, units, known, names, types, random)
    return said


def _fill_part(
    store: Store,
    units: Sequence[int],
    known: Vocabulary,
    names: npt.NDArray[np.object_],
    types: npt.NDArray[np.object_],
    random: np.random.Generator,
) -> int:
    n, width = len(units), _RELATIONS_PER_UNIT
    heads, tails = known.draw(random, n * width), known.draw(random, n * width)
    verbs = np.array(VERBS, dtype=object)[(random.random(n * width) ** 2 * len(VERBS)).astype(np.int64)]
    owner = np.repeat(np.arange(n), width)
    unit_ids = np.array([text_hash(f"unit {unit}") for unit in units], dtype=object)
    document_ids = np.array([text_hash(f"document {unit}") for unit in units], dtype=object)
    texts_ = [
        " ".join(
            f"{names[h]} {v} {names[t]}."
            for h, v, t in zip(
                *(part[i * width : (i + 1) * width] for part in (heads, verbs, tails)), strict=True
            )
        )
        for i in range(n)
    ]
    ones = [0] * n
    store.append("documents", pa.table({
        "id": document_ids.tolist(), "uri": [f"corpus.jsonl#{unit:08d}" for unit in units],
        "record_id": [str(unit) for unit in units], "title": [f"Document {unit}" for unit in units],
        "media_type": ["text/plain"] * n, "creation_date": [None] * n, "metadata": ["{}"] * n, "text": texts_,
    }, schema=DOCUMENTS.schema))  # fmt: skip
    store.append("text_units", pa.table({
        "id": unit_ids.tolist(), "document_id": document_ids.tolist(), "ordinal": ones, "start_char": ones,
        "end_char": [len(text) for text in texts_], "n_tokens": [len(text) // 4 for text in texts_], "text": texts_,
    }, schema=TEXT_UNITS.schema))  # fmt: skip
    both = np.unique(np.concatenate((owner, owner)) * len(names) + np.concatenate((heads, tails)))
    at, who = np.divmod(both, len(names))
    mention = dict(zip(both.tolist(), (text_hash(f"{units[0]} {key}") for key in both.tolist()), strict=True))
    start_char = [
        texts_[unit].find(name) for unit, name in zip(at.tolist(), names[who].tolist(), strict=True)
    ]
    store.append("entity_mentions", pa.table({
        "id": list(mention.values()), "text_unit_id": unit_ids[at].tolist(), "name": names[who].tolist(),
        "type": types[who].tolist(), "description": [""] * len(both), "start_char": start_char,
        "end_char": [start + len(name) for start, name in zip(start_char, names[who].tolist(), strict=True)],
        "confidence": [1.0] * len(both),
    }, schema=ENTITY_MENTIONS.schema))  # fmt: skip
    triples = {
        (int(u), int(h), str(v), int(t)): None
        for u, h, v, t in zip(owner, heads, verbs, tails, strict=True)
        if h != t
    }
    rows = list(triples)
    store.append("relation_mentions", pa.table({
        "id": [text_hash(f"{units[0]} {row}") for row in rows],
        "text_unit_id": [unit_ids[row[0]] for row in rows],
        "head_id": [mention[row[0] * len(names) + row[1]] for row in rows],
        "predicate": [row[2] for row in rows],
        "tail_id": [mention[row[0] * len(names) + row[3]] for row in rows],
        "description": [f"{names[row[1]]} {row[2]} {names[row[3]]}." for row in rows],
        "strength": [1.0 + (row[1] + row[3]) % 9 for row in rows],
        "start_char": [None] * len(rows), "end_char": [None] * len(rows),
    }, schema=RELATION_MENTIONS.schema))  # fmt: skip
    return len(rows)
