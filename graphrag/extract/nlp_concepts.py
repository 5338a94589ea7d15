"""Facts about what has no name: noun phrases related by the words between them.

Essays, science and manuals speak of "bees" and "crop production", which no capital letter marks. With
part-of-speech tags a sentence is read as in Fader, Soderland and Etzioni, "Identifying relations for open
information extraction" (2011): a finite verb, the noun phrases before it that are its subject, those after
it, and as predicate the words between. A noun phrase before "of", and nouns that say little by themselves
("a role in"), belong to the predicate, so that entities stay short and meet again in other sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.nlp_relations import TENTATIVE, Link
from graphrag.extract.nlp_tokens import Mention, Sentence

MOST_NAMES = 0.05  # names per token from which a text speaks of named things, and names are enough
_STRENGTH = 6.0
_MAX_SUBJECTS = 3
_MAX_WORDS = 8  # of a predicate
_MAX_NAME = 4  # words of a noun phrase, counted from its end
_CODES = {
    "NN": "n", "NNS": "n", "NNP": "n", "NNPS": "n", "JJ": "j", "JJR": "j", "JJS": "j", "VBG": "g", "VBN": "d",
    "VBZ": "v", "VBP": "v", "VBD": "v", "VB": "b", "MD": "m", "TO": "t", "IN": "p", "RB": "r", "RBR": "r",
    "RBS": "r", "RP": "u", "DT": "x", "PDT": "x", "PRP$": "x", "WP$": "w", "CD": "c", "POS": "s", "CC": "a",
    "PRP": "i", "EX": "e", "WDT": "w", "WP": "w", "WRB": "w", ",": ",", "HYPH": "h", "FW": "n",
}  # fmt: skip
# Participles belong to a noun phrase only where no verb can stand: after a determiner or an adjective.
_PHRASE = re.compile(r"(?:(?<=[xj])[gd]|(?<=[pa,])d(?=[jn])|[jcn]|(?<=n)s|(?<=[jnc])h(?=[jncd])|(?<=h)d)*n")
_GROUP = re.compile(r"[vm][vmbdgrt]*")
_LIGHT = lexicon.words(
    """
    role part way ways number variety range kind kinds type types sort form lot amount series set use case
    order addition example fact result time times thing things one ones aspect aspects reason reasons
    essay conclusion today years year own
    """
)
_POSSESSIVES = frozenset(("their", "its", "his", "her"))
_CARRIED = frozenset(("they", "it"))
_AUXILIARIES = lexicon.BE | lexicon.words("has have had having do does did")
_NEGATIONS = frozenset(("not", "never", "n't"))


@dataclass(frozen=True, slots=True)
class _Node:
    """A name or noun phrase, with the tokens from which its phrase starts ("role of" before "bees")."""

    start: int
    first: int
    last: int
    name: str


def tag_codes(tags: Sequence[str]) -> str:
    """Return one letter for each Penn Treebank tag; what is neither word nor comma is a full stop."""
    return "".join(_CODES.get(tag, ".") for tag in tags)


def is_poor_in_names(sentences: Iterable[Sentence], mentions: Sequence[Mention]) -> bool:
    """Return whether a text names so little that its facts are about concepts."""
    return len(mentions) < MOST_NAMES * sum(len(sentence.texts) for sentence in sentences)


def concept_links(
    sentence: Sentence, number: int, codes: str, names: Sequence[Mention], carried: str | None
) -> tuple[list[Link], list[Mention], str | None]:
    """Return the facts of a sentence, the noun phrases in them, and the subject that "they" would mean next.

    ``codes`` are those of :func:`tag_codes`, one for each token; ``names`` are the sentence's names, in
    order; ``carried`` is the subject of the sentence before.
    """
    nodes = _nodes(sentence, codes, names)
    groups = [match.span() for match in _GROUP.finditer(codes)]
    subjects: list[list[_Node]] = []
    links: list[Link] = []
    by_name: dict[str, _Node] = {}
    main = carried
    for at, (start, _) in enumerate(groups):
        begin = groups[at - 1][1] if at else 0
        here = _subjects(sentence, codes, nodes, (begin, start), subjects[-1] if subjects else [], carried)
        if not here and at and codes[groups[at - 1][0] - 1 : groups[at - 1][0]] == "w":
            here = subjects[-1]  # "Plants that attract bees need …"
        subjects.append(here)
    for at, (start, _) in enumerate(groups):
        heads = subjects[at]
        if heads and main is carried and not _is_possessed(sentence, heads[0]):
            main = heads[0].name
        following = subjects[at + 1] if at + 1 < len(subjects) else []
        end = groups[at + 1][0] if at + 1 < len(groups) else len(codes)
        own = [node.start for node in following if start < node.start < end and node not in heads]
        end = min([end, *own])
        objects = [node for node in nodes if start < node.start and node.first < end]
        for other, phrase, tail in _predicates(sentence, codes, start, objects):
            for head in [other] if other else heads:
                if head.name.lower() != tail.name.lower():
                    subject = " ".join((*_compact(sentence, codes, head.start, head.first), phrase))
                    links.append(Link(head.name, subject, tail.name, _STRENGTH, tail.first))
                    by_name.setdefault(head.name, head)
                    by_name.setdefault(tail.name, tail)
    known = {mention.name for mention in names}
    found = [
        Mention(sentence.starts[n.first], sentence.ends[n.last - 1], number, n.first, n.last, n.name)
        for n in by_name.values()
        if n.name not in known and n.last > n.first
    ]
    return links, sorted(found, key=lambda mention: mention.first), main


def with_concepts(links: Sequence[Link], stated: Sequence[Link]) -> list[Link]:
    """Join facts between names with those of :func:`concept_links`: a connected pair is said once."""
    if not stated:
        return list(links)
    firm = [link for link in links if link.predicate != TENTATIVE]
    pairs = {frozenset((link.head, link.tail)) for link in firm}
    more = [link for link in stated if frozenset((link.head, link.tail)) not in pairs]
    pairs.update(frozenset((link.head, link.tail)) for link in more)
    loose = [link for link in links if link.predicate == TENTATIVE]
    return [*firm, *more, *(link for link in loose if frozenset((link.head, link.tail)) not in pairs)]


def _nodes(sentence: Sentence, codes: str, names: Sequence[Mention]) -> list[_Node]:
    taken = {at for mention in names for at in range(mention.first, mention.last)}
    spans = [(mention.first, mention.last, mention.name) for mention in names]
    absorbed: list[tuple[int, int]] = []
    for match in _PHRASE.finditer(codes):
        first, last = match.span()
        if taken & set(range(first, last)):
            continue
        head = sentence.texts[last - 1].lower()
        if (
            head in _LIGHT
            or head in lexicon.CALENDAR
            or head == "own"
            or not head[0].isalpha()
            or sentence.texts[last : last + 1] == ["of"]
        ):
            absorbed.append((first, last))
        else:
            spans.append((max(first, last - _MAX_NAME), last, _phrase_name(sentence, codes, first, last)))
    nodes = []
    for first, last, name in sorted(spans):
        start = first
        while start > 0 and codes[start - 1] in "xjcdgr" and start - 1 not in taken:
            start -= 1
        if start > 0 and sentence.texts[start - 1] == "of":
            start = next((begin for begin, end in reversed(absorbed) if end == start - 1), start)
            while start > 0 and codes[start - 1] in "xjcr" and start - 1 not in taken:
                start -= 1
        nodes.append(_Node(start, first, last, name))
    return nodes


def _phrase_name(sentence: Sentence, codes: str, first: int, last: int) -> str:
    """Return the phrase without numbers at its start, in lower case but for acronyms and names."""
    first = max(first, last - _MAX_NAME)
    while first < last - 1 and codes[first] in "crsh":
        first += 1
    words = [
        token.lower() if token[1:].islower() or len(token) == 1 else token
        for token in sentence.texts[first:last]
    ]
    return " ".join(words).replace(" - ", "-").replace(" 's", "'s")


def _subjects(
    sentence: Sentence,
    codes: str,
    nodes: list[_Node],
    region: tuple[int, int],
    before: list[_Node],
    carried: str | None,
) -> list[_Node]:
    """Return the subjects of the verb that ends ``region``: phrases in it that no preposition governs."""
    begin, verb = region
    at = verb - 1
    while at >= begin and codes[at] in "r":
        at -= 1
    if at < 0:
        return []
    if codes[at] == "i":
        if sentence.texts[at].lower() not in _CARRIED:
            return []
        if before and not _is_possessed(sentence, before[0]):
            return before
        return [_Node(at, at, at, carried)] if carried else []
    here = [node for node in nodes if begin <= node.start and node.last <= verb]
    if codes[at] == "w":
        close = at - 1 if at > 0 and codes[at - 1] in ",." else at
        return [node for node in nodes if node.last == close][-1:]
    if codes[at] in "a," and begin and not [node for node in here if node.last == at]:
        return before  # "… and spread": the subject goes on
    chosen: list[_Node] = []
    for node in reversed(here):
        previous = codes[node.start - 1] if node.start else "."
        if previous in "pt":
            if chosen:
                break
            continue  # governed by a preposition: the subject stands further to the left
        if previous in "bgdv" and begin:
            break
        chosen.append(node)
        listed = previous == "a" or (previous == "," and any(n.last == node.start - 1 for n in here))
        if not listed or len(chosen) == _MAX_SUBJECTS:
            break
        if previous == ",":
            gap = codes[node.last : verb]
            if "a" not in gap:  # "In Rome, bees …": a comma alone joins nothing
                break
    return chosen[::-1]


def _is_possessed(sentence: Sentence, node: _Node) -> bool:
    """Return whether a phrase is of something else: after "Their importance", "they" is not that."""
    return sentence.texts[node.start : node.start + 1][0].lower() in _POSSESSIVES


def _predicates(
    sentence: Sentence, codes: str, verb: int, objects: list[_Node]
) -> list[tuple[_Node | None, str, _Node]]:
    """Return for each object its subject, where that is another object, and the words that lead to it.

    A participle starts a predicate of its own: after a comma it speaks of the subject ("…, leading to"),
    right after a noun of that noun ("a process known as").
    """
    found: list[tuple[_Node | None, str, _Node]] = []
    phrase, head = "", None
    lead, first, previous = verb, None, None
    for node in objects:
        gap = codes[previous.last : node.start] if previous else ""
        if (
            previous
            and phrase
            and gap
            and not gap.strip(",a")
            and node.start == _phrase_start(codes, node.first)
        ):
            found.append((head, phrase, node))  # "almonds, apples and cherries"
            previous = node
            continue
        if previous and (verbal := re.search(r"t?r*[gdb]", gap)):
            lead, first = previous.last + verbal.start(), None
            head = previous if verbal.start() == 0 and verbal.group()[-1] in "gd" else head
        words = _compact(sentence, codes, lead, node.first)
        if len(words) > _MAX_WORDS - 1 and first and previous:
            words = [
                *_lead(sentence, codes, lead, first.start),
                *_compact(sentence, codes, previous.last, node.first)[-3:],
            ]
        first, previous = first or node, node
        phrase = " ".join(words) if 0 < len(words) < _MAX_WORDS else ""
        if phrase:
            found.append((head, phrase, node))
    return found


def _lead(sentence: Sentence, codes: str, start: int, end: int) -> list[str]:
    """Return the words by which a list of objects begins: "to suit" of "evolved over time to suit"."""
    words = _compact(sentence, codes, start, end)
    last = max((match.start() for match in re.finditer(r"t?r*[gb]", codes[start:end])), default=0)
    return words if len(words) <= 3 else _compact(sentence, codes, start + last, end)[:3]


def _phrase_start(codes: str, first: int) -> int:
    """Return where the determiners and adjectives before a noun start."""
    while first > 0 and codes[first - 1] in "xjcdgr":
        first -= 1
    return first


def _compact(sentence: Sentence, codes: str, start: int, end: int) -> list[str]:
    """Return the words from ``start`` to ``end`` that carry meaning: no articles, auxiliaries, adverbs."""
    words: list[str] = []
    for at in range(start, end):
        word, code = sentence.texts[at].lower(), codes[at]
        if code in "xwice,.h" or (code == "r" and word not in _NEGATIONS):
            continue
        if code == "m" or (word in _AUXILIARIES and re.match(r"r*[vbdg]", codes[at + 1 : end])):
            continue
        if code in "pt" and words and {words[-1], word} <= lexicon.PREPOSITIONS:
            words.pop()  # what the first one governed has been left out
        words.append("is" if word in ("been", "be", "being") else word)
    while words and words[0] in ("of", "and", "or", "but"):
        del words[0]
    while words and words[-1] in ("and", "or", "but"):
        words.pop()
    return words
