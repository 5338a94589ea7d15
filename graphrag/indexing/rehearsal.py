"""A chat model and an embedder for the estimate: they answer at once, cost nothing and count everything.

What was asked before is answered from the cache, as in the run itself. Of the rest the prompts are
the real ones, so their tokens are counted and not guessed; only the answers are guesses: facts by the
rules that extract without a model, reports and summaries cut from their own prompts to the length
that this model's earlier answers had, or to that of a usual answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any

from pydantic import BaseModel

from graphrag.embed.base import Vectors
from graphrag.embed.fake import FakeEmbedder
from graphrag.extract import graph, reports
from graphrag.extract.facts import ClaimFact, EntityFact, Extraction, RelationFact
from graphrag.extract.judge import SamePairs
from graphrag.extract.nlp import NlpExtractor
from graphrag.extract.nlp_relations import TENTATIVE
from graphrag.llm.base import ChatRequest, ChatResponse, Usage
from graphrag.llm.cache import StoredAnswers
from graphrag.llm.usage import prompt_tokens
from graphrag.settings import ExtractionSettings
from graphrag.tokens import approximate_tokens, truncate_to_tokens

# Of the longest answer allowed, as long as nothing is known of the model.
_ANSWER_SHARE = 0.4  # reports and summaries
_FACTS_SHARE = 0.75
_LONGEST_EMBEDDED = 120  # characters read of a text whose vector nobody compares
_FINDINGS = 5
Fact = EntityFact | RelationFact | ClaimFact
_BODY = re.compile(r"<(text|context|descriptions|pairs)>\n?(.*?)\n?</\1>", re.DOTALL)


class RehearsalModel:
    """Answers like ``model_id`` might; nothing leaves the process."""

    def __init__(
        self,
        model_id: str,
        settings: ExtractionSettings,
        stored: StoredAnswers,
        *,
        schema_in_prompt: bool = False,
    ) -> None:
        self.model_id = model_id
        self._settings = settings
        self._stored = stored
        self._schema_in_prompt = schema_in_prompt

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer from the cache, or guess."""
        known = self._stored.get(request, self.model_id)
        if known is not None:
            return known
        parsed, text = self._guess(request)
        prompt = prompt_tokens(request)
        if self._schema_in_prompt and request.output is not None:
            from graphrag.llm.structured import schema_instruction

            prompt += approximate_tokens(schema_instruction(request.output))
        usage = Usage(1, 0, prompt, min(request.max_tokens, approximate_tokens(text)))
        return ChatResponse(text=text, parsed=parsed, usage=usage)

    async def stream(self, request: ChatRequest) -> AsyncIterator[str]:
        """Yield the guess in one piece."""
        yield (await self.complete(request)).text

    def _guess(self, request: ChatRequest) -> tuple[BaseModel | None, str]:
        if request.task == "extract_graph":
            return self._facts(request)
        answers: dict[type[BaseModel], Callable[[], BaseModel]] = {
            SamePairs: lambda: SamePairs(same=[]),
            graph.EntityTypes: lambda: graph.EntityTypes(types=list(ExtractionSettings().entity_types)),
            reports.ReportAnswer: lambda: self._report(request),
        }
        if request.output in answers:
            parsed = answers[request.output]()
            return parsed, parsed.model_dump_json()
        return None, self._cut(request)

    def _facts(self, request: ChatRequest) -> tuple[BaseModel | None, str]:
        again = any(message.role == "assistant" for message in request.messages)
        if again:
            found = Extraction()  # what a gleaning adds is not guessed; its price is its prompt
        else:
            found = _likely(self._rules.extract([_body(request)])[0], self._usual(request, _FACTS_SHARE))
        if request.output is None:
            return None, _lines(found) or "NONE"
        parsed = _wire(found, claims=self._settings.claims)
        return parsed, parsed.model_dump_json()

    def _report(self, request: ChatRequest) -> reports.ReportAnswer:
        words = self._cut(request).split()
        size = max(1, len(words) // (_FINDINGS + 1))
        parts = [" ".join(words[at : at + size]) for at in range(0, len(words), size)] or ["-"]
        return reports.ReportAnswer(
            title=" ".join(words[:4]) or "-",
            summary=parts[0],
            rating=5.0,
            rating_explanation="-",
            findings=[
                reports.FindingAnswer(summary=" ".join(part.split()[:5]), explanation=part)
                for part in parts[1 : _FINDINGS + 1]
            ],
        )

    def _cut(self, request: ChatRequest) -> str:
        """Return the beginning of what the prompt shows, as long as an answer usually is."""
        return truncate_to_tokens(_body(request), self._usual(request, _ANSWER_SHARE))

    def _usual(self, request: ChatRequest, share: float) -> int:
        """Return the usual length of an answer: that of earlier ones, or a share of the longest allowed."""
        mean = self._stored.mean_completion(request.task, self.model_id)
        return int(min(request.max_tokens, mean or share * request.max_tokens))

    @cached_property
    def _rules(self) -> NlpExtractor:
        return NlpExtractor(self._settings)


class RehearsalEmbedder:
    """Vectors of spelling under the real embedder's name; counts tokens if it is ``paid`` by them."""

    def __init__(self, model_id: str, dimension: int, *, paid: bool) -> None:
        self.model_id = model_id
        self.prompt_tokens = 0
        self._paid = paid
        self._fake = FakeEmbedder(dimension)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._fake.dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit-length row per text, from its beginning."""
        if self._paid:
            self.prompt_tokens += sum(map(approximate_tokens, texts))
        return self._fake.embed([text[:_LONGEST_EMBEDDED] for text in texts])


def _body(request: ChatRequest) -> str:
    """Return what a prompt is about: its longest marked part, or all of the first user turn."""
    turn = next(message.content for message in request.messages if message.role == "user")
    return max((match.group(2) for match in _BODY.finditer(turn)), key=len, default=turn)


def _likely(found: Extraction, room: int) -> Extraction:
    """Return what a language model would report of all that rules find: named things, and stated relations.

    Pairs that merely stand together are left out, then the pairs of the least connected names, and
    names without a relation, until the answer is ``room`` tokens long.
    """
    named = {entity.name: entity for entity in found.entities if not entity.name.islower()}
    stated = [
        fact
        for fact in found.relations
        if fact.predicate != TENTATIVE and fact.head in named and fact.tail in named
    ]
    degree = Counter(end for fact in stated for end in (fact.head, fact.tail))
    stated.sort(key=lambda fact: -degree[fact.head] - degree[fact.tail])
    claims = [fact for fact in found.claims if fact.subject in named]
    facts: list[Fact] = [fact for both in zip_longest(stated, claims) for fact in both if fact is not None]
    kept: dict[Fact, None] = {}
    for fact in (*facts, *named.values()):
        new = [one for one in (*(named[end] for end in _ends(fact)), fact) if one not in kept]
        room -= sum(map(_tokens, new))
        if room < 0:
            break
        kept.update(dict.fromkeys(new))
    return Extraction(
        tuple(fact for fact in kept if isinstance(fact, EntityFact)),
        tuple(fact for fact in kept if isinstance(fact, RelationFact)),
        tuple(fact for fact in kept if isinstance(fact, ClaimFact)),
    )


def _ends(fact: Fact) -> tuple[str, ...]:
    if isinstance(fact, RelationFact):
        return tuple(dict.fromkeys((fact.head, fact.tail)))
    return (fact.subject,) if isinstance(fact, ClaimFact) else ()


def _tokens(fact: Fact) -> int:
    if isinstance(fact, EntityFact):
        alone = Extraction(entities=(fact,))
    else:
        alone = (
            Extraction(relations=(fact,)) if isinstance(fact, RelationFact) else Extraction(claims=(fact,))
        )
    return approximate_tokens(_wire(alone, claims=bool(alone.claims)).model_dump_json())


def _wire(found: Extraction, *, claims: bool) -> BaseModel:
    values: dict[str, Any] = {
        "entities": [
            graph.ExtractedEntity(name=e.name, type=e.type, description=e.description or "")
            for e in found.entities
        ],
        "relationships": [
            graph.ExtractedRelationship(
                source=r.head,
                target=r.tail,
                predicate=r.predicate,
                description=r.description or "",
                strength=r.strength,
            )
            for r in found.relations
        ],
    }
    if not claims:
        return graph.ExtractedGraph(**values)
    values["claims"] = [
        graph.ExtractedClaim(
            subject=c.subject,
            object=c.object or "NONE",
            type=c.type,
            status=c.status,
            start_date=c.start_date or "NONE",
            end_date=c.end_date or "NONE",
            description=c.description or "",
            source_text=c.source_text or "",
        )
        for c in found.claims
    ]
    return graph.ExtractedGraphWithClaims(**values)


def _lines(found: Extraction) -> str:
    def line(*fields: object) -> str:
        return "|".join(" ".join(str(field or "NONE").replace("|", "/").split()) for field in fields)

    return "\n".join(
        [
            *(line("E", e.name, e.type, e.description) for e in found.entities),
            *(
                line("R", r.head, r.predicate, r.tail, round(r.strength), r.description)
                for r in found.relations
            ),
            *(
                line(
                    "C",
                    c.subject,
                    c.object,
                    c.type,
                    c.status,
                    c.start_date,
                    c.end_date,
                    c.source_text,
                    c.description,
                )
                for c in found.claims
            ),
        ]
    )
