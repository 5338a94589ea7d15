"""Questions whose answer is a walk: plan relation paths, ground them in the graph, reason over them.

After RoG (Luo et al. 2023, arXiv 2310.01061) with the planner held inside the graph as in GCR (2410.13080).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from graphrag.extract.citations import format_citations
from graphrag.graph.paths import Budget, PathTrie, RelationPath, Walk
from graphrag.graph.pruning import flow_paths
from graphrag.query.answer import context_limit
from graphrag.query.context import Section, build_context
from graphrag.query.linking import Link, link_entities, starts_of
from graphrag.query.local import answer_local
from graphrag.query.path_graph import IndexGraph
from graphrag.query.planning.base import Plan, PlanFor, Planner, masked
from graphrag.query.planning.embed import LEAST_COSINE
from graphrag.query.question import Question
from graphrag.query.relevance import Relevance
from graphrag.query.sections import relationships_section, sources_section
from graphrag.query.text_walks import text_walks

_STARTS = 3  # linked entities that are planned from
_SHOWN = 12  # answers written out
_WALKS = 30  # grounded walks whose steps join the context
_TEXT_HOPS = 2  # entities that a walk over texts passes: every one asks for sentences to be embedded


@dataclass(frozen=True, slots=True)
class Grounded:
    """The walks that answer, each with its relation path (the best first), their ends, and why they do."""

    graph: IndexGraph
    walks: tuple[tuple[Walk, RelationPath], ...]
    answers: tuple[int, ...]
    why: str


async def answer_path(question: Question) -> AsyncIterator[str]:
    """Answer by the grounded walks of the best relation path; without one, answer as ``local`` does.

    LLM calls: none when extractive (the answer is the end nodes and their walks), one to write
    otherwise, and one for the planner ``llm``.
    """
    grounded, why = await plan_and_ground(question)
    if grounded is None:
        question.trace.append({"event": "fallback", "method": "local", "why": why})
        async for piece in _fall_back(question, why):
            yield piece
        return
    await use_walks(question, grounded)
    if question.mode == "extractive":
        question.answer = direct_answer(grounded)
        yield question.answer
        return
    spoken = "\n".join(
        f"{place}. {grounded.graph.spoken(walk, path)}"
        for place, (walk, path) in enumerate(grounded.walks[:_WALKS], start=1)
    )
    request = question.writer.request("path_answer", question.text, f"{spoken}\n\n{question.context_text}")
    async for piece in question.write("answer", request):
        yield piece


async def plan_and_ground(question: Question) -> tuple[Grounded | None, str]:
    """Link, plan and ground a question; return the best walks, or None and why there are none."""
    settings = question.settings.query
    relevance = await question.relevance()
    links, _ = await asyncio.to_thread(link_entities, question.view, relevance, settings.top_k_entities)
    starts = starts_of(links, question.text, _STARTS)
    for link in starts:
        event = {"event": "linked", "section": "Entities", "number": link.place, "how": link.how}
        question.trace.append({**event, "score": round(link.score, 4), "why": "a start of paths"})
    if not starts:
        return None, "the question names no entity of the graph"
    if len(starts) > 1:
        _connect(question, [link.place for link in starts])
    name, chosen = question.paths.planner_name(settings)
    question.trace.append({"event": "planner", "planner": name, "why": chosen})
    if name == "walks":
        return await asyncio.to_thread(_walk_texts, question, starts, relevance)
    return await follow_plan(question, starts, question.planner(name))


async def follow_plan(
    question: Question, starts: list[Link], planner: Planner, *, width: int | None = None
) -> tuple[Grounded | None, str]:
    """Plan from each start and walk exactly the plan that scores best, if its planner trusts it.

    ``width`` holds a stepwise planner to so many partial paths after each step.
    """
    settings = question.settings.query
    narrow = {} if width is None else {"width": width}
    index_graph = question.paths.graph
    graph = index_graph.graph
    best: tuple[Plan, PathTrie, str] | None = None
    reasons = []
    for link in starts:
        start = graph.names[link.place]
        trie = PathTrie(graph, [link.place], budget=Budget(max_nodes=settings.max_path_nodes))
        spelled = masked(question.text, link.matched)
        if spelled == question.text:
            spelled = masked(question.text, start)
        asked = PlanFor(question.text, spelled)
        planning = await planner.plan(
            asked, trie, max_hops=settings.max_hops, k=settings.top_k_paths, **narrow
        )
        for plan in planning.plans:
            steps = list(graph.path_names(plan.path))
            event = {"event": "plan", "start": start, "path": steps, "score": round(plan.score, 4)}
            question.trace.append({**event, "trusted": planning.trusted, "why": planning.why})
        if width is not None:
            looked = {"event": "explored", "start": start, "nodes": len(trie.visited)}
            question.trace.append({**looked, "paths": planning.considered, "calls": 0})
        if not planning.trusted:
            reasons.append(f"{start}: {planning.why}")
        elif best is None or planning.plans[0].score > best[0].score:
            best = (planning.plans[0], trie, planning.why)
    if best is None:
        return None, "; ".join(reasons)
    plan, trie, why = best
    ranked = await asyncio.to_thread(trie.ranked_ends, plan.path)
    shown = await asyncio.to_thread(trie.walks, plan.path, ends=np.sort(ranked[:_WALKS]))
    by_end = {walk.end: (walk, plan.path) for walk in shown}
    walks = tuple(by_end[node] for node in ranked[:_WALKS].tolist() if node in by_end)
    if trie.cuts:
        cut = f"a step reached more than {settings.max_path_nodes} nodes; the best were kept"
        question.trace.append({"event": "cut", "section": "Paths", "number": trie.cuts, "why": cut})
    return Grounded(index_graph, walks, tuple(ranked.tolist()), why), why


def _walk_texts(question: Question, starts: list[Link], relevance: Relevance) -> tuple[Grounded | None, str]:
    """Walk by the sentences of an index made of texts; the ends of the best walks are the answers."""
    index_graph = question.paths.graph_with_texts
    hops = min(question.settings.query.max_hops, _TEXT_HOPS)
    places = [link.place for link in starts]
    found = text_walks(question.view, index_graph, places, relevance, hops=hops)
    for one in found[: question.settings.query.top_k_paths]:
        start = index_graph.graph.names[one.walk.nodes[0]]
        steps = list(index_graph.graph.path_names(one.path))
        event = {"event": "plan", "start": start, "path": steps, "score": round(one.score, 4)}
        question.trace.append({**event, "trusted": one.weakest >= LEAST_COSINE, "why": "; ".join(one.texts)})
    if not found:
        return None, "no walk leads away from what the question names"
    if found[0].weakest < LEAST_COSINE:
        best = f"{found[0].weakest:.2f} to the question (at least {LEAST_COSINE} is wanted)"
        return None, f"the words of the best walk have cosine {best}"
    walks = tuple((one.walk, one.path) for one in found[:_WALKS])
    ends = tuple(dict.fromkeys(walk.end for walk, _ in walks))
    return Grounded(index_graph, walks, ends, "its sentences are the nearest to the question"), ""


def _connect(question: Question, starts: list[int]) -> None:
    """Note the strongest paths between the linked entities: what connects them, for open questions."""
    index_graph = question.paths.graph
    for found in flow_paths(index_graph.graph, starts, max_hops=question.settings.query.max_hops):
        spoken = index_graph.spoken(found.walk, found.path)
        question.trace.append({"event": "connection", "path": spoken, "score": round(found.score, 6)})
        question.connections.append(found.walk)


async def use_walks(question: Question, grounded: Grounded) -> None:
    """Put the steps of the walks, and the text units that state them, into the context."""
    graph = grounded.graph
    edges = [edge for walk, _ in grounded.walks for edge in walk.edges]
    edges += [edge for walk in question.connections for edge in walk.edges]
    references = list(dict.fromkeys(graph.reference(edge) for edge in edges))
    rows = [number for section, number in references if section == "Relationships"]
    places = np.array(rows, dtype=np.int64)
    units, _ = question.view.units_of_relationships.of_many(places)
    passed = [number for section, number in references if section == "Sources"]
    chosen = np.array(list(dict.fromkeys([*passed, *units.tolist()])), dtype=np.int64)
    index = question.view.index
    sections: list[Section] = [
        relationships_section(index, places, np.linspace(1, 0, len(places))),
        sources_section(index, chosen, np.linspace(1, 0, len(chosen))),
    ]
    wanted = question.settings.query.max_context_tokens
    if question.mode == "llm":
        wanted = context_limit(question.settings, wanted, question.text)
    context = await asyncio.to_thread(build_context, sections, wanted)
    question.use(context)
    for walk, path in grounded.walks:
        note_walk(question, graph, walk, path, grounded.why)


def note_walk(question: Question, graph: IndexGraph, walk: Walk, path: RelationPath, why: str) -> None:
    """Put a walk that answers into the trace: its end, its words, and what stands behind each step."""
    event = {"event": "path", "answer": graph.graph.names[walk.end], "path": graph.spoken(walk, path)}
    steps = [_step(question, graph, edge) for edge in walk.edges]
    question.trace.append({**event, "steps": steps, "why": why})


def _step(question: Question, graph: IndexGraph, edge: int) -> dict[str, object]:
    section, number = graph.reference(edge)
    if section == "Sources":
        return {"relationship": None, "text_units": [number]}
    if section == "Claims":
        unit = int(question.view.unit_of_claims[number])
        return {"relationship": None, "claim": number, "text_units": [unit] if unit >= 0 else []}
    units = question.view.units_of_relationships.of(number).tolist()
    return {"relationship": number, "text_units": units}


def direct_answer(grounded: Grounded) -> str:
    """Return the end nodes as an answer, and the walks that lead to them with their citations."""
    names = list(dict.fromkeys(grounded.graph.graph.names[node] for node in grounded.answers))
    shown = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        shown += f" and {len(names) - _SHOWN} more"
    lines = [f"{shown}."]
    for walk, path in grounded.walks[:_SHOWN]:
        cited = list(dict.fromkeys(grounded.graph.reference(edge) for edge in walk.edges))
        lines.append(f"- {grounded.graph.spoken(walk, path)} {format_citations(cited)}")
    return "\n".join(lines)


async def _fall_back(question: Question, why: str) -> AsyncIterator[str]:
    notice = f"No relation path answers this ({why}). What the neighbourhood says:\n\n"
    yield notice
    async for piece in answer_local(question):
        yield piece
    if question.answered:
        question.answer = notice + question.answer
