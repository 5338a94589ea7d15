"""What a community report is written from: rows of the community within a token budget.

A pure function of its rows. A leaf community is shown by its entities, relationships and claims, a
parent by the reports on its children and what lies between them. Edge et al., "From Local to Global:
A GraphRAG Approach to Query-Focused Summarization" (arXiv 2404.16130, section 3.1.5) put reports in
the place of rows only when the rows do not fit; here a report stands for a child wherever it is
shorter, so no row is paid for again at every level.

Nothing is said twice: what an extractor wrote into an entity's description it often writes into
those of its relationships and claims as well. They then keep their names, and the statement
stands once, with the entity.

Relationships are ranked by the degrees of their two ends *inside the community*, then by weight.
The paper takes the degree in the whole graph; with that, a new document could change the context
of a community it says nothing about, and its report would be paid for again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache

from graphrag.extract.citations import Reference, remove_citations
from graphrag.hashing import content_hash
from graphrag.tokens import TokenCounter, approximate_tokens, truncate_to_tokens

_HEADERS = {
    "Reports": "# Reports\nid|title|report",
    "Entities": "# Entities\nid|name|type|description",
    "Relationships": "# Relationships\nid|source|predicate|target|description",
    "Claims": "# Claims\nid|subject|object|type|status|date|description",
}
_BETWEEN_STATEMENTS = re.compile(r"(?<=[.!?])\s+|;\s+")
_LONGEST_ROW = 1 / 8  # of the budget, so that one row cannot push out all others
_LONGEST_REPORT = 1 / 4
_LONGEST_NAME = 200  # characters
_CLAIM_SHARE = 1 / 4  # of the budget for claims as long as relationships are still to come
_DETAIL_SHARE = 1 / 4  # of the budget for relationships between children when reports alone overflow
_BYTES_PER_CHAR = 4
_REMEMBERED = 1 << 14  # rows: each is in the context of its community and of all those above
_CHARS_PER_TOKEN = 12  # no text of a tested tokenizer is cheaper, so longer texts are cut without counting


@dataclass(frozen=True, slots=True)
class ContextEntity:
    """A member; ``degree`` and ``frequency`` are those of the whole graph (for the computed rank)."""

    id: str
    title: str
    type: str
    description: str
    degree: int = 0
    frequency: int = 1


@dataclass(frozen=True, slots=True)
class ContextRelationship:
    """A relationship; it is used only when both ends are members."""

    id: str
    source_id: str
    target_id: str
    predicate: str
    description: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ContextClaim:
    """A claim; it is used only when its subject is a member.

    ``source_text`` is the quote; leave it empty unless the text holds it word for word.
    """

    id: str
    subject_id: str
    subject: str
    object: str | None
    type: str
    status: str
    description: str
    source_text: str = ""
    start_date: str | None = None
    end_date: str | None = None


@dataclass(frozen=True, slots=True)
class ChildReport:
    """The report of a child community: ``id`` of the report, its text, and the child's members.

    ``digest`` is what stands for the child (summary and headlines of the findings), ``summary`` what
    is used when that does not fit.
    """

    id: str
    title: str
    summary: str
    digest: str
    entity_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommunityRows:
    """All that a community's report may be written from; the order of rows does not matter."""

    entities: Sequence[ContextEntity]
    relationships: Sequence[ContextRelationship] = ()
    claims: Sequence[ContextClaim] = ()
    children: Sequence[ChildReport] = ()


@dataclass(frozen=True, slots=True)
class ReportContext:
    """A context, and what its numbers mean.

    ``rows`` maps ``("Entities", 3)`` to the row's id; numbers start at 0 in every section.
    ``left_out`` counts, by section, the rows that did not fit; rows that a child's report stands
    for are not among them. ``replaced`` are the ids of the children's reports used.
    """

    text: str
    n_tokens: int
    rows: Mapping[Reference, str]
    replaced: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Return whether every row is there, itself or in a child's report."""
        return not any(self.left_out.values())

    def labels(self) -> dict[str, Reference]:
        """Return section and number by row id."""
        return {row_id: reference for reference, row_id in self.rows.items()}


def context_hash(context: ReportContext) -> str:
    """Identify a context by its text and by the rows that its numbers stand for."""
    rows = sorted((section, number, row_id) for (section, number), row_id in context.rows.items())
    return content_hash("report_context", context.text, rows)


def build_report_context(
    rows: CommunityRows, max_tokens: int, count: TokenCounter = approximate_tokens
) -> ReportContext:
    """Build the context of one report, at most ``max_tokens`` long as ``count`` counts.

    Relationships come heaviest first, each with its two entities and their claims; the first that
    does not fit ends the list, so what is there is always the top of the ranking. While
    relationships are still to come, claims take a quarter of the budget at most. Then come the
    entities without relationships and the claims still missing. Texts longer than an eighth of
    the budget (reports: a quarter) are cut at a word.

    Children are replaced by their reports, each only by a report that is shorter than its rows; if
    the whole does not fit then, reports are shortened to title and summary, those of the children
    with most tokens first. Relationships between two children stay. If even that is too much,
    reports are kept largest child first, within three quarters of the budget (more when there is
    nothing else), and relationships fill the rest.

    Depends neither on the order of the rows nor on anything but its arguments. Each row's tokens
    are counted once: O(n log n) in the number of rows.
    """
    lines = _Lines(rows, max_tokens, count)
    forms = _choose_forms(lines, max_tokens)
    page = _Page(max_tokens, count)
    details = lines.total(without=forms)
    room = max_tokens - min(details, int(max_tokens * _DETAIL_SHARE))
    page.fill_reports(lines.ranked_children, forms, room)
    page.fill_details(lines, forms)
    return page.finish()


def forget_rows() -> None:
    """Let go of what is remembered of rows from one context to the next."""
    _written.cache_clear()
    _statements.cache_clear()


def ranked_relationships(rows: CommunityRows) -> list[ContextRelationship]:
    """Return the relationships between members, by combined degree inside the community, weight, id."""
    members = {entity.id for entity in rows.entities}
    inside = [edge for edge in rows.relationships if edge.source_id in members and edge.target_id in members]
    degree = _inner_degrees(inside)
    return sorted(
        inside, key=lambda edge: (-degree[edge.source_id] - degree[edge.target_id], -edge.weight, edge.id)
    )


def _inner_degrees(inside: Iterable[ContextRelationship]) -> Counter[str]:
    return Counter(end for edge in inside for end in (edge.source_id, edge.target_id))


@dataclass(frozen=True, slots=True)
class _Line:
    """A row as text without its number, and what it costs with it."""

    row_id: str
    text: str
    tokens: int


class _Lines:
    """Every row of a community as a line, in ranked order, and which child each belongs to."""

    def __init__(self, rows: CommunityRows, max_tokens: int, count: TokenCounter) -> None:
        self._count = count
        self._longest = max(1, int(max_tokens * _LONGEST_ROW))
        self._longest_report = max(1, int(max_tokens * _LONGEST_REPORT))
        most = max(len(rows.entities), len(rows.relationships), len(rows.claims), len(rows.children))
        self._number = count("9" * len(str(most)))
        self.titles = {entity.id: entity.title for entity in rows.entities}
        self.child_of: dict[str, str] = {}
        for child in sorted(rows.children, key=lambda child: child.id):
            for entity_id in child.entity_ids:
                self.child_of.setdefault(entity_id, child.id)
        self.relationships = ranked_relationships(rows)
        degree = _inner_degrees(self.relationships)
        self.entities = sorted(rows.entities, key=lambda entity: (-degree[entity.id], entity.id))
        self.claims: dict[str, list[ContextClaim]] = defaultdict(list)
        for claim in sorted(rows.claims, key=lambda claim: claim.id):
            if claim.subject_id in self.titles:
                self.claims[claim.subject_id].append(claim)
        self._made: dict[tuple[str, str], _Line] = {}
        self._entities, self._said = self._say_once()
        self.tokens_of_child = self._tokens_by_child(child.id for child in rows.children)
        self.full = {child.id: self._report(child, child.digest) for child in rows.children}
        self.short = {child.id: self._report(child, child.summary) for child in rows.children}
        self.ranked_children = sorted(
            (child.id for child in rows.children), key=lambda id_: (-self.tokens_of_child[id_], id_)
        )

    def entity(self, entity_id: str) -> _Line:
        return self._entities[entity_id]

    def relationship(self, row: ContextRelationship) -> _Line:
        names = (self.titles[row.source_id], row.predicate, self.titles[row.target_id])
        # Between two children the ends are not shown themselves, so what they say is not there.
        inside = not self.child_of or self.child_of_edge(row) is not None
        said = self._said[row.source_id] | self._said[row.target_id] if inside else frozenset()
        return self._line("Relationships", row.id, names, _unsaid(row.description, said))

    def claim(self, row: ContextClaim) -> _Line:
        dates = "..".join(dict.fromkeys(date for date in (row.start_date, row.end_date) if date))
        names = (row.subject, row.object or "", row.type, row.status, dates)
        return self._line("Claims", row.id, names, _unsaid(row.description, self._said[row.subject_id]))

    def child_of_edge(self, row: ContextRelationship) -> str | None:
        """Return the child that both ends belong to; None for a relationship between children."""
        child = self.child_of.get(row.source_id)
        return child if child is not None and child == self.child_of.get(row.target_id) else None

    def total(self, without: Mapping[str, _Line]) -> int:
        """Return the tokens of headers and of all rows that belong to none of the children in ``without``."""
        return sum(tokens for child, tokens in self.tokens_of_child.items() if child not in without)

    def header(self, section: str) -> int:
        """Return the tokens of a section's head and of the blank line that parts it from the next."""
        return self._count(f"{_HEADERS[section]}\n\n")

    def _say_once(self) -> tuple[dict[str, _Line], dict[str, frozenset[str]]]:
        """Return the line of each entity, and the statements that its line or an earlier one makes.

        A statement that several members of one child share stands with the first in the ranking.
        """
        lines: dict[str, _Line] = {}
        said: dict[str, frozenset[str]] = {}
        shown: dict[str | None, set[str]] = defaultdict(set)
        for row in self.entities:
            here = shown[self.child_of.get(row.id)]
            text = _unsaid(row.description, here)
            line = self._line("Entities", row.id, (row.title, row.type), text)
            # A long description is cut: what the cut took away was not said.
            here.update(key for key, one in _statements(text).items() if _cell(one) in line.text)
            lines[row.id] = line
            said[row.id] = frozenset(_statements(row.description).keys() & here)
        return lines, said

    def _tokens_by_child(self, children: Iterable[str]) -> dict[str | None, int]:
        used = {"Entities": self.entities, "Relationships": self.relationships, "Claims": self.claims}
        tokens: dict[str | None, int] = {None: sum(self.header(section) for section in used if used[section])}
        tokens |= dict.fromkeys(children, 0)
        for entity in self.entities:
            child = self.child_of.get(entity.id)
            tokens[child] += self.entity(entity.id).tokens
            tokens[child] += sum(self.claim(claim).tokens for claim in self.claims[entity.id])
        for edge in self.relationships:
            tokens[self.child_of_edge(edge)] += self.relationship(edge).tokens
        return tokens

    def _report(self, child: ChildReport, text: str) -> _Line:
        # The numbers in a child's report are those of the child's context: here they would lie.
        return self._line("Reports", child.id, (child.title,), remove_citations(text))

    def _line(self, section: str, row_id: str, names: Iterable[str], text: str) -> _Line:
        key = (section, f"{row_id}\0{text}" if section == "Reports" else row_id)
        if key not in self._made:
            longest = self._longest_report if section == "Reports" else self._longest
            written, tokens = _written(tuple(names), text, longest, self._count)
            self._made[key] = _Line(row_id, written, self._number + tokens)
        return self._made[key]


@lru_cache(maxsize=_REMEMBERED)
def _written(names: tuple[str, ...], text: str, longest: int, count: TokenCounter) -> tuple[str, int]:
    """Return a row without its number, its text cut to ``longest`` tokens, and the tokens of the whole."""
    cut = _cell(text)[: longest * _CHARS_PER_TOKEN]
    if len(cut) * _BYTES_PER_CHAR > longest:  # else it fits: no token is shorter than a byte
        cut = truncate_to_tokens(cut, longest, count)
    written = "|".join((*(_cell(name)[:_LONGEST_NAME] for name in names), cut))
    return written, count(f"|{written}\n")


def _choose_forms(lines: _Lines, max_tokens: int) -> dict[str, _Line]:
    """Return the children to be replaced, each with the line that stands for it."""
    rows = lines.tokens_of_child
    forms = {child: line for child, line in lines.full.items() if line.tokens < rows[child]}
    total = lines.total(without=forms) + sum(line.tokens for line in forms.values())
    heads = lines.header("Reports")
    for child in lines.ranked_children:
        if total + bool(forms) * heads <= max_tokens:
            break
        now = forms[child].tokens if child in forms else rows[child]
        if lines.short[child].tokens < now:
            total += lines.short[child].tokens - now
            forms[child] = lines.short[child]
    return forms


class _Page:
    """A context being filled; ``left`` is what the budget still holds."""

    def __init__(self, max_tokens: int, count: TokenCounter) -> None:
        self._count = count
        self._max_tokens = max_tokens
        self.left = max_tokens
        self._sections: dict[str, list[_Line]] = {name: [] for name in _HEADERS}
        self._there: set[tuple[str, str]] = set()
        self._left_out: Counter[str] = Counter()

    def fill_reports(self, ranked: Sequence[str], forms: Mapping[str, _Line], room: int) -> None:
        reserved = self._max_tokens - room
        for child in ranked:
            if child in forms and not self._add([("Reports", forms[child])], reserve=reserved):
                self._left_out["Reports"] += 1

    def fill_details(self, lines: _Lines, forms: Mapping[str, _Line]) -> None:
        def shown(entity_id: str) -> bool:
            return lines.child_of.get(entity_id) not in forms

        claims_left = int(self._max_tokens * _CLAIM_SHARE)
        visited: set[str] = set()
        edges = [edge for edge in lines.relationships if lines.child_of_edge(edge) not in forms]
        for position, edge in enumerate(edges):
            ends = [end for end in dict.fromkeys((edge.source_id, edge.target_id)) if shown(end)]
            unit = [("Entities", lines.entity(end)) for end in ends]
            if not self._add([*unit, ("Relationships", lines.relationship(edge))]):
                self._left_out["Relationships"] += len(edges) - position
                break
            new = [end for end in ends if end not in visited]
            visited.update(new)
            for line in (lines.claim(claim) for end in new for claim in lines.claims[end]):
                if line.tokens <= claims_left and self._add([("Claims", line)]):
                    claims_left -= line.tokens
        kept = [row.id for row in lines.entities if shown(row.id)]
        for section, rest in (
            ("Entities", (lines.entity(row_id) for row_id in kept)),
            ("Claims", (lines.claim(claim) for row_id in kept for claim in lines.claims[row_id])),
        ):
            full = False
            for line in rest:
                full = full or not self._add([(section, line)])
                self._left_out[section] += full and (section, line.row_id) not in self._there

    def finish(self) -> ReportContext:
        text = self._text()
        while (tokens := self._count(text)) > self._max_tokens and self._there:
            # A tokenizer may charge more for the whole than for its lines: give back the last row.
            section = next(name for name in reversed(_HEADERS) if self._sections[name])
            self._there.discard((section, self._sections[section].pop().row_id))
            self._left_out[section] += 1
            text = self._text()
        rows = {
            (section, number): line.row_id
            for section, lines in self._sections.items()
            for number, line in enumerate(lines)
        }
        replaced = tuple(line.row_id for line in self._sections["Reports"])
        left_out = {section: number for section, number in sorted(self._left_out.items()) if number}
        return ReportContext(text, tokens, rows, replaced, left_out)

    def _add(self, unit: Sequence[tuple[str, _Line]], *, reserve: int = 0) -> bool:
        """Add the lines of ``unit`` that are not there yet, all or none; leave ``reserve`` tokens."""
        new = [(section, line) for section, line in unit if (section, line.row_id) not in self._there]
        cost = sum(line.tokens for _, line in new)
        for section in {section for section, _ in new}:
            if not self._sections[section]:
                cost += self._count(f"{_HEADERS[section]}\n\n")
        if cost > self.left - reserve:
            return False
        self.left -= cost
        for section, line in new:
            self._sections[section].append(line)
            self._there.add((section, line.row_id))
        return True

    def _text(self) -> str:
        parts = []
        for section, lines in self._sections.items():
            if lines:
                numbered = (f"{number}|{line.text}" for number, line in enumerate(lines))
                parts.append("\n".join((_HEADERS[section], *numbered)))
        return "\n\n".join(parts)


@lru_cache(maxsize=_REMEMBERED)
def _statements(text: str) -> Mapping[str, str]:
    """Return the statements of a description by what they say, whatever their case and blanks."""
    found: dict[str, str] = {}
    for statement in _BETWEEN_STATEMENTS.split(text):
        if said := " ".join(statement.casefold().split()).rstrip(".!?"):
            found.setdefault(said, statement)
    return found


def _unsaid(text: str, said: Set[str]) -> str:
    """Return ``text`` without the statements that are in ``said``."""
    statements = _statements(text)
    if not statements.keys() & said:
        return text
    return " ".join(one for key, one in statements.items() if key not in said)


def _cell(text: str) -> str:
    """Put a text on one line, without the column mark and without the tag that ends the context."""
    return " ".join(text.replace("|", "/").split()).replace("</context", "< /context")
