"""Settings of a project: arguments > environment and .env > settings.yaml > pipeline > defaults.

Environment variables are ``GRAPHRAG_`` plus the path with double underscores
(``GRAPHRAG_LLM__MODEL``). ``${NAME}`` inside settings.yaml is replaced from the environment or
.env. Field descriptions are the text of ``docs/settings.md``.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from graphrag.errors import ConfigError
from graphrag.resources import find_resource

SETTINGS_FILE = "settings.yaml"
ENV_FILE = ".env"
ENV_PREFIX = "GRAPHRAG_"
# Sign, number, thousand or million, word; a sign or a three-letter word of currency makes it money.
BUDGET_PATTERN = r"([$€£¥₩]?)\s*(\d[\d_]*(?:\.\d+)?)\s*([kKmM](?![A-Za-z]))?\s*((?i:tokens?|[a-z]{3})?)"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prices(_Section):
    """Money per million tokens, in the currency you think in."""

    prompt: float = Field(0.0, ge=0, description="Price of a million prompt tokens.")
    completion: float = Field(0.0, ge=0, description="Price of a million completion tokens.")


class LLMSettings(_Section):
    """The language model."""

    provider: Literal["embedded", "local", "openai"] = Field(
        "embedded",
        description="`embedded`: SmolLM2-135M-Instruct, installed as a package, no network. `local`: any "
        "transformers model. `openai`: any endpoint that speaks the OpenAI protocol.",
    )
    model: str = Field(
        "smollm2-135m-instruct", description="Model name of the endpoint, hub name, or folder."
    )
    base_url: str | None = Field(
        None, description="Address of the endpoint, ending in /v1; OpenAI's own when empty."
    )
    api_key: str | None = Field(
        None, description="Key of the endpoint; usually `${GRAPHRAG_API_KEY}` with the key in .env."
    )
    adapter: str | None = Field(None, description="Folder of a PEFT adapter (`local` and `embedded`).")
    load_in_4bit: bool = Field(False, description="Load `local` weights in 4 bit (bitsandbytes).")
    structured_output: bool = Field(
        True, description="Ask the endpoint for `json_schema` answers. Off: the schema goes into the prompt."
    )
    concurrency: int = Field(16, ge=1, description="Calls in flight at once.")
    requests_per_minute: int | None = Field(None, ge=1, description="Limit of the endpoint.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Limit of the endpoint.")
    budget: str | None = Field(
        None,
        description="What one run of `index` may spend: tokens (`200000`, `200k`) or money (`2.50usd`, by "
        "`llm.prices`). No call begins that could exceed it; the next run goes on.",
    )
    max_retries: int = Field(6, ge=0, description="Retries of a failed call, with Retry-After honoured.")
    timeout: float = Field(180.0, gt=0, description="Seconds until a call counts as lost.")
    context_window: int = Field(8192, ge=1024, description="Tokens that prompt and answer may have together.")
    prices: Prices = Field(default_factory=Prices, description="For estimates and reports of cost.")

    @field_validator("budget", mode="before")
    @classmethod
    def _budget_is_readable(cls, value: object) -> object:
        text = str(value) if isinstance(value, int | float) else value
        if isinstance(text, str) and not re.fullmatch(BUDGET_PATTERN, text.strip()):
            raise ValueError(f"{value!r} is no budget: write tokens as 200000 or 200k, money as 2.50usd")
        return text


class EmbeddingSettings(_Section):
    """The embedder."""

    provider: Literal["embedded", "local", "openai"] = Field(
        "embedded",
        description="`embedded`: all-MiniLM-L6-v2, installed as a package. `local`: any "
        "sentence-transformers model. `openai`: an endpoint.",
    )
    model: str = Field("all-minilm-l6-v2", description="Model name, hub name, or folder.")
    question_prefix: str = Field(
        "", description='What the model wants before a question, such as "query: " (E5), blanks included.'
    )
    text_prefix: str = Field(
        "", description='What it wants before every other text, such as "passage: ". Vectors are made anew.'
    )
    base_url: str | None = Field(None, description="Address of the endpoint.")
    api_key: str | None = Field(None, description="Key of the endpoint.")
    entity_text: Literal["title", "title_description"] = Field(
        "title_description",
        description="What is embedded of an entity. `title` is quicker, and enough to find it by name.",
    )
    exact_up_to: int = Field(
        50_000,
        ge=0,
        description="Rows of a kind up to which a question is compared with every vector; of more, with the "
        "400 nearest by compressed vectors (docs/benchmarks/search.md).",
    )
    batch_size: int = Field(64, ge=1, description="Texts per batch.")
    concurrency: int = Field(8, ge=1, description="Batches in flight at once (endpoint).")
    requests_per_minute: int | None = Field(None, ge=1, description="Limit of the endpoint.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Limit of the endpoint.")
    max_retries: int = Field(6, ge=0, description="Retries of a failed batch.")
    timeout: float = Field(180.0, gt=0, description="Seconds until a batch counts as lost (endpoint).")
    prices: Prices = Field(default_factory=Prices, description="For estimates and reports of cost.")


class InputSettings(_Section):
    """Where documents come from."""

    folder: str = Field("input", description="Folder of the documents, relative to the project.")
    include: tuple[str, ...] = Field(("**/*",), description="Patterns of files to read.")
    exclude: tuple[str, ...] = Field((), description="Patterns of files to leave out.")
    encoding: str | None = Field(None, description="Encoding of text files; detected when empty.")
    text_column: str = Field("text", description="Column or key that holds a record's text.")
    title_column: str = Field("title", description="Column or key that holds a record's title.")
    id_column: str = Field("id", description="Column or key that holds a record's id.")


class ChunkingSettings(_Section):
    """How documents are cut into text units."""

    strategy: Literal["tokens", "sentences"] = Field(
        "tokens",
        description="`tokens`: windows of `size`, each `overlap` into the next. `sentences`: whole "
        "sentences and headings up to `size`, overlap in whole sentences.",
    )
    size: int = Field(1200, ge=16, description="Tokens of a text unit.")
    overlap: int = Field(50, ge=0, description="Tokens that neighbours share.")
    tokenizer: str = Field(
        "approximate",
        description="`approximate` (no model), `tiktoken:NAME`, or the path of a tokenizer.json.",
    )

    @model_validator(mode="after")
    def _overlap_fits(self) -> ChunkingSettings:
        if self.overlap >= self.size:
            raise ValueError(f"overlap ({self.overlap}) must be smaller than size ({self.size})")
        return self


class ExtractionSettings(_Section):
    """How entities, relationships and claims are found."""

    method: Literal["llm", "nlp", "tuned"] = Field(
        "llm",
        description="`llm`: the language model reads each text unit. `nlp`: rules and spaCy, no LLM. "
        "`tuned`: the embedded model with an adapter for extraction.",
    )
    adapter: str | None = Field(
        None, description="`tuned`: folder of the adapter; by default the shipped one."
    )
    readings: int = Field(
        2, ge=1, le=4, description="`tuned`: how often a long text is read, in windows that begin elsewhere."
    )
    format: Literal["auto", "json", "lines"] = Field(
        "auto", description="Wire format of the LLM's answer; `auto` takes what measured best for the model."
    )
    entity_types: tuple[str, ...] = Field(
        ("person", "organization", "place", "event", "work", "product", "concept"),
        description="Types to look for. Empty: discovered from a sample of the corpus by the LLM.",
    )
    predicates: tuple[str, ...] = Field(
        (), description="`tuned`: the only relations to look for. Empty: any, in the model's own words."
    )
    max_gleanings: int = Field(0, ge=0, le=5, description="Further calls per text unit for what was missed.")
    claims: bool = Field(True, description="Also extract claims.")
    max_tokens: int = Field(2000, ge=64, description="Longest answer.")
    spacy_model: str | None = Field(
        None,
        description="spaCy pipeline for `nlp`: a package or folder, `shipped` (ours, every text) or `rules`"
        " (none). By default an installed one, else ours for texts that are poor in names.",
    )
    min_pmi: float = Field(0.0, description="`nlp`: co-occurrences below this PMI are no relationship.")
    recorded: str | None = Field(
        None,
        description="What pipeline `recorded` reads: file or folder, relative to the project or absolute.",
    )


class ResolutionSettings(_Section):
    """Which mentions are the same entity."""

    enabled: bool = Field(True, description="Off: only equal normal forms of equal type are one entity.")
    fuzzy_threshold: float = Field(0.92, ge=0, le=1, description="String similarity from which names merge.")
    embedding_threshold: float = Field(
        0.95, ge=0, le=1, description="Name-vector similarity from which names merge."
    )
    llm_band: tuple[float, float] = Field(
        (0.80, 0.95), description="Similarities between these are asked of the LLM (extraction `llm` only)."
    )
    use_llm: bool | None = Field(
        None,
        description="Ask the LLM about pairs in the doubtful band. Empty: yes when an LLM other than the "
        "embedded one extracts.",
    )
    predicate_threshold: float = Field(
        0.85, ge=0, le=1, description="Vector similarity from which predicates merge."
    )


class DescriptionSettings(_Section):
    """How several descriptions of one entity or relationship become one."""

    method: Literal["auto", "llm", "extractive"] = Field(
        "auto", description="`auto`: `extractive` for the embedded model, `llm` otherwise."
    )
    max_tokens: int = Field(
        300, ge=16, description="Descriptions together shorter than this are joined as they are."
    )
    max_input_tokens: int = Field(3000, ge=64, description="Descriptions sent to the LLM at most.")


class CommunitySettings(_Section):
    """Hierarchical Leiden."""

    max_size: int = Field(10, ge=2, description="Communities larger than this are split further.")
    resolution: float = Field(1.0, gt=0, description="Resolution of the quality function.")
    quality: Literal["modularity", "cpm"] = Field("modularity", description="Quality function.")
    seed: int = Field(42, description="Seed of the partition.")
    max_drift: float = Field(
        0.2,
        ge=0,
        le=1,
        description="After an update only entities whose relationships changed may move to another "
        "community; once this share of all has changed, everything is clustered anew. 0: at every change.",
    )


class ReportSettings(_Section):
    """Community reports."""

    method: Literal["auto", "llm", "extractive"] = Field(
        "auto", description="`auto`: `extractive` for the embedded model, `llm` otherwise."
    )
    max_input_tokens: int = Field(6000, ge=256, description="Context of one report.")
    max_tokens: int = Field(1200, ge=64, description="Longest report.")
    max_findings: int = Field(5, ge=1, le=20, description="Findings of one report.")
    min_llm_size: int = Field(
        3, ge=1, description="Smaller communities get an extractive report, which costs no call."
    )
    min_llm_tokens: int = Field(
        300,
        ge=0,
        description="So does a community whose whole context is shorter: a report on it would be longer.",
    )


class RetrievalSettings(_Section):
    """Finding passages for a question."""

    retriever: str = Field(
        "hybrid",
        description="What `basic` and `local` find passages with: `bm25`, `dense`, `hybrid`, `rerank`, "
        "`graph`.",
    )
    hybrid_of: tuple[str, ...] = Field(("bm25", "dense"), min_length=1, description="What `hybrid` fuses.")
    fusion: Literal["rrf", "convex"] = Field(
        "rrf", description="How `hybrid` fuses: by ranks, or by scores scaled to 0 to 1."
    )
    hybrid_weights: tuple[float, ...] = Field(
        (), description="Weights of `hybrid`'s parts, in order; all 1 when empty."
    )
    rank_constant: int = Field(60, ge=0, description="Constant of reciprocal rank fusion.")
    graph_walk: float = Field(
        0.0, ge=0, description="Weight of PageRank in `graph`; names and facts alone decide at 0."
    )
    rerank_of: tuple[str, ...] = Field(
        ("bm25", "dense"), min_length=1, description="What `rerank` takes its candidates from."
    )
    rerank_depth: int = Field(12, ge=1, description="Candidates from each of them.")
    rerank_first_stage: float = Field(
        0.0,
        ge=0,
        description="Weight of the first ranking beside the reranker's; 0: the reranker decides alone.",
    )
    reranker: str = Field(
        "sentences",
        description="`sentences` (the nearest sentence by the embedder), `lm` (likelihood of the question "
        "under the local language model), or a cross-encoder: folder or hub name.",
    )


class QuerySettings(_Section):
    """Answering."""

    method: Literal["auto", "llm", "extractive"] = Field(
        "auto", description="`auto`: `extractive` for the embedded model, `llm` otherwise."
    )
    max_context_tokens: int = Field(8000, ge=256, description="Context of one local or basic question.")
    max_tokens: int = Field(1500, ge=32, description="Longest answer.")
    prompt: str = Field(
        "full",
        description="Wording of `basic` and `local`: `full`, `brief`, or NAME for your own "
        "prompts/basic_answer_NAME.j2 and prompts/local_answer_NAME.j2.",
    )
    context_order: Literal["best_first", "best_last"] = Field(
        "best_first", description="Whether the best passage stands first or last, nearest the question."
    )
    response_type: str = Field("multiple paragraphs", description="Form of the answer, told to the LLM.")
    top_k_text_units: int = Field(10, ge=1, description="Passages of `basic`.")
    combine: Literal["concat", "rag-sequence", "rag-token"] = Field(
        "concat",
        description="How `basic` writes from several passages: all in one prompt, or one prompt each and "
        "their answers (`rag-sequence`) or next tokens (`rag-token`) averaged. Local models only.",
    )
    top_k_entities: int = Field(10, ge=1, description="Linked entities of `local`.")
    top_k_relationships: int = Field(20, ge=1, description="Relationships of `local`.")
    text_unit_share: float = Field(
        0.5, ge=0, le=1, description="Part of the context for source text in `local`."
    )
    report_share: float = Field(0.15, ge=0, le=1, description="Part of the context for reports in `local`.")
    community_level: int | None = Field(None, description="Level of `global`; chosen dynamically when empty.")
    map_tokens: int = Field(6000, ge=256, description="Reports per map call of `global`.")
    max_map_calls: int = Field(8, ge=1, description="Map calls of one global question.")
    reduce_tokens: int = Field(6000, ge=256, description="Points in the reduce call of `global`.")
    max_rating_calls: int = Field(
        0, ge=0, description="LLM calls that rate reports for `global`; 0: rated by vectors, without a call."
    )
    planner: Literal["auto", "embed", "tuned", "llm", "walks"] = Field(
        "auto",
        description="Planner of `path`. `auto`: the tuned one where it knows the graph's relations, else "
        "`walks` where relations are an open vocabulary (graphs made of texts), else `embed`.",
    )
    planner_folder: str | None = Field(
        None, description="Folder of a tuned planner; the shipped one when empty."
    )
    max_hops: int = Field(3, ge=1, le=6, description="Longest relation path of `path`.")
    top_k_paths: int = Field(3, ge=1, description="Plans that `path` asks its planner for.")
    max_path_nodes: int = Field(20_000, ge=1, description="Nodes kept after one step of a path.")
    explore_hops: int = Field(4, ge=1, description="Explorations of `explore` at most.")
    explore_calls: int = Field(6, ge=1, description="LLM calls of `explore` at most.")
    explore_tokens: int = Field(12_000, ge=256, description="Tokens of `explore` after which it stops.")


class ExecutionSettings(_Section):
    """Where row-by-row stages run. Changes no result, so nothing is done again for it."""

    executor: Literal["asyncio", "daft"] = Field(
        "asyncio",
        description="`asyncio`: in this process. `daft`: extraction by the LLM runs in workers, on this "
        "machine or on a Ray cluster (docs/scale.md).",
    )
    workers: int = Field(
        2, ge=1, description="Workers of `daft`; they share `llm.concurrency` and the limits."
    )


class Settings(_Section):
    """All settings of a project."""

    pipeline: str = Field(
        "auto", description="`standard`, `fast`, `embedded` or your own; `auto` follows `llm.provider`."
    )
    llm: LLMSettings = Field(default_factory=LLMSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    input: InputSettings = Field(default_factory=InputSettings)
    chunking: ChunkingSettings = Field(default_factory=ChunkingSettings)
    extraction: ExtractionSettings = Field(default_factory=ExtractionSettings)
    resolution: ResolutionSettings = Field(default_factory=ResolutionSettings)
    descriptions: DescriptionSettings = Field(default_factory=DescriptionSettings)
    communities: CommunitySettings = Field(default_factory=CommunitySettings)
    reports: ReportSettings = Field(default_factory=ReportSettings)
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    query: QuerySettings = Field(default_factory=QuerySettings)
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings)

    def resolved(self, method: str) -> str:
        """Return what ``auto`` means for a ``method`` of descriptions, reports or query."""
        if method != "auto":
            return method
        return "extractive" if self.llm.provider == "embedded" else "llm"

    def value(self, path: str) -> Any:
        """Return the setting at a dotted ``path`` as plain JSON data (for fingerprints)."""
        value: Any = self
        for part in path.split("."):
            value = getattr(value, part)
        return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def load_settings(
    root: Path, *, arguments: dict[str, Any] | None = None, environ: dict[str, str] | None = None
) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings of the project at ``root``; return them and the pipeline's stage names.

    Raises:
        ConfigError: a file cannot be parsed, a key is unknown, or a value is out of range.
    """
    environment = {**_read_env_file(root / ENV_FILE), **(os.environ if environ is None else environ)}
    layers = _merge(_read_yaml(root / SETTINGS_FILE, environment), _from_environment(environment))
    layers = _merge(layers, arguments or {})
    name = layers.get("pipeline", "auto")
    if name == "auto":
        provider = (layers.get("llm") or {}).get("provider", "embedded")
        name = "embedded" if provider == "embedded" else "standard"
    pipeline = read_pipeline(name, root)
    merged = _merge(pipeline.get("settings", {}), layers)
    merged["pipeline"] = name
    try:
        return Settings.model_validate(merged), tuple(pipeline["stages"])
    except ValidationError as error:
        raise ConfigError(_explain(error, root), hint="docs/settings.md lists every setting.") from None


def read_pipeline(name: str, root: Path | None = None) -> dict[str, Any]:
    """Read ``pipelines/NAME.toml``: its ``stages`` in order and its ``settings``."""
    path = find_resource("pipelines", f"{name}.toml", root)
    try:
        pipeline = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    if not isinstance(pipeline.get("stages"), list):
        raise ConfigError(f"{path} names no stages.", hint='It needs a line: stages = ["load_documents", …]')
    return pipeline


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    return {key: value for key, value in dotenv_values(path).items() if value is not None}


def _read_yaml(path: Path, environment: dict[str, str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    import yaml

    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}.") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold sections such as 'llm:', not a {type(loaded).__name__}.")
    substituted = _substitute(loaded, environment)
    assert isinstance(substituted, dict)
    return substituted


def _substitute(value: Any, environment: dict[str, str]) -> Any:
    """Replace ``${NAME}`` in every string; a value that is only an unset variable becomes None."""
    if isinstance(value, dict):
        return {key: _substitute(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, environment) for item in value]
    if not isinstance(value, str):
        return value
    alone = re.fullmatch(r"\$\{(\w+)\}", value)
    if alone:
        return environment.get(alone.group(1)) or None
    return re.sub(r"\$\{(\w+)\}", lambda m: environment.get(m.group(1), ""), value)


def _from_environment(environment: dict[str, str]) -> dict[str, Any]:
    """Collect ``GRAPHRAG_SECTION__KEY`` variables; values are read as YAML scalars."""
    import yaml

    found: dict[str, Any] = {}
    sections = set(Settings.model_fields)
    for key, text in sorted(environment.items()):
        path = key.removeprefix(ENV_PREFIX).lower().split("__")
        if not key.startswith(ENV_PREFIX) or path[0] not in sections:
            continue
        layer: dict[str, Any] = {path[-1]: yaml.safe_load(text)}
        for part in reversed(path[:-1]):
            layer = {part: layer}
        found = _merge(found, layer)
    return found


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        elif value is not None or key not in merged:
            merged[key] = value
    return merged


def _explain(error: ValidationError, root: Path) -> str:
    lines = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"])
        lines.append(f"{path}: {item['msg']} (there was: {item.get('input')!r})")
    return f"The settings of {root} cannot be used. " + "; ".join(lines) + "."
