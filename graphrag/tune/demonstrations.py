"""In-context learning: nothing is trained, the most similar solved examples are shown before a question.

Brown et al. 2020, Language Models are Few-Shot Learners, arXiv 2005.14165; chosen by similarity as in
Liu et al. 2022, What Makes Good In-Context Examples for GPT-3?, arXiv 2101.06804.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphrag.embed import Embedder
from graphrag.errors import ConfigError
from graphrag.tune.examples import Pair, Prompt, read_pairs

if TYPE_CHECKING:
    from graphrag.embed import Vectors

FILE = "demonstrations.jsonl"
_SETTINGS = "demonstrations.json"

Turns = list[tuple[str, str]]


def turns_of(prompt: Prompt) -> Turns:
    """Return a prompt as (role, content) turns."""
    return [("user", prompt)] if isinstance(prompt, str) else list(prompt)


class Demonstrations:
    """Solved examples, and the choice of ``shown`` of them for a question.

    Compared are the last turns; examples whose turns before that are the question's own (for extraction:
    its schema) go first. The most similar one stands last, next to the question.
    """

    def __init__(self, pairs: Sequence[Pair], shown: int, embedder: Embedder) -> None:
        self.pairs = list(pairs)
        self.shown = shown
        self._embedder = embedder
        self._vectors: Vectors | None = None

    def before(self, prompt: Prompt) -> Turns:
        """Return the turns of ``prompt`` with the demonstrations before the last; costs one embedding."""
        *leading, question = turns_of(prompt)
        turns = list(leading)
        for example, completion in self.similar(prompt):
            turns += [("user", turns_of(example)[-1][1]), ("assistant", completion)]
        return [*turns, question]

    def similar(self, prompt: Prompt) -> list[Pair]:
        """Return the ``shown`` examples most similar to ``prompt``, the most similar last."""
        *leading, question = turns_of(prompt)
        if self._vectors is None:
            self._vectors = self._embedder.embed([turns_of(pair[0])[-1][1] for pair in self.pairs])
        scores = self._vectors @ self._embedder.embed([question[1]])[0]
        order = sorted(
            range(len(self.pairs)),
            key=lambda at: (turns_of(self.pairs[at][0])[:-1] != leading, -float(scores[at]), at),
        )
        return [self.pairs[at] for at in reversed(order[: self.shown])]

    def for_text(self, system: str, text: str) -> list[tuple[str, str]]:
        """Return (text, answer) of the examples to show before ``text`` under the system turn ``system``."""
        chosen = self.similar([("system", system), ("user", text)])
        return [(turns_of(prompt)[-1][1], completion) for prompt, completion in chosen]

    def save(self, folder: Path) -> None:
        """Write the examples as JSON lines, and how many are shown."""
        lines = []
        for prompt, completion in self.pairs:
            turns = [{"role": role, "content": content} for role, content in turns_of(prompt)]
            lines.append(json.dumps({"prompt": turns, "completion": completion}, ensure_ascii=False) + "\n")
        (folder / FILE).write_text("".join(lines), encoding="utf-8")
        (folder / _SETTINGS).write_text(json.dumps({"shown": self.shown}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, embedder: Embedder) -> Demonstrations:
        """Read what :meth:`save` wrote.

        Raises:
            ConfigError: the folder holds no demonstrations.
        """
        if not (folder / FILE).is_file() or not (folder / _SETTINGS).is_file():
            raise ConfigError(
                f"{folder} holds no demonstrations (no {FILE}).",
                hint="Make them with: graphrag tune extractor --method in-context",
            )
        shown = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))["shown"]
        return cls(read_pairs(folder / FILE), int(shown), embedder)
