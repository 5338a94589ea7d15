"""What a trained spaCy pipeline adds to the rules: names with types, parts of speech.

The pipeline that is shipped (``data/adapters/ner``; its card says what it was trained on) knows persons,
organisations, places, other names, dates and numbers. Its names are joined with those of the rules, for each
finds what the other misses; a pipeline that the user installed is larger than ours, so its names count alone.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from graphrag.errors import MissingExtraError
from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.nlp_tokens import Mention, Sentence
from graphrag.resources import resource_root

SPACY_TYPES = {
    "PERSON": "person", "PER": "person", "PS": "person", "NORP": "concept", "ORG": "organization",
    "OG": "organization",
    "FAC": "place", "GPE": "place", "LOC": "place", "LC": "place", "EVENT": "event", "EV": "event",
    "WORK_OF_ART": "work", "PRODUCT": "product", "LAW": "work", "LANGUAGE": "concept", "MISC": "concept",
}  # fmt: skip
QUANTITIES = {
    "TIME": "time", "DATE": "time", "DT": "time", "TI": "time", "NUM": "number", "CARDINAL": "number",
    "QUANTITY": "number", "MONEY": "number", "PERCENT": "number", "QT": "number",
}  # fmt: skip
QUANTITY_TYPES = ("time", "number")
_ARTICLE = re.compile(r"^[Tt]he ")


def find_spacy_model() -> str | None:
    """Return the first trained spaCy pipeline that is installed as a package (English before others)."""
    names = sorted(point.name for point in entry_points(group="spacy_models"))
    return next((name for name in names if name.startswith("en_")), names[0] if names else None)


def shipped_pipeline() -> Path:
    """Return the folder of the pipeline that comes with the package."""
    return resource_root() / "data" / "adapters" / "ner"


@lru_cache(maxsize=2)
def load_pipeline(model: str | Path) -> Any:
    """Load a spaCy pipeline by the name of its package, or from its folder.

    Raises:
        MissingExtraError: spaCy or the pipeline is not installed.
    """
    try:
        import spacy

        pipeline = spacy.load(model)
    except (ImportError, OSError):
        raise MissingExtraError(f"The spaCy pipeline {str(model)!r}", str(model), "spacy") from None
    pipeline.max_length = 10**9  # how long a text may be is for chunking to say
    return pipeline


def pipeline_mentions(
    doc: Any, sentences: list[Sentence], wanted: Sequence[str]
) -> tuple[list[Mention], dict[str, str]]:
    """Return the names of ``doc`` in order, and the type of each; dates and numbers only where ``wanted``."""
    mentions: list[Mention] = []
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    number = 0
    for span in doc.ents:
        type_ = SPACY_TYPES.get(span.label_) or QUANTITIES.get(span.label_)
        if type_ is None or (type_ in QUANTITY_TYPES and type_ not in wanted):
            continue
        while number < len(sentences) - 1 and span.start_char >= sentences[number].end:
            number += 1
        sentence = sentences[number]
        inside = [
            i
            for i, (start, end) in enumerate(zip(sentence.starts, sentence.ends, strict=True))
            if start < span.end_char and end > span.start_char
        ]
        while inside and sentence.texts[inside[-1]] in lexicon.FUNCTION_WORDS:  # "South Pole of"
            inside.pop()
        if not inside:
            continue
        start, end = span.start_char, min(span.end_char, sentence.ends[inside[-1]])
        name = _ARTICLE.sub("", re.sub(r"\s+", " ", doc.text[start:end]))
        votes[name][type_] += 1
        mentions.append(Mention(start, end, number, inside[0], inside[-1] + 1, name))
    types = {name: min(counter, key=lambda t: (-counter[t], t)) for name, counter in votes.items()}
    return mentions, types


def token_tags(doc: Any, sentence: Sentence) -> list[str]:
    """Return the fine part-of-speech tag of each token of ``sentence``: of the word where it starts."""
    words = doc.char_span(sentence.start, sentence.end, alignment_mode="expand")
    ends = [word.idx + len(word) for word in words]
    tags = []
    at = 0
    for start in sentence.starts:
        while at < len(ends) - 1 and ends[at] <= start:
            at += 1
        tags.append(words[at].tag_)
    return tags


def joined_names(
    rules: list[Mention],
    rule_types: dict[str, str],
    trained: list[Mention],
    trained_types: dict[str, str],
    fixed: Collection[int] = (),
) -> tuple[list[Mention], dict[str, str]]:
    """Join the names of a pipeline with those that only the rules find.

    Where two overlap, the pipeline's boundaries hold, except over quoted titles (``fixed``: where those
    start). Its types hold too, but what is no person, organisation or place to it is what the rules say.
    """
    quoted = [mention for mention in rules if mention.start in fixed]
    trained = [
        mention
        for mention in trained
        if not any(title.start < mention.end and mention.start < title.end for title in quoted)
    ]
    taken = {(mention.sentence, at) for mention in trained for at in range(mention.first, mention.last)}
    free = [
        mention
        for mention in rules
        if not taken.intersection((mention.sentence, at) for at in range(mention.first, mention.last))
    ]
    types = {mention.name: trained_types[mention.name] for mention in trained}
    for name, type_ in rule_types.items():
        if types.get(name, "concept") == "concept":
            types[name] = type_
    return sorted([*trained, *free], key=lambda mention: (mention.start, -mention.end)), types


def confirmed_names(mentions: list[Mention], doc: Any, sentences: list[Sentence]) -> list[Mention]:
    """Drop single words that open a sentence and are no names to the tagger, or in lower case elsewhere."""
    seen = {token for sentence in sentences for token in sentence.texts}
    kept = []
    for mention in mentions:
        if mention.first == 0 and mention.last == 1:
            words = doc.char_span(mention.start, mention.end, alignment_mode="expand")
            is_word = sentences[mention.sentence].texts[0].lower() in seen
            if is_word or (words and not words[-1].tag_.startswith("NNP")):
                continue
        kept.append(mention)
    return kept
