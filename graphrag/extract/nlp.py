"""Extraction without a language model: rules, or a trained spaCy pipeline for the names.

One text is read on its own; nothing is learned from its neighbours, so results do not depend on
batches. Everything that is stated is quoted: descriptions and claims are sentences of the text.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.nlp_claims import sentence_claim
from graphrag.extract.nlp_concepts import concept_links, is_poor_in_names, tag_codes, with_concepts
from graphrag.extract.nlp_entities import find_mentions, fold_short_names, recurring_phrases
from graphrag.extract.nlp_korean import find_korean_mentions, is_korean, korean_predicate
from graphrag.extract.nlp_pipeline import (
    QUANTITY_TYPES,
    confirmed_names,
    find_spacy_model,
    joined_names,
    load_pipeline,
    pipeline_mentions,
    shipped_pipeline,
    token_tags,
)
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
SHIPPED = "shipped"  # likewise: the pipeline that comes with the package reads every text
SHIPPED_IF_NEEDED = "shipped if needed"
_SYNONYMS = {
    "person": ("people", "per", "character", "human"),
    "organization": ("organisation", "org", "company", "institution", "group"),
    "place": ("location", "loc", "geo", "gpe", "city", "country", "region"),
    "event": ("events",),
    "work": ("work of art", "creative work", "publication", "book", "film", "artwork"),
    "product": ("ship", "vehicle", "technology", "artifact", "object"),
    "concept": ("other", "misc", "topic", "term"),
}
_QUANTITIES = {"time": ("date", "time"), "number": ("quantity", "number")}
_HEADING = re.compile(r"\s*#*\s*(?P<title>[^\n]{1,100}?)\s*#*\s*(?:\n|$)")
_CONFIDENCE = {"rules": 0.7, "phrase": 0.4, "typed": 0.85}


class NlpExtractor:
    """Extracts entities, relations and claims from texts by rules.

    A spaCy pipeline that ``settings.spacy_model`` names, or that is found among the installed packages,
    decides names and their types. Else the one that is shipped reads texts that are poor in names, whose
    facts about concepts need parts of speech (:mod:`graphrag.extract.nlp_concepts`), and all texts when dates
    or numbers are asked for or ``settings.spacy_model`` is ``shipped``; none when it is ``rules``. Relations
    between names, and claims, are by rules.
    """

    extractor_id: str

    def __init__(self, settings: ExtractionSettings) -> None:
        """Choose the pipeline; the shipped one is loaded when the first text needs it.

        Raises:
            MissingExtraError: ``settings.spacy_model`` is named, but spaCy or the pipeline is not installed.
        """
        self._settings = settings
        self._type_names = _type_names(settings.entity_types)
        self._quantities = tuple(kind for kind in QUANTITY_TYPES if kind in self._type_names)
        self._wants_concepts = _wants_concepts(settings.entity_types)
        model = settings.spacy_model or find_spacy_model() or SHIPPED_IF_NEEDED
        self._reads = model
        self._installed: Any = None
        if model == RULES_ONLY:
            self.extractor_id = f"nlp:rules:{RULES_VERSION}"
            return
        if model in (SHIPPED, SHIPPED_IF_NEEDED):
            meta = json.loads((shipped_pipeline() / "meta.json").read_text(encoding="utf-8"))
        else:
            self._installed = load_pipeline(model)
            meta = self._installed.meta
        everywhere = ":every text" if model == SHIPPED else ""
        self.extractor_id = (
            f"nlp:{meta.get('lang')}_{meta.get('name')}:{meta.get('version')}:{RULES_VERSION}{everywhere}"
        )

    def extract(self, texts: Sequence[str]) -> list[Extraction]:
        """Return what each text holds, in order. Deterministic; each text is read alone."""
        return [self._extract(text) for text in texts]

    def _extract(self, text: str) -> Extraction:
        spans = sentence_spans(text)
        if not spans:
            return Extraction()
        sentences = tokenize(text, spans)
        korean = is_korean(text)
        doc = self._installed(text) if self._installed is not None else None
        mentions: list[Mention] = []
        types: dict[str, str] = {}
        titles: set[int] = set()
        if doc is None and korean:
            mentions, types = find_korean_mentions(text, spans)
        elif doc is None:
            mentions, titles = find_mentions(text, sentences)
            types = name_types(mentions, sentences, titles)
            if self._needs_pipeline(sentences, mentions):
                doc = load_pipeline(shipped_pipeline())(text)
        if doc is not None:
            trained = pipeline_mentions(doc, sentences, self._quantities)
            mentions, types = joined_names(mentions, types, *trained, fixed=titles)
        if doc is not None or not korean:
            mentions = fold_short_names(mentions, types)
        stated: dict[int, list[Link]] = {}
        phrases: list[Mention] = []
        tagged = doc is not None and not korean and doc.has_annotation("TAG")
        if tagged and self._wants_concepts and is_poor_in_names(sentences, mentions):
            mentions = confirmed_names(mentions, doc, sentences)
            phrases, stated = _concepts(doc, sentences, mentions)
        elif not korean and self._installed is None:
            phrases = _phrase_mentions(text, sentences, mentions)
        types.update({mention.name: "concept" for mention in phrases if mention.name not in types})
        topic = _topic(text, sentences, mentions, types)
        phrase_names = {mention.name for mention in phrases}
        everything = sorted([*mentions, *phrases], key=lambda mention: (mention.start, -mention.end))
        relations, claims, subject_of = self._statements(
            text,
            sentences,
            mentions if stated else everything,
            types,
            topic=topic,
            korean=korean,
            stated=stated,
        )
        entities = self._entities(
            text, sentences, everything, types, subject_of=subject_of, phrases=phrase_names
        )
        return Extraction(tuple(entities), tuple(relations), tuple(claims) if self._settings.claims else ())

    def _needs_pipeline(self, sentences: list[Sentence], mentions: list[Mention]) -> bool:
        if self._reads == SHIPPED_IF_NEEDED and not self._quantities:
            return self._wants_concepts and is_poor_in_names(sentences, mentions)
        return self._reads != RULES_ONLY

    def _statements(
        self,
        text: str,
        sentences: list[Sentence],
        mentions: list[Mention],
        types: dict[str, str],
        *,
        topic: Topic | None,
        korean: bool,
        stated: dict[int, list[Link]],
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
            both = with_concepts(links, stated.get(number, []))
            fresh = [link for link in both if (link.head, link.predicate, link.tail) not in known]
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
    for kind, options in _QUANTITIES.items():  # no entities unless they are asked for
        names.update((kind, option) for option in options if option in lower)
    return names


def _wants_concepts(wanted: tuple[str, ...]) -> bool:
    """Return whether noun phrases are asked for: not where the given types are kinds of names only."""
    lower = {type_.lower() for type_ in wanted}
    if not lower or any(one in type_ for type_ in lower for one in ("concept", "topic", "term")):
        return True
    named = {
        option for kind in lexicon.NAME_TYPES if kind != "concept" for option in (kind, *_SYNONYMS[kind])
    }
    return not lower & named


def _concepts(
    doc: Any, sentences: list[Sentence], mentions: list[Mention]
) -> tuple[list[Mention], dict[int, list[Link]]]:
    """Return the noun phrases in what the sentences state, and the facts by sentence."""
    names: dict[int, list[Mention]] = defaultdict(list)
    for mention in mentions:
        names[mention.sentence].append(mention)
    phrases: list[Mention] = []
    stated: dict[int, list[Link]] = {}
    subject: str | None = None
    for number, sentence in enumerate(sentences):
        codes = tag_codes(token_tags(doc, sentence))
        stated[number], found, subject = concept_links(sentence, number, codes, names[number], subject)
        phrases += found
    return phrases, stated


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
