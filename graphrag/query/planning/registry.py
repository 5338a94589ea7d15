"""Make the planner that a setting or an option names."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from graphrag.embed.base import Embedder, TokenEmbedder
from graphrag.errors import ConfigError
from graphrag.llm.base import ChatModel
from graphrag.query.planning.base import Planner
from graphrag.query.planning.embed import EmbedPlanner
from graphrag.query.planning.encoder import KIND as PATHS_KIND
from graphrag.query.planning.encoder import EncoderPlanner, PathEncoder
from graphrag.query.planning.files import CONFIG_FILE, read_config
from graphrag.query.planning.scorer import StepPlanner, StepScorer
from graphrag.resources import resource_root

if TYPE_CHECKING:
    from graphrag.llm.generation import Generator
    from graphrag.query.answer import Account

PLANNERS = ("embed", "tuned", "llm")


def shipped_planner() -> Path:
    """Return the folder of the planner that comes with the library."""
    return resource_root() / "data" / "adapters" / "planner"


def make_planner(
    name: str,
    embedder: Embedder | None,
    *,
    folder: Path | None = None,
    chat_model: ChatModel | None = None,
    account: Account | None = None,
    root: Path | None = None,
) -> Planner:
    """Return planner ``name``; ``folder`` holds a tuned one (the shipped one when None).

    Raises:
        ConfigError: no such planner, nothing in ``folder``, or a model that it needs is missing.
    """
    if name not in PLANNERS:
        raise ConfigError(f"There is no planner {name!r}.", hint=f"There are: {', '.join(PLANNERS)}.")
    if name == "tuned":
        return _tuned(folder or shipped_planner(), embedder)
    if embedder is None:
        raise ConfigError(
            "Planning by vectors needs an embedder, and there is none.", hint="Set `embedding`."
        )
    shortlist = EmbedPlanner(embedder)
    if name == "embed":
        return shortlist
    if chat_model is None:
        raise ConfigError("The planner 'llm' needs a language model, and there is none.", hint="Set `llm`.")
    from graphrag.query.planning.llm import LLMPlanner

    better = folder or shipped_planner()
    offers = _tuned(better, embedder) if fits(better, embedder) else shortlist
    return LLMPlanner(chat_model, offers, root=root, account=account)


def fits(folder: Path, embedder: Embedder | None) -> bool:
    """Say whether the planner in ``folder`` can be used: trained with this embedder, or with its own."""
    if not (folder / CONFIG_FILE).is_file():
        return False
    config = read_config(folder)
    if config["kind"] == PATHS_KIND:
        return True
    return isinstance(embedder, TokenEmbedder) and bool(config["encoder"] == embedder.model_id)


def known_steps(folder: Path) -> tuple[str, ...]:
    """Return the steps that the planner in ``folder`` was trained on."""
    return tuple(read_config(folder)["steps"])


def _tuned(folder: Path, embedder: Embedder | None) -> Planner:
    if (folder / CONFIG_FILE).is_file():
        if read_config(folder)["kind"] == PATHS_KIND:
            return EncoderPlanner(PathEncoder.load(folder))
        if embedder is None:
            raise ConfigError(
                "The tuned planner needs an embedder, and there is none.", hint="Set `embedding`."
            )
        return StepPlanner(StepScorer.load(folder), embedder)
    if not (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"There is no planner in {folder}: neither {CONFIG_FILE} nor adapter_config.json.",
            hint="Train one with `graphrag tune planner`, or take --planner embed.",
        )
    from graphrag.query.planning.adapter import AdapterPlanner

    return AdapterPlanner(partial(_load_adapter, folder))


def _load_adapter(folder: Path) -> Generator:
    from graphrag.llm.embedded import NAME, embedded_folder
    from graphrag.llm.generation import load_generator

    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    base = str(config.get("base_model_name_or_path") or "")
    # The embedded model is named by its folder in a cache, which differs from one machine to the next.
    is_embedded = Path(base).name.startswith(f"{NAME}-") and not Path(base).is_dir()
    return load_generator(str(embedded_folder()) if is_embedded else base, adapter=str(folder))
