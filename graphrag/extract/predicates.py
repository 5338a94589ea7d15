"""A vocabulary of predicates from the phrases that extraction wrote.

Phrases with one normal form are one predicate; rarer ones join the most similar frequent one when
nothing tells them apart: voice, direction, opposite words, negation, preposition.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from graphrag.embed.base import Embedder
from graphrag.extract import nlp_lexicon as lexicon
from graphrag.hashing import content_hash
from graphrag.schema import PREDICATES, STRING
from graphrag.settings import ResolutionSettings

PREDICATE_SURFACES = pa.schema([("surface", STRING), ("predicate_id", STRING), ("score", pa.float64())])
_BLOCK = 2048  # rows of similarities at a time
_MAX_TYPES = 5  # types listed per side
_NEGATIONS = frozenset(("not", "never", "no", "without", "non", "nt"))
_PREPOSITIONS = lexicon.PREPOSITIONS | {"away", "up", "down", "out", "off"}
_DROPPED = lexicon.BE | lexicon.words(
    """
    a an the has have had having its his her their also been currently now
    """
)
# Opposites that vectors take for the same.
_OPPOSITES = tuple(
    tuple(frozenset(side.split()) for side in line.split(" / "))
    for line in (
        "before precede / after follow succeed",
        "teach mentor / learn study",
        "employ hire / fire dismiss",
        "win defeat / lose",
        "bear birth / die death",
        "buy acquire purchase / sell",
        "marry / divorce",
        "start begin open found establish launch / end finish close dissolve abolish",
        "give send / receive get",
        "enter join arrive / leave depart",
        "increase raise grow / decrease reduce lower fall",
        "import importer / export exporter",
        "cause / prevent",
        "support / oppose",
        "attack / defend",
        "include contain / exclude",
        "whole / part",
        "accept approve / reject refuse",
        "direct / produce write compose star edit",
        "produce / write compose star edit",
        "write / compose star sing edit",
        "rise / set",
        "gain / lose",
        "capital / city town village",
    )
)
# Words that name a relation so exactly that another of them, or none, is another relation.
_EXACT_WORDS = lexicon.words(
    """
    parent father mother child son daughter brother sister sibling husband wife spouse uncle aunt nephew
    niece cousin grandfather grandmother grandson granddaughter grandparent grandchild teacher student
    mentor pupil employer employee owner subsidiary predecessor successor director producer writer
    composer editor author actor star singer founder captain coach manager president chairman minister
    governor mayor king queen deputy vice assistant acting head most least fewest more less fewer best
    worst better largest smallest larger smaller highest lowest higher lower high low oldest youngest
    older younger first second third last next previous former formerly future longest shortest narrow
    standard wide min max minimum maximum mean average total male female men women boys girls whole part
    half above below over under inside outside upper major minor inner outer all only partially mostly
    largely before after during until since again longer back lieutenant warm cold hot wet dry day night
    town city village county state country one two three four both music lyrics screenplay script song
    album film movie
    """
)
_DIRECTION = re.compile(r"north|south|east|west")
# Noun predicates that say the same from the other side.
_INVERSE_NOUNS = {
    "parent of": "child of",
    "father of": "child of",
    "mother of": "child of",
    "child of": "parent of",
    "son of": "parent of",
    "daughter of": "parent of",
    "husband of": "wife of",
    "wife of": "husband of",
    "teacher of": "student of",
    "student of": "teacher of",
    "employer of": "employee of",
    "employee of": "employer of",
    "predecessor of": "successor of",
    "successor of": "predecessor of",
    "part of": "contains",
    "capital of": "has capital",
}


@dataclass(frozen=True, slots=True)
class PredicateForm:
    """A phrase made comparable: ``key`` decides equality, ``words`` are lemmas of its content words."""

    key: str
    words: frozenset[str]
    preposition: str
    passive: bool
    negated: bool
    numbers: frozenset[str]


@dataclass(frozen=True, slots=True)
class PredicateVocabulary:
    """``predicates`` follows the table of that name; ``surfaces`` maps each phrase to its predicate.

    ``score`` is 1 for an equal normal form, else the similarity that joined the phrase.
    """

    predicates: pa.Table
    surfaces: pa.Table


def canonicalise_predicates(
    relations: pa.Table, *, embedder: Embedder | None, settings: ResolutionSettings
) -> PredicateVocabulary:
    """Cluster the surface predicates of ``relations`` into a vocabulary.

    Frequency first: phrases are taken from the most frequent down, and each joins the most similar
    predicate already there (cosine at least ``settings.predicate_threshold``) that nothing tells
    apart from it, or becomes a predicate itself; so no chain of small steps joins what is unlike.
    The result does not depend on the order of the rows. Without an embedder, or with resolution off,
    only equal normal forms are one.

    ``relations`` has one row per relation mention with column predicate; head, tail (titles),
    head_type, tail_type and frequency are used where present.
    """
    surfaces = _surface_counts(relations)
    forms = {surface: predicate_form(surface) for surface in surfaces}
    groups: dict[str, list[str]] = defaultdict(list)
    for surface in sorted(surfaces, key=lambda s: (-surfaces[s], s)):
        groups[forms[surface].key].append(surface)
    totals = {key: sum(surfaces[s] for s in members) for key, members in groups.items()}
    keys = sorted(groups, key=lambda key: (-totals[key], key))
    home, scores = list(range(len(keys))), [1.0] * len(keys)
    if embedder is not None and settings.enabled and len(keys) > 1:
        labels = [groups[key][0] for key in keys]
        home, scores = _cluster(
            [forms[label] for label in labels],
            embedder.embed([readable(label) for label in labels]),
            settings.predicate_threshold,
        )
    members: dict[str, list[str]] = defaultdict(list)
    score_of: dict[str, float] = {}
    for i, key in enumerate(keys):
        members[groups[keys[home[i]]][0]] += groups[key]
        score_of.update(dict.fromkeys(groups[key], round(scores[i], 4)))
    return _tables(relations, surfaces, members, score_of)


@lru_cache(maxsize=100_000)
def predicate_form(surface: str) -> PredicateForm:
    """Return the normal form: lower case, no auxiliaries and determiners, verbs and plurals in base form.

    "was founded" (passive) and "founded" stay apart, and so do "founded" and "founded by".
    """
    raw = [token.replace("'", "") for token in readable(surface).lower().split()]
    auxiliary = any(token in lexicon.BE for token in raw)
    tokens = [token for token in raw if token not in _DROPPED] or raw
    negated = bool(_NEGATIONS & set(tokens)) or any(
        token.endswith("nt") and token[:-2] in lexicon.AUXILIARIES for token in tokens
    )
    lemmas = [_lemma(token) for token in tokens]
    content = frozenset(
        lemma for lemma in lemmas if lemma not in _PREPOSITIONS and lemma not in lexicon.AUXILIARIES
    )
    preposition = next((token for token in reversed(tokens) if token in _PREPOSITIONS), "")
    last = tokens[-1]
    participle = any(_is_participle(token) for token in tokens)
    passive = participle and (
        preposition == "by" or (auxiliary and last not in _PREPOSITIONS and _is_participle(last))
    )
    key = " ".join(lemmas) + (" (passive)" if passive and preposition != "by" else "")
    return PredicateForm(key, content, preposition, passive, negated, frozenset(re.findall(r"\d+", surface)))


def readable(surface: str) -> str:
    """Return the phrase as plain words: "birthPlace", "place_of_birth" and "PLACE OF BIRTH" alike."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", surface)
    text = re.sub(r"[_/.,;:()\"]+|(?<!\w)-|-(?!\w)", " ", text)
    return " ".join(text.split()) or surface


def _is_participle(token: str) -> bool:
    return (token in lexicon.IRREGULAR_VERBS and token[-2:] != "ng") or (
        len(token) > 3 and token.endswith("ed")
    )


@lru_cache(maxsize=50_000)
def _lemma(word: str) -> str:
    """Return the base form by regular endings and the lexicon: good enough to compare, not to read."""
    if word in lexicon.IRREGULAR_VERBS:
        return lexicon.IRREGULAR_VERBS[word]
    if word in _PREPOSITIONS or len(word) < 4:
        return word
    for ending, least in (("ing", 6), ("ied", 5), ("ies", 5), ("ed", 4), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith(("ss", "us", "is", "eed")):
            stem = word[: -len(ending)]
            if ending in ("ied", "ies"):
                return stem + "y"
            if ending == "es":
                return (
                    stem
                    if stem.endswith(("s", "x", "ch", "sh", "z"))
                    else stem + "e"
                    if not stem.endswith("o")
                    else stem
                )
            if ending == "s":
                return word[:-1]
            return _with_e(stem)
    return word


def _with_e(stem: str) -> str:
    """Restore what "-ed" and "-ing" swallow: "produc" → "produce", "starr" → "star"."""
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "lsz":
        return stem[:-1]
    vowels = "aeiou"
    if stem.endswith(
        ("at", "it", "ut", "c", "v", "s", "z", "g", "iz", "u", "as", "bl", "pl", "cl", "dl", "tl", "iqu")
    ) and (
        not stem.endswith(
            ("ss", "sit", "mit", "ng", "edit", "hibit", "eat", "reat", "oat", "uit", "abit", "erit")
        )
    ):
        return stem + "e"
    if (
        len(stem) >= 3
        and stem[-1] in "rnmdkbp"
        and stem[-2] in vowels
        and stem[-3] not in vowels
        and len(stem) <= 5
    ):
        return stem + "e"
    return stem


def tell_apart(left: PredicateForm, right: PredicateForm) -> bool:
    """Return whether two phrases mean different relations however similar their vectors are."""
    if left.negated != right.negated or left.passive != right.passive or left.numbers != right.numbers:
        return True
    if left.preposition != right.preposition:
        return True
    differing = left.words ^ right.words
    if differing & _EXACT_WORDS or any(word.startswith(("co-", "re-", "pre-")) for word in differing):
        return True
    if any(word + ending in differing for word in differing for ending in ("r", "er", "or")):
        return True  # "manufactures", "manufacturer": the agent is on the other side
    if any("un" + word in differing or "in" + word in differing for word in differing) or _direction(
        left
    ) != _direction(right):
        return True
    a, b = left.words - right.words, right.words - left.words
    return any((a & one and b & other) or (a & other and b & one) for one, other in _OPPOSITES)


def _direction(form: PredicateForm) -> frozenset[str]:
    return frozenset(found for word in form.words for found in ["".join(_DIRECTION.findall(word))] if found)


def _cluster(
    forms: Sequence[PredicateForm], vectors: npt.NDArray[np.float32], threshold: float
) -> tuple[list[int], list[float]]:
    """Give each phrase (most frequent first) the number of the leader it joins and the similarity."""
    home = list(range(len(forms)))
    scores = [1.0] * len(forms)
    leader = np.ones(len(forms), dtype=bool)
    for start in range(0, len(forms), _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors[: start + _BLOCK].T
        for row in range(block.shape[0]):
            at = start + row
            near = np.nonzero(leader[:at] & (block[row, :at] >= threshold))[0]
            for candidate in near[np.argsort(-block[row, near], kind="stable")].tolist():
                if not tell_apart(forms[at], forms[candidate]):
                    home[at], scores[at] = candidate, float(min(block[row, candidate], 1.0))
                    leader[at] = False
                    break
    return home, scores


def _surface_counts(relations: pa.Table) -> dict[str, int]:
    counted = _summed(pa.table({"surface": relations.column("predicate"), "n": _weights(relations)}))
    return dict(zip(counted["surface"].to_pylist(), counted["n"].to_pylist(), strict=True))


def _weights(relations: pa.Table) -> pa.ChunkedArray:
    if "frequency" in relations.column_names:
        return relations.column("frequency")
    return pa.chunked_array([pa.array(np.ones(relations.num_rows, dtype=np.int64))])


def _summed(rows: pa.Table) -> pa.Table:
    """Sum the column ``n`` over rows that agree in all others."""
    keys = [name for name in rows.column_names if name != "n"]
    return rows.group_by(keys).aggregate([("n", "sum")]).rename_columns([*keys, "n"])


def _tables(
    relations: pa.Table,
    surfaces: dict[str, int],
    members: dict[str, list[str]],
    scores: dict[str, float],
) -> PredicateVocabulary:
    label_of: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for leader, group in members.items():
        label = readable(leader).lower()
        groups.setdefault(label, []).extend(group)
        label_of.update(dict.fromkeys(group, label))
    use = _usage(relations, label_of)
    inverse = _inverses({label: predicate_form(label) for label in groups})
    rows = []
    for label in sorted(groups):
        heads, tails, example = use[label]
        top = [_ranked(heads), _ranked(tails)]
        parts = [top[0][0] if top[0] else "", label, top[1][0] if top[1] else ""]
        description = " ".join(part for part in parts if part)
        rows.append(
            {
                "id": content_hash("predicate", label),
                "label": label,
                "description": f"{description}, e.g. {example}" if example else description,
                "inverse": inverse.get(label),
                "frequency": sum(surfaces[s] for s in groups[label]),
                "domain_types": top[0],
                "range_types": top[1],
                "aliases": sorted({s for s in groups[label] if s != label}, key=lambda s: (-surfaces[s], s)),
            }
        )
    mapping = [
        {"surface": s, "predicate_id": content_hash("predicate", label_of[s]), "score": scores[s]}
        for s in sorted(surfaces)
    ]
    return PredicateVocabulary(PREDICATES.of(rows), pa.Table.from_pylist(mapping, schema=PREDICATE_SURFACES))


def _usage(
    relations: pa.Table, label_of: dict[str, str]
) -> dict[str, tuple[Counter[str], Counter[str], str]]:
    """Return type counts of both sides and the most frequent example of each label."""
    encoded = relations.column("predicate").combine_chunks().dictionary_encode()
    labels = pa.array([label_of[surface] for surface in encoded.dictionary.to_pylist()], STRING)
    rows = relations.append_column("label", pc.take(labels, encoded.indices))
    heads, tails = _types_by_label(rows, "head_type"), _types_by_label(rows, "tail_type")
    examples = _examples(rows)
    nothing: Counter[str] = Counter()
    return {
        label: (heads.get(label, nothing), tails.get(label, nothing), examples.get(label, ""))
        for label in set(label_of.values())
    }


def _types_by_label(rows: pa.Table, side: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    if side in rows.column_names:
        counted = _summed(pa.table({"label": rows["label"], "type": rows[side], "n": _weights(rows)}))
        for label, type_, n in zip(
            *(counted[name].to_pylist() for name in ("label", "type", "n")), strict=True
        ):
            if type_:
                found[label][type_] += n
    return found


def _examples(rows: pa.Table) -> dict[str, str]:
    """Return for each label the sentence said most often; of equals the shortest, then the first."""
    if not {"head", "tail"} <= set(rows.column_names):
        return {}
    named = pc.and_(_is_said(rows["head"]), _is_said(rows["tail"]))
    rows = rows.filter(named)
    sentence = pc.binary_join_element_wise(rows["head"], rows["predicate"], rows["tail"], " ")
    counted = _summed(pa.table({"label": rows["label"], "example": sentence, "n": _weights(rows)}))
    counted = counted.append_column("length", pc.utf8_length(counted["example"]))
    order = [("label", "ascending"), ("n", "descending"), ("length", "ascending"), ("example", "ascending")]
    ranked = counted.sort_by(order)
    best: dict[str, str] = {}
    labels = ranked["label"].combine_chunks().dictionary_encode()
    first = np.unique(labels.indices.to_numpy(), return_index=True)[1]
    for place in first.tolist():
        best[ranked["label"][place].as_py()] = ranked["example"][place].as_py()
    return best


def _is_said(names: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.not_equal(names, ""), False)


def _ranked(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda t: (-counts[t], t))[:_MAX_TYPES]


def _inverses(forms: dict[str, PredicateForm]) -> dict[str, str]:
    """Pair active with passive ("founded", "founded by") and known noun pairs, where both are in use."""
    active = {
        " ".join(sorted(f.words)): label
        for label, f in sorted(forms.items())
        if f.words and not f.passive and not f.preposition
    }
    found: dict[str, str] = {}
    for label, form in sorted(forms.items()):
        if form.passive and form.preposition == "by" and not form.negated:
            other = active.get(" ".join(sorted(form.words)))
            if other is not None and not forms[other].negated:
                found[label] = other
                found.setdefault(other, label)
        noun = _INVERSE_NOUNS.get(label)
        if noun in forms:
            found.setdefault(label, noun)
    return found
