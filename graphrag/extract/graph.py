"""Extraction by a language model: entities, relationships and claims of a text unit in one call.

Two wire formats, chosen by measurement (``docs/experiments.md``): ``json`` under a schema for
endpoints, ``lines`` (one compact line per fact) for small local models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from pydantic import BaseModel

from graphrag.errors import StructuredOutputError
from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.grounding import ground
from graphrag.extract.lines import is_usable, line_grammar, optional, parse_lines
from graphrag.llm.base import ChatModel, ChatRequest, ChatResponse, Message, forget
from graphrag.llm.prompts import render
from graphrag.settings import ExtractionSettings


class ExtractedEntity(BaseModel):
    """An entity on the wire."""

    name: str
    type: str
    description: str


class ExtractedRelationship(BaseModel):
    """A relationship on the wire."""

    source: str
    target: str
    predicate: str
    description: str
    strength: float


class ExtractedClaim(BaseModel):
    """A claim on the wire."""

    subject: str
    object: str
    type: str
    status: Literal["TRUE", "FALSE", "SUSPECTED"]
    start_date: str
    end_date: str
    description: str
    source_text: str


class ExtractedGraph(BaseModel):
    """An answer in the ``json`` format, without claims."""

    entities: list[ExtractedEntity]
    relationships: list[ExtractedRelationship]


class ExtractedGraphWithClaims(ExtractedGraph):
    """An answer in the ``json`` format."""

    claims: list[ExtractedClaim]


class EntityTypes(BaseModel):
    """Kinds of entities found in a corpus."""

    types: list[str]


@dataclass(frozen=True, slots=True)
class LlmExtractor:
    """Asks ``model`` for the facts of a text. ``format`` is ``json`` or ``lines``."""

    model: ChatModel
    settings: ExtractionSettings
    format: Literal["json", "lines"]
    entity_types: tuple[str, ...]
    project: Path | None = None

    async def extract(self, text: str) -> Extraction:
        """Return the facts of ``text``: one call, one more if the answer cannot be used, plus gleanings.

        Raises:
            LLMError: the model did not answer.
            StructuredOutputError: its answer could not be used, twice.
        """
        request = self._request(text)
        response = await self._ask(request)
        found = self._parse(response)
        for _ in range(self.settings.max_gleanings):
            _, more = render("extract_more", self.project, claims=self.settings.claims)
            request = replace(
                request,
                messages=(*request.messages, Message("assistant", response.text), Message("user", more)),
            )
            response = await self._ask(request)
            extra = self._parse(response)
            if extra.is_empty:
                break
            found = Extraction(
                found.entities + extra.entities,
                found.relations + extra.relations,
                found.claims + extra.claims,
            )
        return ground(text, found)

    def _request(self, text: str) -> ChatRequest:
        prompt = "extract_graph" if self.format == "json" else "extract_graph_lines"
        system, user = render(
            prompt, self.project, text=text, entity_types=self.entity_types, claims=self.settings.claims
        )
        if self.format == "lines":
            grammar = line_grammar(text, self.entity_types, claims=self.settings.claims)
            return ChatRequest.of(
                system, user, task="extract_graph", grammar=grammar, max_tokens=self.settings.max_tokens
            )
        schema = ExtractedGraphWithClaims if self.settings.claims else ExtractedGraph
        return ChatRequest.of(
            system, user, task="extract_graph", output=schema, max_tokens=self.settings.max_tokens
        )

    async def _ask(self, request: ChatRequest) -> ChatResponse:
        """Ask; an answer in lines that holds no usable line is asked for once more.

        For ``json`` the backend itself has one repair turn.
        """
        response = await self.model.complete(request)
        if self.format == "json" or is_usable(response.text):
            return response
        again = replace(
            request,
            messages=(
                *request.messages,
                Message("assistant", response.text),
                Message(
                    "user",
                    "That answer has no line of the required form. Answer with such lines only, or NONE.",
                ),
            ),
        )
        response = await self.model.complete(again)
        if not is_usable(response.text):
            await forget(self.model, request)
            await forget(self.model, again)
            raise StructuredOutputError(
                f"No line of the answer has the required form; it begins {response.text[:80]!r}.",
                text=response.text,
            )
        return response

    def _parse(self, response: ChatResponse) -> Extraction:
        if self.format == "lines":
            return parse_lines(response.text)
        return from_json(cast(ExtractedGraph, response.parsed))


def from_json(graph: ExtractedGraph) -> Extraction:
    """Turn a ``json`` answer into facts."""
    claims = graph.claims if isinstance(graph, ExtractedGraphWithClaims) else []
    return Extraction(
        tuple(EntityFact(e.name, e.type, e.description) for e in graph.entities),
        tuple(
            RelationFact(r.source, r.predicate, r.target, r.description, r.strength)
            for r in graph.relationships
        ),
        tuple(
            ClaimFact(
                c.subject,
                optional(c.object),
                c.type,
                c.status,
                c.description,
                c.source_text,
                optional(c.start_date),
                optional(c.end_date),
            )
            for c in claims
        ),
    )


async def discover_entity_types(
    model: ChatModel, texts: list[str], project: Path | None = None
) -> tuple[str, ...]:
    """Ask for the entity types that matter in a sample of ``texts`` (one call); sorted, lower case."""
    system, user = render("discover_entity_types", project, text="\n\n".join(texts))
    response = await model.complete(
        ChatRequest.of(system, user, task="discover_entity_types", output=EntityTypes, max_tokens=300)
    )
    found = cast(EntityTypes, response.parsed).types
    return tuple(sorted({name.strip().lower() for name in found if name.strip()}))
