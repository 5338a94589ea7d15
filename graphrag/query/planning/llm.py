"""A planner that asks any language model to choose among grounded paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from graphrag.errors import StructuredOutputError
from graphrag.graph.paths import PathTrie
from graphrag.llm.base import ChatModel, ChatRequest
from graphrag.llm.prompts import render
from graphrag.query.planning.base import Plan, PlanFor, Planner, Planning

if TYPE_CHECKING:
    from graphrag.query.answer import Account

_OFFERED = 20
_ANSWER_TOKENS = 64


class ChosenPaths(BaseModel):
    """The model's answer: numbers of paths, best first; none when none of them answers."""

    # Bounds for whoever decodes under the schema; an answer that does not keep to them is taken all the same.
    paths: list[Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": _OFFERED})]] = Field(
        description="Numbers of the paths, the best first; empty if none answers.",
        json_schema_extra={"maxItems": 3},
    )


class LLMPlanner:
    """Offers the 20 best paths of another planner to a language model. One LLM call a question.

    The model chooses by number, so it cannot name a path that does not exist; a number that was not
    offered is passed over. No number, or no valid answer, means no trust: the caller may abstain.
    """

    name = "llm"

    def __init__(
        self,
        chat_model: ChatModel,
        shortlist: Planner,
        *,
        root: Path | None = None,
        account: Account | None = None,
    ) -> None:
        self._model = chat_model
        self._shortlist = shortlist
        self._root = root
        self._account = account

    async def plan(self, asked: PlanFor, trie: PathTrie, *, max_hops: int, k: int) -> Planning:
        """Return the chosen paths first, then the others of the shortlist in its order."""
        offered = await self._shortlist.plan(asked, trie, max_hops=max_hops, k=_OFFERED)
        if not offered.plans:
            return offered
        paths = [" → ".join(trie.graph.path_names(plan.path)) for plan in offered.plans]
        system, user = render("plan_paths", self._root, question=asked.question, paths=paths)
        request = ChatRequest.of(
            system, user, task="plan_paths", output=ChosenPaths, max_tokens=_ANSWER_TOKENS
        )
        try:
            response = await self._model.complete(request)
        except StructuredOutputError as error:
            return Planning(
                offered.plans[:k], False, f"the model gave no choice: {error}", offered.considered
            )
        if self._account is not None:
            self._account.add("plan", self._model.model_id, response)
        assert isinstance(response.parsed, ChosenPaths)
        numbers = [n for n in dict.fromkeys(response.parsed.paths) if 1 <= n <= len(paths)]
        if not numbers:
            why = f"the model chose none of {len(paths)} paths"
            return Planning(offered.plans[:k], False, why, offered.considered)
        chosen = [offered.plans[n - 1] for n in numbers]
        rest = [plan for plan in offered.plans if plan not in chosen]
        plans = tuple(Plan(plan.path, float(-place)) for place, plan in enumerate([*chosen, *rest][:k]))
        return Planning(
            plans, True, f"the model chose {numbers[0]} of {len(paths)} paths", offered.considered
        )
