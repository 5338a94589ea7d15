"""Retrievers by name, put together as the settings say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from graphrag.embed.base import Embedder
from graphrag.errors import ConfigError
from graphrag.llm import make_likelihood_model
from graphrag.retrieve.base import Retriever, Scorer
from graphrag.retrieve.bm25 import BM25Retriever
from graphrag.retrieve.dense import DenseRetriever, check_embedder
from graphrag.retrieve.graph import GraphRetriever, GraphWeights
from graphrag.retrieve.hybrid import HybridRetriever
from graphrag.retrieve.rerank import RerankRetriever
from graphrag.retrieve.scorers import CrossEncoderScorer, QueryLikelihoodScorer, SentenceScorer
from graphrag.settings import LLMSettings, RetrievalSettings
from graphrag.store.index import Index


@dataclass(frozen=True, slots=True)
class RetrieverSources:
    """What retrievers are made of: the index, the settings, the embedder, and the table to search.

    ``llm`` is the model of the reranker ``lm``. ``within`` lists the retrievers being put together,
    so that one cannot be made of itself.
    """

    index: Index
    settings: RetrievalSettings
    embedder: Embedder | None = None
    llm: LLMSettings | None = None
    kind: str = "text_units"
    within: tuple[str, ...] = ()


Maker = Callable[[RetrieverSources], Retriever]
_MAKERS: dict[str, Maker] = {}


def register_retriever(name: str, maker: Maker) -> None:
    """Make ``maker`` available as ``name`` in settings and commands; a later one replaces an earlier."""
    _MAKERS[name] = maker


def retriever_names() -> list[str]:
    """Return the names that :func:`make_retriever` knows, in the order they were registered."""
    return list(_MAKERS)


def make_retriever(name: str, sources: RetrieverSources) -> Retriever:
    """Return the retriever ``name`` over the rows of ``sources.kind``.

    Raises:
        ConfigError: no such retriever, or the settings put one inside itself.
        QueryError: the index has no vectors, or those of another embedder.
    """
    if name not in _MAKERS:
        raise ConfigError(
            f"There is no retriever {name!r}.", hint=f"There are: {', '.join(retriever_names())}."
        )
    if name in sources.within:
        chain = " of ".join((*sources.within, name))
        raise ConfigError(
            f"The settings make the retriever {chain}.",
            hint="retrieval.hybrid_of and retrieval.rerank_of must end in bm25, dense or graph.",
        )
    return _MAKERS[name](sources)


def default_retriever(sources: RetrieverSources) -> Retriever:
    """Return the retriever of the settings; ``bm25`` where the index or the project has no vectors."""
    if sources.embedder is None or sources.kind not in sources.index.manifest["vector_kinds"]:
        return make_retriever("bm25", sources)
    return make_retriever(sources.settings.retriever, sources)


def make_scorer(sources: RetrieverSources) -> Scorer:
    """Return the scorer that ``retrieval.reranker`` names.

    Raises:
        ConfigError: it needs a model that is not there.
    """
    name = sources.settings.reranker
    if name == "sentences":
        return SentenceScorer(_embedder(sources, "The reranker `sentences`"))
    if name == "lm":
        return QueryLikelihoodScorer(make_likelihood_model(sources.llm or LLMSettings()))
    return CrossEncoderScorer(name)


def _embedder(sources: RetrieverSources, what: str) -> Embedder:
    if sources.embedder is None:
        raise ConfigError(f"{what} needs an embedder.", hint="Set the section `embedding`, or use bm25.")
    return sources.embedder


def _parts(names: tuple[str, ...], within: str, sources: RetrieverSources) -> tuple[Retriever, ...]:
    inner = replace(sources, within=(*sources.within, within))
    return tuple(make_retriever(name, inner) for name in names)


def _bm25(sources: RetrieverSources) -> Retriever:
    return BM25Retriever(sources.index, sources.kind)


def _dense(sources: RetrieverSources) -> Retriever:
    return DenseRetriever(sources.index, _embedder(sources, "The retriever `dense`"), sources.kind)


def _hybrid(sources: RetrieverSources) -> Retriever:
    settings = sources.settings
    return HybridRetriever(
        _parts(settings.hybrid_of, "hybrid", sources),
        fusion=settings.fusion,
        weights=settings.hybrid_weights,
        constant=settings.rank_constant,
    )


def _rerank(sources: RetrieverSources) -> Retriever:
    settings = sources.settings
    if sources.embedder is not None and sources.index.embedding_model is not None:
        check_embedder(sources.index, sources.embedder)
    return RerankRetriever(
        sources.index,
        _parts(settings.rerank_of, "rerank", sources),
        make_scorer(sources),
        kind=sources.kind,
        depth=settings.rerank_depth,
        first_stage=settings.rerank_first_stage,
    )


def _graph(sources: RetrieverSources) -> Retriever:
    if sources.kind != "text_units":
        raise ConfigError(
            f"The retriever `graph` finds text units, not {sources.kind!r}.", hint="Use dense or hybrid."
        )
    weights = GraphWeights(walk=sources.settings.graph_walk)
    return GraphRetriever(sources.index, _embedder(sources, "The retriever `graph`"), weights)


BUILT_IN: Mapping[str, Maker] = {
    "bm25": _bm25,
    "dense": _dense,
    "hybrid": _hybrid,
    "rerank": _rerank,
    "graph": _graph,
}
for _name, _maker in BUILT_IN.items():
    register_retriever(_name, _maker)
