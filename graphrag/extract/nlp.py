"""Extraction without a language model: rules, or a trained spaCy pipeline for the names.

One text is read on its own; nothing is learned from its neighbours, so results do not depend on
batches. Everything that is stated is quoted: descriptions and claims are sentences of the text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from graphrag.errors import MissingExtraError
from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.nlp_claims import sentence_claim
from graphrag.extract.nlp_entities import find_mentions, fold_short_names, recurring_phrases
from graphrag.extract.nlp_korean import find_korean_mentions, is_korean, korean_predicate
from graphrag.extract.nlp_relations import (
    TENTATIVE,
    Link,
    Topic,
    main_clause,
    opening_subject,
    relation_facts,
    sentence_links,
)
from graphrag.extract.nlp_tokens import Mention, Sentence, tokenize
from graphrag.extract.nlp_types import name_types
from graphrag.settings import ExtractionSettings
from graphrag.text.sentences import sentence_spans

RULES_VERSION = "3"
RULES_ONLY = "rules"  # as settings.spacy_model: no trained pipeline, whatever is installed
_SPACY_TYPES = {
    "PERSON": "person", "PER": "person", "PS": "person", "NORP": "concept", "ORG": "organization",
    "OG": "organization",
    "FAC": "place", "GPE": "place", "LOC": "place", "LC": "place", "EVENT": "event", "EV": "event",
    "WORK_OF_ART": "work", "PRODUCT": "product", "LAW": "work", "LANGUAGE": "concept", "MISC": "concept",
}  # fmt: skip
_SYNONYMS = {
    "person": ("people", "per", "character", "human"),
    "organization": ("organisation", "org", "company", "institution", "group"),
    "place": ("location", "loc", "geo", "gpe", "city", "country", "region"),
    "event": ("events",),
    "work": ("work of art", "creative work", "publication", "book", "film", "artwork"),
    "product": ("ship", "vehicle", "technology", "artifact", "object"),
    "concept": ("other", "misc", "topic", "term"),
}
_HEADING = re.compile(r"\s*#*\s*(?P<title>[^\n]{1,100}?)\s*#*\s*(?:\n|$)")
_CONFIDENCE = {"rules": 0.7, "phrase": 0.4, "typed": 0.85}


def find_spacy_model() -> str | None:
    """Return the first trained spaCy pipeline that is installed as a package (English before others)."""
    names = sorted(point.name for point in entry_points(group="spacy_models"))
    return next((name for name in names if name.startswith("en_")), names[0] if names else None)


class NlpExtractor:
    """Extracts entities, relations and claims from texts by rules.

    With ``settings.spacy_model``, or a spaCy pipeline found among the installed packages, the names
    and their types are that pipeline's; relations and claims are always by rules.
    """

    extractor_id: str

    def __init__(self, settings: ExtractionSettings) -> None:
        """Load the spaCy pipeline, if there is one.

        Raises:
            MissingExtraError: ``settings.spacy_model`` is named, but spaCy or the pipeline is not installed.
        """
        self._settings = settings
        self._pipeline: Any = None
        model = settings.spacy_model or find_spacy_model()
        if model == RULES_ONLY:
            model = None
        self.extractor_id = f"nlp:rules:{RULES_VERSION}"
        if model is not None:
            try:
                import spacy

                self._pipeline = spacy.load(model)
            except (ImportError, OSError):
                raise MissingExtraError(f"The spaCy pipeline {model!r}", model, "spacy") from None
            meta = self._pipeline.meta
            self.extractor_id = (
                f"nlp:{meta.get('lang')}_{meta.get('name')}:{meta.get('version')}:{RULES_VERSION}"
            )
        self._type_names = _type_names(settings.entity_types)

    def extract(self, texts: Sequence[str]) -> list[Extraction]:
        """Return what each text holds, in order. Deterministic; each text is read alone."""
        return [self._extract(text) for text in texts]

    def _extract(self, text: str) -> Extraction:
        spans = sentence_spans(text)
        if not spans:
            return Extraction()
        sentences = tokenize(text, spans)
        korean = is_korean(text)
        phrases: list[Mention] = []
        if self._pipeline is not None:
            mentions, types = _spacy_mentions(self._pipeline(text), sentences)
        elif korean:
            mentions, types = find_korean_mentions(text, spans)
        else:
            mentions, titles = find_mentions(text, sentences)
            types = name_types(mentions, sentences, titles)
            mentions = fold_short_names(mentions, types)
            phrases = _phrase_mentions(text, sentences, mentions)
            types.update({mention.name: "concept" for mention in phrases if mention.name not in types})
        topic = _topic(text, sentences, mentions, types)
        phrase_names = {mention.name for mention in phrases}
        everything = sorted([*mentions, *phrases], key=lambda mention: (mention.start, -mention.end))
        relations, claims, subject_of = self._statements(
            text, sentences, everything, types, topic=topic, korean=korean
        )
        entities = self._entities(
            text, sentences, everything, types, subject_of=subject_of, phrases=phrase_names
        )
        return Extraction(tuple(entities), tuple(relations), tuple(claims) if self._settings.claims else ())

    def _statements(
        self,
        text: str,
        sentences: list[Sentence],
        mentions: list[Mention],
        types: dict[str, str],
        *,
        topic: Topic | None,
        korean: bool,
    ) -> tuple[list[RelationFact], list[ClaimFact], dict[str, int]]:
        """Return relations, claims, and for each name the first sentence that says what it is."""
        by_sentence: dict[int, list[Mention]] = defaultdict(list)
        for mention in mentions:
            by_sentence[mention.sentence].append(mention)
        relations: list[RelationFact] = []
        claims: list[ClaimFact] = []
        subject_of: dict[str, int] = {}
        known: set[tuple[str, str, str]] = set()
        for number, sentence in enumerate(sentences):
            here = by_sentence[number]
            if not korean and (subject := opening_subject(sentence, number, topic)):
                here = sorted([subject, *here], key=lambda mention: mention.first)
            links = sentence_links(sentence, here, types)
            verb = korean_predicate(text, sentence) if korean else None
            if korean:
                links = _korean_links(links, verb)
            main = [mention for mention in here if mention.first >= main_clause(sentence)]
            if main and _defines(sentence, main[0]):
                subject_of.setdefault(main[0].name, number)
            fresh = [link for link in links if (link.head, link.predicate, link.tail) not in known]
            known.update((link.head, link.predicate, link.tail) for link in fresh)
            relations += relation_facts(text, sentence, fresh)
            if claim := sentence_claim(text, sentence, main, links, verb):
                claims.append(claim)
        return relations, claims, subject_of

    def _entities(
        self,
        text: str,
        sentences: list[Sentence],
        mentions: list[Mention],
        types: dict[str, str],
        *,
        subject_of: dict[str, int],
        phrases: set[str],
    ) -> list[EntityFact]:
        first: dict[str, Mention] = {}
        for mention in mentions:
            known = first.get(mention.name)
            if known is None or (mention.name == _squeeze(text[mention.start : mention.end])) > (
                known.name == _squeeze(text[known.start : known.end])
            ):
                first[mention.name] = mention
        entities = []
        for name, mention in sorted(first.items(), key=lambda item: (item[1].start, item[0])):
            sentence = sentences[subject_of.get(name, mention.sentence)]
            kind = "phrase" if name in phrases else "rules" if types[name] == "concept" else "typed"
            entities.append(
                EntityFact(
                    name=name,
                    type=self._type_names[types[name]],
                    description=text[sentence.start : sentence.end],
                    start=mention.start,
                    end=mention.end,
                    confidence=_CONFIDENCE[kind],
                )
            )
        return entities


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _type_names(wanted: tuple[str, ...]) -> dict[str, str]:
    """Map our types to those the project asked for; the rest is its ``concept`` or ``other``."""
    lower = {type_.lower() for type_ in wanted}
    rest = next((name for name in ("concept", "other") if name in lower), "other")
    names = {}
    for ours in lexicon.NAME_TYPES:
        options = (ours, *_SYNONYMS[ours])
        names[ours] = ours if not lower else next((option for option in options if option in lower), rest)
    return names


def _spacy_mentions(doc: Any, sentences: list[Sentence]) -> tuple[list[Mention], dict[str, str]]:
    mentions: list[Mention] = []
    types: dict[str, str] = {}
    number = 0
    for span in doc.ents:
        type_ = _SPACY_TYPES.get(span.label_)
        if type_ is None:
            continue  # dates, quantities
        while number < len(sentences) - 1 and span.start_char >= sentences[number].end:
            number += 1
        sentence = sentences[number]
        inside = [
            i
            for i, (start, end) in enumerate(zip(sentence.starts, sentence.ends, strict=True))
            if start < span.end_char and end > span.start_char
        ]
        if not inside:
            continue
        name = re.sub(r"^[Tt]he ", "", _squeeze(span.text))
        types.setdefault(name, type_)
        mentions.append(Mention(span.start_char, span.end_char, number, inside[0], inside[-1] + 1, name))
    return fold_short_names(mentions, types), types


def _phrase_mentions(text: str, sentences: list[Sentence], mentions: list[Mention]) -> list[Mention]:
    taken = {(mention.sentence, at) for mention in mentions for at in range(mention.first, mention.last)}
    found = []
    for number, first, last in recurring_phrases(sentences):
        if any((number, at) in taken for at in range(first, last)):
            continue
        start, end = sentences[number].starts[first], sentences[number].ends[last - 1]
        found.append(Mention(start, end, number, first, last, _squeeze(text[start:end]).lower()))
    return found


def _topic(
    text: str, sentences: list[Sentence], mentions: list[Mention], types: dict[str, str]
) -> Topic | None:
    """Return what the text is about: the name in its heading, else the subject of its first sentence."""
    if not mentions:
        return None
    heading = _HEADING.match(text)
    title_end = (
        heading.end() if heading and "\n" in heading.group() and not heading["title"].endswith(".") else 0
    )
    inside = [mention for mention in mentions if mention.end <= title_end]
    if inside:
        title = re.sub(r"\s*\(.*", "", heading["title"]) if heading else ""
        exact = next((mention for mention in inside if mention.name == title), None)
        if exact or len(inside) == 1:
            name = (exact or inside[0]).name
            return Topic(name, types.get(name, "concept"))
    body = next((i for i, sentence in enumerate(sentences) if sentence.start >= title_end), 0)
    first = next((mention for mention in mentions if mention.sentence == body), None)
    if first is None or first.first > 3:
        return None
    return Topic(first.name, types.get(first.name, "concept"))


def _defines(sentence: Sentence, subject: Mention) -> bool:
    """Return whether a copula follows the subject, with a parenthesis at most between."""
    if subject.first - main_clause(sentence) > 3:
        return False
    at = subject.last
    if sentence.codes[at : at + 1] == "(":
        close = sentence.codes.find(")", at)
        at = close + 1 if close > 0 else at
    return at < len(sentence.texts) and sentence.texts[at].lower() in lexicon.COPULAS


def _korean_links(links: list[Link], predicate: str | None) -> list[Link]:
    return [
        Link(link.head, predicate if predicate and i == 0 else TENTATIVE, link.tail, link.strength, link.at)
        for i, link in enumerate(links)
    ]
