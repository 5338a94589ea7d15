"""Pairs of names that rules declare one entity: equal forms, types, acronyms, short names, qualifiers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from graphrag.extract.blocking import abbreviates, compatible, initials, is_acronym, name_form, shortened
from graphrag.extract.resolution_clusters import GENERIC_TYPES, Edge, Protos, is_generic, types_meet

# Types whose names take a qualifier after a comma ("Denton, Texas").
_QUALIFIED_TYPES = frozenset(
    (
        "place",
        "location",
        "geo",
        "gpe",
        "city",
        "country",
        "region",
        "organization",
        "organisation",
        "company",
    )
)
_RARE_SURNAME = 3  # names of people that end so, up to which a namesake is unlikely
_PROMINENT = 4  # times as many mentions as any namesake, from which a bare surname means that person
_DOMINANT = 0.8  # share of a name's mentions from which one type takes the others


def exact_edges(protos: Protos, *, generic: bool) -> list[Edge]:
    """Join equal normal forms of one type; a generic type joins the most frequent specific one."""
    edges = []
    for group in protos.by_key.values():
        if len(group) < 2:
            continue
        types: dict[str, list[int]] = defaultdict(list)
        for i in group:
            types[protos.types[i]].append(i)
        for members in types.values():
            first, *rest = sorted(members, key=protos.rank)
            edges += [Edge(first, other, 1.0, "exact") for other in rest]
        if generic:
            totals = {t: sum(protos.counts[i] for i in members) for t, members in types.items()}
            specific = sorted((t for t in types if not is_generic(t)), key=lambda t: (-totals[t], t))
            home = specific[0] if specific else min(types)
            lead = min(types[home], key=protos.rank)
            edges += [
                Edge(lead, min(types[t], key=protos.rank), 1.0, "exact")
                for t in sorted(types)
                if t != home and is_generic(t)
            ]
    return edges


def type_edges(protos: Protos) -> list[Edge]:
    """Join one name under several types when one of them has most of its mentions."""
    edges = []
    for group in protos.by_key.values():
        if len(group) < 2:
            continue
        totals: dict[str, int] = defaultdict(int)
        for i in group:
            if not is_generic(protos.types[i]):
                totals[protos.types[i]] += protos.counts[i]
        if len(totals) < 2:
            continue
        top = min(totals, key=lambda t: (-totals[t], t))
        share = totals[top] / sum(totals.values())
        if share < _DOMINANT:
            continue
        lead = min((i for i in group if protos.types[i] == top), key=protos.rank)
        edges += [
            Edge(lead, i, share, "type")
            for i in group
            if protos.types[i] != top and not is_generic(protos.types[i])
        ]
    return edges


def initial_edges(protos: Protos, nodes: Sequence[int]) -> list[Edge]:
    """Join acronyms with the one name they can stand for, and shortened personal names with the long one."""
    by_initials: dict[str, list[int]] = defaultdict(list)
    by_ends: dict[tuple[str, str], list[int]] = defaultdict(list)
    surnames: dict[str, int] = defaultdict(int)
    for i in nodes:
        tokens = protos.forms[i].tokens
        if len(tokens) >= 2:
            for option in initials(tokens):
                by_initials[option].append(i)
            by_ends[tokens[0][0], tokens[-1]].append(i)
            surnames[tokens[-1]] += 1
    acronyms = [i for i in nodes if is_acronym(protos.names[i])]
    beside = protos.together_with(acronyms)
    named = set(nodes)
    edges = []
    for i in acronyms:
        full = [j for j in by_initials.get(protos.forms[i].key, ()) if types_meet(protos, i, j)]
        near = [j for j in full if protos.together(i, j)] or _spelled_out(protos, i, beside[i] & named)
        if len(near) == 1:
            edges.append(Edge(near[0], i, 0.99, "initials"))
        elif not near and len(full) == 1 and len(protos.forms[i].key) >= 4:
            edges.append(Edge(full[0], i, 0.9, "initials"))
    for (_, surname), group in by_ends.items():
        if 1 < len(group) <= 60:
            edges += _shortened_edges(protos, group, rare=surnames[surname] <= _RARE_SURNAME)
    return edges


def _spelled_out(protos: Protos, acronym: int, beside: set[int]) -> list[int]:
    """Return the names beside an acronym whose first letters (one to three of a word) it consists of."""
    letters = protos.forms[acronym].key.lower()
    if len(letters) < 4:
        return []
    return sorted(
        i
        for i in beside
        if protos.forms[i].key[0] == letters[0]
        and len(protos.forms[i].tokens) >= 2
        and types_meet(protos, acronym, i)
        and abbreviates(letters, protos.forms[i].tokens)
    )


def _shortened_edges(protos: Protos, group: list[int], *, rare: bool) -> list[Edge]:
    """Join personal names that leave out or abbreviate middle names, if all longer forms are one name's.

    "John Robinson" and "John Henry Robinson" may well be two people: both must share a document, or a
    surname that hardly anybody else has.
    """
    edges = []
    for i in group:
        short = protos.forms[i]
        longer = [
            j for j in group if j != i and short.key != protos.forms[j].key and _may_shorten(protos, i, j)
        ]
        longest = max(
            longer, key=lambda j: (len(protos.forms[j].tokens), len(protos.names[j]), -j), default=None
        )
        if longest is None or any(
            j != longest and not shortened(protos.forms[j], protos.forms[longest]) for j in longer
        ):
            continue  # "George Bush" is short for two people
        whole = min(len(short.tokens[0]), len(protos.forms[longest].tokens[0])) > 1
        if (whole and rare) or protos.together(i, longest):
            edges.append(Edge(longest, i, 0.95, "initials"))
    return edges


def _may_shorten(protos: Protos, i: int, j: int) -> bool:
    short, long = protos.forms[i], protos.forms[j]
    types = {protos.types[i], protos.types[j]} - GENERIC_TYPES
    if types - {"person"} or not compatible(short, long) or not shortened(short, long):
        return False
    # Left-out whole words are trusted only where the type says that these are people.
    return "person" in types or any(len(token) == 1 for token in short.tokens + long.tokens)


def qualifier_edges(protos: Protos, nodes: Sequence[int]) -> list[Edge]:
    """Join "Denton" with "Denton, Texas" when no other "Denton, …" is known."""
    qualified: dict[str, list[int]] = defaultdict(list)
    plain: dict[str, list[int]] = defaultdict(list)
    for i in nodes:
        form = protos.forms[i]
        if form.qualifier and len(form.head) >= 4 and not any(c.isdigit() for c in form.qualifier):
            qualified[form.head].append(i)
        else:
            plain[form.key].append(i)
    edges = []
    for head, longer in qualified.items():
        if (
            len(longer) == 1
            and len(protos.forms[longer[0]].qualifier.split()) <= 3
            and (protos.forms[longer[0]].marks == name_form(head).marks)
        ):
            meeting = [i for i in plain.get(head, ()) if types_meet(protos, i, longer[0])]
            types = {protos.types[i] for i in (longer[0], *meeting)} - GENERIC_TYPES
            if len(meeting) == 1 and types and types <= _QUALIFIED_TYPES:
                edges.append(Edge(longer[0], meeting[0], 0.9, "qualifier"))
    return edges


def surname_edges(protos: Protos, nodes: Sequence[int]) -> list[Edge]:
    """Join "Nansen" with "Fridtjof Nansen" when both share a document.

    Others may end so too, as long as they are rare beside the one: readers, too, take the bare
    surname for the one that everybody writes about.
    """
    ending: dict[str, list[int]] = defaultdict(list)
    for i in nodes:
        tokens = protos.forms[i].tokens
        if protos.types[i] == "person" and len(tokens) > 1 and "of" not in tokens:
            ending[tokens[-1]].append(i)
    edges = []
    for i in nodes:
        tokens = protos.forms[i].tokens
        if len(tokens) == 1 and protos.types[i] == "person":
            full = sorted(ending.get(tokens[0], []), key=lambda j: (-protos.counts[j], j))
            others = protos.counts[full[1]] if len(full) > 1 else 0
            if full and protos.counts[full[0]] >= _PROMINENT * others and protos.together(i, full[0]):
                edges.append(Edge(full[0], i, 0.9, "surname"))
    return edges
