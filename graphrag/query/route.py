"""``--method auto``: which method a question is asked by, told from its form. No model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from graphrag.query.basic import answer_basic
from graphrag.query.global_ import answer_global
from graphrag.query.local import answer_local
from graphrag.query.path import answer_path
from graphrag.query.question import Question

_WHOLE = re.compile(
    r"\b(themes?|topics?|summari[sz]e|summary|overview|overall|main (?:ideas?|points?|findings?)|in general|"
    r"trends?|patterns?|this (?:corpus|collection|data ?set)|the (?:documents?|texts?|collection) about|"
    r"what is this about|across (?:all|the))\b|주제|요약|전반",
    re.IGNORECASE,
)
# "X's mother's birthplace", "whose", "films that share actors with", "other films by"
_WALK = re.compile(
    r"\bwhose\b|\bsame \w+ (?:as|of)\b|\bshare\b|['’]s \w+(?: \w+)?['’]s\b|\bother \w+ (?:of|by|in)\b",
    re.IGNORECASE,
)
# Words that name a relation; a question that holds two of them asks along both ("the director … died").
_RELATION = re.compile(
    r"\b(fathers?|mothers?|parents?|child(?:ren)?|sons?|daughters?|wi(?:fe|ves)|husbands?|spouses?|siblings?|"
    r"brothers?|sisters?|direct(?:ors?|ed|s)?|compos(?:ers?|ed)|performers?|perform(?:ed|s)|authors?|writers?|"
    r"wrote|written|produc(?:ers?|ed)|singers?|sang|sung|creators?|created|found(?:ers?|ed)|owners?|owned|"
    r"publish(?:ers?|ed)|employers?|employed|played|stars?|starr(?:ed|ing)|champions?|presidents?|leaders?|"
    r"mayors?|captains?|governors?|capital|country|countries|continent|state|county|city|river|nationality|"
    r"birthplace|born|birth|di(?:ed?|es)|death|buried|educated|stud(?:y|ied)|graduated|married|located|"
    r"headquarter(?:s|ed)|members?|teachers?|taught|successors?|predecessors?|released)\b",
    re.IGNORECASE,
)
_TWICE = re.compile(  # one word, two steps
    r"\b(?:grand(?:father|mother|parents?|sons?|daughters?|child(?:ren)?)|uncles?|aunts?|nephews?|nieces?|"
    r"cousins?|(?:father|mother|brother|sister|son|daughter)s?-in-law|co-stars?)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"\w (?:that|which|who|whom|where|in which|to which)\b \w", re.IGNORECASE)
_COMPARISON = re.compile(
    r"^(?:are|were|do|does|did|is|was) |\b(?:earlier|later|older|younger|longer|larger|more recently)\b"
    r"|\bfirst, |, .+ or (?!.*\bof\b)|\bor\b.+\?$|\bboth\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and the sentence that says why."""

    method: str
    why: str


def route(text: str, n_named: int, *, planned: bool = False) -> Route:
    """Choose a method for ``text``, which names ``n_named`` entities of the graph.

    ``planned``: the tuned planner knows the graph's relations, so paths are tried for whatever names
    an entity; they fall back to ``local`` by themselves.
    """
    if _WHOLE.search(text) and not n_named:
        return Route("global", "it asks about the whole and names no entity")
    if n_named and planned:
        return Route("path", "it names an entity, and the planner knows the relations of the graph")
    if n_named and _COMPARISON.search(text):
        return Route("local", "it names entities and compares them")
    if n_named and asks_along(text):
        return Route("path", "it names an entity and asks along several relations")
    if n_named:
        return Route("local", "it names an entity and asks about it")
    if _WHOLE.search(text):
        return Route("global", "it asks about the whole")
    return Route("basic", "it names no entity of the graph, so its words are looked for")


def asks_along(text: str) -> bool:
    """Say whether a question asks along several relations, by its words."""
    if _WALK.search(text) or _TWICE.search(text):
        return True
    relations = {match.group(1).casefold()[:4] for match in _RELATION.finditer(text)}
    return len(relations) + len(_CLAUSE.findall(text)) >= 2


_ANSWERS: dict[str, Callable[[Question], AsyncIterator[str]]] = {
    "basic": answer_basic,
    "global": answer_global,
    "local": answer_local,
    "path": answer_path,
}


async def answer_auto(question: Question) -> AsyncIterator[str]:
    """Answer by the method that :func:`route` chooses; the trace says which and why, the result its name."""
    planned = question.paths.tuned_planner_fits
    chosen = route(question.text, len(question.view.named_in(question.text)), planned=planned)
    question.trace.append({"event": "route", "method": chosen.method, "why": chosen.why})
    question.method = chosen.method
    async for piece in _ANSWERS[chosen.method](question):
        yield piece
