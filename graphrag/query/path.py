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
from graphrag.query.linking import Link, link_entities
from graphrag.query.local import answer_local
from graphrag.query.path_graph import IndexGraph
from graphrag.query.planning.base import Plan, PlanFor, Planning, masked
from graphrag.query.question import Question
from graphrag.query.sections import relationships_section, sources_section

_STARTS = 3  # linked entities that are planned from
_SURELY = ("name", "spelling", "part of name")
_LEAST_SURE = 0.6  # a path leads from what the question names, not from what it resembles
_SHOWN = 12  # answers written out
_WALKS = 30  # grounded walks whose steps join the context


@dataclass(frozen=True, slots=True)
class Grounded:
    """The best plan of a question: where it starts, its walks (the best first) and its answers."""

    start: Link
    name: str
    planning: Planning
    plan: Plan
    walks: tuple[Walk, ...]
    answers: tuple[int, ...]
    cuts: int


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
    index_graph = question.paths.graph
    await _use(question, index_graph, grounded)
    if question.mode == "extractive":
        question.answer = _direct(index_graph, grounded)
        yield question.answer
        return
    spoken = "\n".join(
        f"{place}. {index_graph.spoken(walk, grounded.plan.path)}"
        for place, walk in enumerate(grounded.walks[:_WALKS], start=1)
    )
    request = question.writer.request("path_answer", question.text, f"{spoken}\n\n{question.context_text}")
    async for piece in question.write("answer", request):
        yield piece


async def plan_and_ground(question: Question) -> tuple[Grounded | None, str]:
    """Link, plan and ground a question; return the best walkable plan, or None and why there is none."""
    settings = question.settings.query
    relevance = await question.relevance()
    links, _ = await asyncio.to_thread(link_entities, question.view, relevance, settings.top_k_entities)
    starts = [link for link in links if link.how in _SURELY and link.score >= _LEAST_SURE][:_STARTS]
    for link in starts:
        event = {"event": "linked", "section": "Entities", "number": link.place, "how": link.how}
        question.trace.append({**event, "score": round(link.score, 4), "why": "a start of paths"})
    if not starts:
        return None, "the question names no entity of the graph"
    if len(starts) > 1:
        _connect(question, [link.place for link in starts])
    planner, chosen = question.paths.planner(settings, question.chat_model, question.account)
    question.trace.append({"event": "planner", "planner": planner.name, "why": chosen})
    graph = question.paths.graph.graph
    best: Grounded | None = None
    reasons = []
    for link in starts:
        name = graph.names[link.place]
        trie = PathTrie(graph, [link.place], budget=Budget(max_nodes=settings.max_path_nodes))
        spelled = masked(question.text, link.matched)
        if spelled == question.text:
            spelled = masked(question.text, name)
        asked = PlanFor(question.text, spelled)
        planning = await planner.plan(asked, trie, max_hops=settings.max_hops, k=settings.top_k_paths)
        for plan in planning.plans:
            steps = list(graph.path_names(plan.path))
            event = {"event": "plan", "start": name, "path": steps, "score": round(plan.score, 4)}
            question.trace.append({**event, "trusted": planning.trusted, "why": planning.why})
        if not planning.trusted:
            reasons.append(f"{name}: {planning.why}")
            continue
        if best is None or planning.plans[0].score > best.plan.score:
            best = await asyncio.to_thread(_ground, trie, link, name, planning)
    if best is None:
        return None, "; ".join(reasons)
    if best.cuts:
        why = f"a step reached more than {settings.max_path_nodes} nodes; the best were kept"
        question.trace.append({"event": "cut", "section": "Paths", "number": best.cuts, "why": why})
    return best, best.planning.why


def _ground(trie: PathTrie, link: Link, name: str, planning: Planning) -> Grounded:
    plan = planning.plans[0]
    ranked = trie.ranked_ends(plan.path)
    by_end = {walk.end: walk for walk in trie.walks(plan.path, ends=np.sort(ranked[:_WALKS]))}
    walks = tuple(by_end[int(node)] for node in ranked[:_WALKS] if int(node) in by_end)
    return Grounded(link, name, planning, plan, walks, tuple(ranked.tolist()), trie.cuts)


def _connect(question: Question, starts: list[int]) -> None:
    """Note the strongest paths between the linked entities: what connects them, for open questions."""
    index_graph = question.paths.graph
    for found in flow_paths(index_graph.graph, starts, max_hops=question.settings.query.max_hops):
        spoken = index_graph.spoken(found.walk, found.path)
        question.trace.append({"event": "connection", "path": spoken, "score": round(found.score, 6)})
        question.connections.append(found.walk)


async def _use(question: Question, index_graph: IndexGraph, grounded: Grounded) -> None:
    """Put the steps of the walks, and the text units that state them, into the context."""
    walks = [*grounded.walks, *question.connections]
    rows = list(dict.fromkeys(index_graph.reference(edge)[1] for walk in walks for edge in walk.edges))
    places = np.array(rows, dtype=np.int64)
    units, _ = question.view.units_of_relationships.of_many(places)
    chosen = np.array(list(dict.fromkeys(units.tolist())), dtype=np.int64)
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
    for walk in grounded.walks:
        event = {"event": "path", "answer": index_graph.graph.names[walk.end]}
        steps = [_step(question, index_graph, edge) for edge in walk.edges]
        spoken = index_graph.spoken(walk, grounded.plan.path)
        question.trace.append({**event, "path": spoken, "steps": steps, "why": grounded.planning.why})


def _step(question: Question, index_graph: IndexGraph, edge: int) -> dict[str, object]:
    _, number = index_graph.reference(edge)
    units = question.view.units_of_relationships.of(number).tolist()
    return {"relationship": number, "text_units": units}


def _direct(index_graph: IndexGraph, grounded: Grounded) -> str:
    names = [index_graph.graph.names[node] for node in grounded.answers]
    shown = ", ".join(names[:_SHOWN])
    if len(names) > _SHOWN:
        shown += f" and {len(names) - _SHOWN} more"
    lines = [f"{shown}."]
    for walk in grounded.walks[:_SHOWN]:
        cited = [index_graph.reference(edge) for edge in walk.edges]
        lines.append(f"{_spoken(index_graph, walk, grounded.plan.path)} {format_citations(cited)}")
    return "\n".join(lines)


def _spoken(index_graph: IndexGraph, walk: Walk, path: RelationPath) -> str:
    return f"- {index_graph.spoken(walk, path)}"


async def _fall_back(question: Question, why: str) -> AsyncIterator[str]:
    notice = f"No relation path answers this ({why}). What the neighbourhood says:\n\n"
    yield notice
    async for piece in answer_local(question):
        yield piece
    if question.answered:
        question.answer = notice + question.answer
