"""Read gold texts as spaCy training examples: parts of speech, and names with their types.

Which of the two a file holds is seen from it: ``.conllu`` has parts of speech (the fifth column,
Penn Treebank tags), ``.iob2`` names as Universal NER writes them, JSON names of Re-DocRED or of the PFN
project. What a corpus does not annotate is unknown, not absent: a capitalised word that Universal NER
leaves out may still name a work, a number outside Re-DocRED a date.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import InputError
from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.gold import GoldText, read_gold
from graphrag.extract.gold.corpus import joined, part_of
from graphrag.extract.gold.passages import mention_spans
from graphrag.hashing import text_hash

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example

NAME_LABELS = ("PER", "ORG", "LOC", "MISC", "TIME", "NUM")
_GOLD_LABELS = {
    "person": "PER", "organization": "ORG", "location": "LOC", "other": "MISC", "time": "TIME",
    "number": "NUM",
}  # fmt: skip
_TOGETHER = 8  # sentences of a treebank in one example: the words around a sentence's end are seen too
_HELD_OUT = 20  # of a corpus without a held-out part of its own, one example in twenty is kept back


@dataclass(frozen=True, slots=True)
class TaggedText:
    """One text with gold tags of its tokens or gold names; ``unknown`` are spans that may be names."""

    text: str
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    names: tuple[tuple[int, int, str], ...] | None = None
    unknown: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TaggedCorpus:
    """One file: what is trained on, what is held out, and the hash of the file."""

    file: str
    hash: str
    train: tuple[TaggedText, ...]
    held_out: tuple[TaggedText, ...]


def read_tagged(path: Path) -> TaggedCorpus:
    """Read the corpus at ``path``; its texts keep their order.

    Raises:
        InputError: it cannot be read, or is of no known form.
    """
    try:
        raw = path.read_bytes()
        digest = f"b2:{hashlib.blake2b(raw, digest_size=12).hexdigest()}"
        if path.suffix in (".conllu", ".iob2"):
            make = _parts_of_speech if path.suffix == ".conllu" else _iob_names
            texts = tuple(make(list(_sentences(raw.decode("utf-8")))))
            held = tuple(text for text in texts if _is_held_out(text.text))
            return TaggedCorpus(path.name, digest, tuple(t for t in texts if t not in set(held)), held)
    except (OSError, UnicodeError, IndexError, ValueError) as error:
        raise InputError(f"{path} cannot be read as tagged text: {error}.") from None
    if path.name.removesuffix(".gz").endswith(".json"):
        return _json_names(path, digest)
    raise InputError(
        f"{path} is of no known form.",
        hint="Known are .conllu (parts of speech), .iob2 (names), Re-DocRED's and PFN's .json, also .gz.",
    )


def training_example(nlp: Language, text: TaggedText) -> Example:
    """Return ``text`` as an example for the tokeniser of ``nlp``; words it cuts otherwise are aligned."""
    from spacy.tokens import Doc, Span
    from spacy.training import Example

    if text.tags:
        spaces, at = [], 0
        for word in text.words:
            at = text.text.index(word, at) + len(word)
            spaces.append(text.text[at : at + 1] == " ")
        doc = Doc(nlp.vocab, words=list(text.words), spaces=spaces, tags=list(text.tags))
        return Example(nlp.make_doc(text.text), doc)
    doc = nlp.make_doc(text.text)
    names = [doc.char_span(start, end, label) for start, end, label in text.names or ()]
    blurred = [(s, e) for (s, e, _), name in zip(text.names or (), names, strict=True) if name is None]
    hidden = [
        Span(doc, span.start, span.end)
        for start, end in (*text.unknown, *blurred)
        if (span := doc.char_span(start, end, alignment_mode="expand")) is not None
    ]
    kept = [name for name in names if name is not None]
    taken = {i for name in kept for i in range(name.start, name.end)}
    free = sorted({i for span in hidden for i in range(span.start, span.end)} - taken)
    doc.set_ents(kept, missing=[doc[i : i + 1] for i in free], default="outside")
    return Example(nlp.make_doc(text.text), doc)


def _is_held_out(text: str) -> bool:
    return int(text_hash(text).rpartition(":")[2][:8], 16) % _HELD_OUT == 0


def _sentences(text: str) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for line in (*text.splitlines(), ""):
        if line and not line.startswith("#"):
            columns = line.split("\t")
            if columns[0].isdigit():  # not the parts of a contraction's range, nor an empty node
                rows.append(columns)
        elif not line and rows:
            yield rows
            rows = []


def _groups(sentences: Sequence[list[list[str]]]) -> Iterator[list[list[str]]]:
    for start in range(0, len(sentences), _TOGETHER):
        yield [row for sentence in sentences[start : start + _TOGETHER] for row in sentence]


def _parts_of_speech(sentences: Sequence[list[list[str]]]) -> Iterator[TaggedText]:
    for rows in _groups(sentences):
        text = ""
        for row in rows:
            text += row[1] + ("" if "SpaceAfter=No" in row[9] else " ")
        words, tags = tuple(row[1] for row in rows), tuple(row[4] for row in rows)
        yield TaggedText(text.rstrip(), words, tags)


def _iob_names(sentences: Sequence[list[list[str]]]) -> Iterator[TaggedText]:
    for rows in _groups(sentences):
        text, spans = joined([row[1] for row in rows])
        names: list[tuple[int, int, str]] = []
        unknown = []
        for (start, end), row in zip(spans, rows, strict=True):
            place, _, label = row[2].partition("-")
            if place == "I" and names:
                names[-1] = (names[-1][0], end, label)
            elif place == "B":
                names.append((start, end, label))
            elif row[2] != "O" or _may_be_named(row[1]):
                unknown.append((start, end))
        kept = tuple(name for name in names if name[2] in NAME_LABELS)
        unknown += [name[:2] for name in names if name[2] not in NAME_LABELS]
        yield TaggedText(text, names=kept, unknown=tuple(unknown))


def _json_names(path: Path, digest: str) -> TaggedCorpus:
    try:
        corpus, is_redocred = read_gold(path, "redocred"), True
    except (InputError, OSError):
        corpus, is_redocred = read_gold(path, "pfn"), False
    if not {entity.type for text in corpus.texts for entity in text.entities} <= _GOLD_LABELS.keys():
        raise InputError(f"{path} has types that are no kinds of names.")
    if is_redocred:
        train, held = part_of(corpus, "train").texts, part_of(corpus, "held-out").texts
    else:
        train = tuple(text for text in corpus.texts if not _is_held_out(text.text))
        held = tuple(text for text in corpus.texts if _is_held_out(text.text))
    return TaggedCorpus(
        path.name,
        digest,
        tuple(_named(text, counts=is_redocred) for text in train),
        tuple(_named(text, counts=is_redocred) for text in held),
    )


def _named(text: GoldText, *, counts: bool) -> TaggedText:
    """Return where the names stand. Pronouns are none; without ``counts`` dates and numbers are unknown."""
    entities = [
        tuple(name for name in entity.names if name.lower() not in lexicon.FUNCTION_WORDS)
        for entity in text.entities
    ]
    names, unknown = [], []
    for start, end, number in mention_spans(text.text, entities):
        label = _GOLD_LABELS[text.entities[number].type or "other"]
        if label == "MISC" and not counts and any(letter.isdigit() for letter in text.text[start:end]):
            unknown.append((start, end))
        else:
            names.append((start, end, label))
    if not counts:
        unknown += [match.span() for match in re.finditer(r"\S*\d\S*", text.text)]
        unknown += [m.span() for m in re.finditer(r"\w+", text.text) if m.group().lower() in lexicon.CALENDAR]
    taken: list[tuple[int, int, str]] = []
    for name in names:  # two types of one name: the first counts
        if not taken or name[0] >= taken[-1][1]:
            taken.append(name)
    return TaggedText(text.text, names=tuple(taken), unknown=tuple(unknown))


def _may_be_named(word: str) -> bool:
    return word[:1].isupper() or any(letter.isdigit() for letter in word)


def describe(corpus: TaggedCorpus) -> dict[str, Any]:
    """Return what a card says of a corpus: file, hash, texts, words."""
    words = sum(len(text.words) or len(text.text.split()) for text in corpus.train)
    return {"file": corpus.file, "hash": corpus.hash, "texts": len(corpus.train), "words": words}
