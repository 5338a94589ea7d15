"""A made-up corpus and a model that reads it: every answer follows from the prompt alone.

The corpus has what makes each stage work: names with variants for resolution, predicates that are
alike, entities described often enough to be summarised, and enough links for several communities.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

_FIRST = (
    "Ada",
    "Bruno",
    "Clara",
    "Dario",
    "Edith",
    "Felix",
    "Greta",
    "Henri",
    "Ida",
    "Jonas",
    "Klara",
    "Leo",
)
_LAST = ("Archer", "Bergmann", "Carlsen", "Dahl", "Eriksen", "Falk", "Grieg", "Holm", "Iversen", "Juhl")
_PLACES = ("Larvik", "Bergen", "Tromso", "Vadso", "Bodo", "Alta", "Molde", "Narvik")
_HOUSES = ("Polar Society", "Whaling Company", "Arctic Museum", "Harbour Guild", "Survey Office")
_VERBS = ("founded", "worked for", "was employed by", "wrote to", "sailed with", "argued with", "advised")
_NAME = re.compile(r"[A-Z][a-z]+(?:-[A-Z][a-z]+)?(?: [A-Z][a-z]+)*")
_SENTENCE = re.compile(r"(?<=\.)\s+")


def documents(count: int = 24, *, seed: int = 0) -> dict[str, str]:
    """Return texts by file name; equal arguments give equal texts."""
    draw = random.Random(seed)
    people = [f"{first} {last}" for first in _FIRST for last in _LAST]
    draw.shuffle(people)
    people = people[: max(6, count)]
    found = {}
    for number in range(count):
        town, house = draw.choice(_PLACES), draw.choice(_HOUSES)
        lines = [f"# Papers of {town}, box {number}\n"]
        for _ in range(8):
            one, other = draw.sample(people, 2)
            if draw.random() < 0.2:
                one = one.replace(" ", "-")  # a variant that resolution has to see through
            end = draw.choice((other, f"the {house}", town))
            lines.append(f"{one} {draw.choice(_VERBS)} {end} in {draw.randint(1850, 1930)}.")
        found[f"box{number:03}.md"] = lines[0] + "\n" + " ".join(lines[1:])
    return found


def write_documents(folder: Path, texts: dict[str, str]) -> None:
    """Write the documents into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def answer(body: dict[str, Any]) -> Any:
    """Play the model: a dict for a schema, else a sentence."""
    prompt = body["messages"][1 if len(body["messages"]) > 1 else 0]["content"]
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    wanted = set(schema.get("properties", {}))
    if "entities" in wanted:
        return extraction(prompt.split("<text>")[1].rsplit("</text>", 1)[0], claims="claims" in wanted)
    if "findings" in wanted:
        return report(prompt)
    if "same" in wanted:
        return {"same": [1]}
    return f"It is described in {len(prompt)} characters: {' '.join(prompt.split()[-8:])}"


def extraction(text: str, *, claims: bool) -> dict[str, Any]:
    """Read the names of each sentence; the first two are related by the words between them."""
    entities: dict[str, dict[str, Any]] = {}
    relationships, found_claims = [], []
    for sentence in _SENTENCE.split(text.strip()):
        names = list(dict.fromkeys(_NAME.findall(sentence)))
        for name in names:
            kind = "organization" if name in _HOUSES else "place" if name in _PLACES else "person"
            entities.setdefault(name, {"name": name, "type": kind, "description": sentence})
        if len(names) < 2 or sentence.startswith("#"):
            continue
        between = sentence.split(names[0], 1)[1].split(names[1], 1)[0].removesuffix("the ").strip()
        relationships.append(
            {
                "source": names[0],
                "target": names[1],
                "predicate": between or "is beside",
                "description": sentence,
                "strength": 1 + len(between) % 9,
            }
        )
        year = re.search(r"\b1[89]\d\d\b", sentence)
        if year and "argued" in sentence:
            found_claims.append(
                {
                    "subject": names[0],
                    "object": names[1],
                    "type": "quarrel",
                    "status": "SUSPECTED",
                    "start_date": year.group(),
                    "end_date": "NONE",
                    "description": sentence,
                    "source_text": sentence,
                }
            )
    answer: dict[str, Any] = {"entities": list(entities.values()), "relationships": relationships}
    return {**answer, "claims": found_claims} if claims else answer


def report(prompt: str) -> dict[str, Any]:
    """Write a report from the names in the prompt; it cites one row that is there and one that is not."""
    names = sorted(set(_NAME.findall(prompt)))[:4]
    return {
        "title": " and ".join(names[:2]) or "A community",
        "summary": f"It is about {', '.join(names)}.",
        "rating": len(prompt) % 11,
        "rating_explanation": "Its length says so.",
        "findings": [
            {"summary": name, "explanation": f"{name} is named. [Data: Entities (0, 9999)]"} for name in names
        ],
    }
