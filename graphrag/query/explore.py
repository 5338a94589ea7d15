"""The chain of explorations: an agent walks the graph step by step, and may say that it does not know.

After KG-RAG (Sanmartin 2024, arXiv 2405.12035, whose code was never published): plan the steps
(perception), look up neighbours and rank them by embedding (action), filter and judge (the model), keep
what was seen (memory); continue, refine the plan, answer, or abstain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from graphrag.embed.base import Vectors
from graphrag.errors import StructuredOutputError
from graphrag.extract.citations import format_citations
from graphrag.graph.paths import Walk
from graphrag.llm.base import ChatRequest
from graphrag.llm.prompts import render
from graphrag.query.citations import CitationResolver
from graphrag.query.context import Section, build_context
from graphrag.query.extractive import candidates_of_units, least_similarity
from graphrag.query.linking import Link, link_entities, starts_of
from graphrag.query.path import direct_answer, follow_plan, note_walk, use_walks
from graphrag.query.path_graph import IndexGraph
from graphrag.query.planning.base import EXPLORED_WIDTH, StepwisePlanner
from graphrag.query.question import Question, one_block
from graphrag.query.relevance import Relevance
from graphrag.query.result import NO_ANSWER
from graphrag.query.sections import claims_section, relationships_section, sources_section

_STARTS = 4
_LOOKED_AT = 400  # edges at the frontier that are put in words and ranked, the heaviest first
_OFFERED = 20  # facts that the model sees per exploration
_KEPT = 5
_STEPS = 4  # look-ups that the model may plan
_LEAST_FACT = 0.3  # cosine of the best fact to the question under which nothing was found
_ANSWER_TOKENS = 200


# Bounds for whoever decodes under the schema: a small model does not end a list by itself. An answer that
# does not keep to them is taken all the same.
_Number = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": _OFFERED})]
_Phrase = Annotated[str, Field(json_schema_extra={"pattern": "^[^\\n]{0,120}$"})]


class ExplorePlan(BaseModel):
    """Ordered look-ups, each a short phrase."""

    steps: list[_Phrase] = Field(
        description="At most four short look-ups, in order.", json_schema_extra={"maxItems": _STEPS}
    )


class ExploreDecision(BaseModel):
    """What to keep of the facts, and what to do next."""

    keep: list[_Number] = Field(
        description="Numbers of the facts that help.", json_schema_extra={"maxItems": 2 * _KEPT}
    )
    decision: Literal["continue", "refine", "answer", "abstain"]
    answers: list[_Number] = Field(
        description="Numbers of the facts whose last entity answers the question.",
        json_schema_extra={"maxItems": _OFFERED},
    )
    next: _Phrase = Field(description="refine: what to look for instead; else empty.")


@dataclass(slots=True)
class _Memory:
    """What the agent has seen: how each node was reached, which edges were kept, what was spent."""

    came_by: dict[int, Walk]
    steps_by: dict[int, tuple[int, ...]]
    frontier: list[int]
    kept: list[int] = field(default_factory=list)
    calls: int = 0
    tokens: int = 0
    looked_up: int = 0


@dataclass(frozen=True, slots=True)
class _Fact:
    """An edge at the frontier, oriented away from where the agent stands."""

    source: int
    step: int
    target: int
    edge: int
    text: str


async def answer_explore(question: Question) -> AsyncIterator[str]:
    """Answer by exploring, or abstain.

    Bounded by ``explore_hops``, ``explore_calls`` and ``explore_tokens``: what is exhausted ends the
    exploration and is named in the trace. An answer is made of entities that were visited, each
    with the walk that led to it. Without a language model a stepwise planner that knows the graph's
    relations decides which steps to follow, when to stop, and when to abstain; without such a
    planner, facts are ranked by vectors and sentences of the text units behind them are quoted.
    """
    index_graph = question.paths.graph_with_claims
    relevance = await question.relevance()
    found, _ = await asyncio.to_thread(
        link_entities, question.view, relevance, question.settings.query.top_k_entities
    )
    links = starts_of(found, question.text, _STARTS) or found[:1]
    starts = [link.place for link in links]
    memory = _Memory({node: Walk((node,), ()) for node in starts}, dict.fromkeys(starts, ()), list(starts))
    for link in links:
        event = {"event": "linked", "section": "Entities", "number": link.place, "how": link.how}
        question.trace.append({**event, "score": round(link.score, 4), "why": "exploration starts here"})
    if not starts:
        yield _abstain(question, "the question names no entity of the graph")
        return
    if question.mode == "extractive":
        planner, why = _policy(question)
        if planner is not None:
            question.trace.append({"event": "planner", "planner": planner.name, "why": why})
            yield await _by_planner(question, planner, links)
            return
        async for piece in _by_vectors(question, index_graph, memory, relevance):
            yield piece
        return
    answers, why = await _by_model(question, index_graph, memory)
    await _use(question, index_graph, memory)
    if not answers:
        yield _abstain(question, why)
        return
    names = ", ".join(dict.fromkeys(index_graph.graph.names[node] for node in answers))
    lines = [f"{names}."]
    for node in answers:
        walk = memory.came_by[node]
        note_walk(question, index_graph, walk, memory.steps_by[node], why)
        cited = [index_graph.reference(edge) for edge in walk.edges]
        lines.append(f"- {index_graph.spoken(walk, memory.steps_by[node])} {format_citations(cited)}")
    question.answer = "\n".join(lines)
    yield question.answer


def _policy(question: Question) -> tuple[StepwisePlanner | None, str]:
    name, why = question.paths.planner_name(question.settings.query)
    if name != "tuned":
        return None, why
    planner = question.planner(name)
    return (planner if isinstance(planner, StepwisePlanner) else None), why


async def _by_planner(question: Question, planner: StepwisePlanner, links: list[Link]) -> str:
    grounded, why = await follow_plan(question, links, planner, width=EXPLORED_WIDTH)
    if grounded is None:
        return _abstain(question, why)
    await use_walks(question, grounded)
    question.answer = direct_answer(grounded)
    return question.answer


async def _by_model(question: Question, index_graph: IndexGraph, memory: _Memory) -> tuple[list[int], str]:
    """Explore under the model's decisions; return the nodes that answer, or none and why."""
    settings = question.settings.query
    planned = await _ask(question, memory, "explore_plan", ExplorePlan)
    steps = (
        [step for step in planned.steps if step.strip()][:_STEPS] if isinstance(planned, ExplorePlan) else []
    )
    steps = steps or [question.text]
    question.trace.append({"event": "explore_plan", "steps": list(steps), "why": "the model planned it"})
    for hop in range(settings.explore_hops):
        task = steps[min(hop, len(steps) - 1)]
        facts = await asyncio.to_thread(_look_up, question, index_graph, memory, task)
        if not facts:
            return [], "there is nothing new around what was visited"
        if memory.calls >= settings.explore_calls or memory.tokens >= settings.explore_tokens:
            return [], f"the budget is spent: {memory.calls} calls, {memory.tokens} tokens"
        decision = await _ask(
            question,
            memory,
            "explore_step",
            ExploreDecision,
            task=task,
            facts=[fact.text for fact in facts],
            known=[_fact_text(index_graph, edge) for edge in memory.kept],
        )
        if not isinstance(decision, ExploreDecision):
            return [], "the model gave no valid decision"
        chosen = _remember(memory, facts, [*decision.keep, *decision.answers])
        event = {"event": "explore", "hop": hop + 1, "task": task, "decision": decision.decision}
        question.trace.append({**event, "offered": len(facts), "kept": [fact.text for fact in chosen]})
        if decision.decision == "answer":
            answers = [facts[n - 1].target for n in decision.answers if 1 <= n <= len(facts)]
            if answers:
                return list(dict.fromkeys(answers)), "the model answered"
            return [], "the model named no fact that answers"
        if decision.decision == "abstain":
            return [], "the model found that the graph does not tell"
        if decision.decision == "refine" and decision.next.strip():
            steps = [*steps[: hop + 1], decision.next.strip()]
        if decision.decision == "continue" and not chosen:
            return [], "no fact was worth following"
    return [], f"{settings.explore_hops} hops did not lead to an answer"


async def _by_vectors(
    question: Question, index_graph: IndexGraph, memory: _Memory, relevance: Relevance
) -> AsyncIterator[str]:
    best = 0.0
    for hop in range(question.settings.query.explore_hops):
        facts = await asyncio.to_thread(_look_up, question, index_graph, memory, question.text)
        if not facts:
            break
        scores, _ = await asyncio.to_thread(relevance.of_texts, [fact.text for fact in facts[:_KEPT]])
        best = max(best, float(scores.max()))
        _remember(memory, facts, list(range(1, _KEPT + 1)))
        event = {"event": "explore", "hop": hop + 1, "task": question.text, "decision": "continue"}
        question.trace.append({**event, "kept": [fact.text for fact in facts[:_KEPT]]})
    await _use(question, index_graph, memory)
    if best < _LEAST_FACT:
        yield _abstain(question, f"the nearest fact has cosine {best:.2f} to the question")
        return
    units = [row["id"] for row in question.context.get("Sources", ())]
    candidates = candidates_of_units(CitationResolver(question.view), units)
    names = [index_graph.graph.names[node] for node in memory.came_by if node < index_graph.n_entities]
    least = least_similarity(relevance)
    chosen = await question.quote(candidates, relevance, least=least, names=names[:_STARTS])
    async for piece in question.tell(one_block(chosen)):
        yield piece


def _look_up(question: Question, index_graph: IndexGraph, memory: _Memory, task: str) -> list[_Fact]:
    """Return the facts at the frontier that lead to something new, nearest to the task first."""
    graph = index_graph.graph
    nodes = np.array(sorted(memory.frontier), dtype=np.int64)
    which, steps, targets, edges = graph.edges_at(nodes)
    new = ~np.isin(edges, memory.kept)
    order = np.lexsort((edges, -graph.weights[edges]))
    order = order[new[order]][:_LOOKED_AT]
    memory.looked_up += len(order)
    facts = []
    for at in order.tolist():
        source, step, target = int(nodes[which[at]]), int(steps[at]), int(targets[at])
        text = index_graph.spoken(Walk((source, target), (int(edges[at]),)), (step,))
        facts.append(_Fact(source, step, target, int(edges[at]), text))
    if not facts:
        return []
    scores = _similarity(question, task, [fact.text for fact in facts])
    best = np.lexsort((np.arange(len(facts)), -np.round(scores, 6)))[:_OFFERED]
    return [facts[place] for place in best.tolist()]


def _similarity(question: Question, task: str, texts: Sequence[str]) -> Vectors:
    if question.embedder is None:
        words = set(task.casefold().split())
        return np.array([len(words & set(text.casefold().split())) for text in texts], dtype=np.float32)
    vectors = question.embedder.embed([task, *texts])
    return np.asarray(vectors[1:] @ vectors[0], dtype=np.float32)


def _remember(memory: _Memory, facts: Sequence[_Fact], numbers: Sequence[int]) -> list[_Fact]:
    chosen = [facts[n - 1] for n in dict.fromkeys(numbers) if 1 <= n <= len(facts)]
    for fact in chosen:
        before = memory.came_by[fact.source]
        if fact.target not in memory.came_by:
            memory.came_by[fact.target] = Walk((*before.nodes, fact.target), (*before.edges, fact.edge))
            memory.steps_by[fact.target] = (*memory.steps_by[fact.source], fact.step)
        memory.kept.append(fact.edge)
    if chosen:
        memory.frontier = list(dict.fromkeys(fact.target for fact in chosen))
    return chosen


def _fact_text(index_graph: IndexGraph, edge: int) -> str:
    graph = index_graph.graph
    walk = Walk((int(graph.heads[edge]), int(graph.tails[edge])), (edge,))
    return index_graph.spoken(walk, (int(graph.relations[edge]),))


async def _ask(
    question: Question, memory: _Memory, prompt: str, output: type[BaseModel], **variables: object
) -> BaseModel | None:
    system, user = render(prompt, question.root, question=question.text, **variables)
    request = ChatRequest.of(system, user, task=prompt, output=output, max_tokens=_ANSWER_TOKENS)
    memory.calls += 1
    try:
        response = await question.writer.complete("explore", request)
    except StructuredOutputError as error:
        question.trace.append({"event": "explore_failed", "why": str(error)})
        return None
    memory.tokens += response.usage.prompt_tokens + response.usage.completion_tokens
    return response.parsed


async def _use(question: Question, index_graph: IndexGraph, memory: _Memory) -> None:
    """Put what was kept, and the text units behind it, into the context."""
    cited = list(dict.fromkeys(index_graph.reference(edge) for edge in memory.kept))
    relationships = np.array([n for section, n in cited if section == "Relationships"], dtype=np.int64)
    claims = np.array([n for section, n in cited if section == "Claims"], dtype=np.int64)
    units, _ = question.view.units_of_relationships.of_many(relationships)
    index = question.view.index
    stated = [unit for unit in question.view.unit_of_claims[claims].tolist() if unit >= 0]
    places = np.array(list(dict.fromkeys([*units.tolist(), *stated])), dtype=np.int64)
    sections: list[Section] = [
        relationships_section(index, relationships, np.linspace(1, 0, len(relationships))),
        claims_section(index, claims, np.linspace(1, 0, len(claims))),
        sources_section(index, places, np.linspace(1, 0, len(places))),
    ]
    limit = question.settings.query.max_context_tokens
    question.use(await asyncio.to_thread(build_context, sections, limit))
    event = {"event": "explored", "nodes": len(memory.came_by), "edges_looked_up": memory.looked_up}
    question.trace.append({**event, "calls": memory.calls, "tokens": memory.tokens})


def _abstain(question: Question, why: str) -> str:
    question.trace.append({"event": "abstained", "why": why})
    question.answer = NO_ANSWER
    return NO_ANSWER
