"""This engine and others on the same text, endpoint and machine, in one run.

    python3 -m venv light && light/bin/pip install lightrag-hku==1.5.7
    python -m tests.benchmarks.peers --shared ../shared --peer lightrag=light/bin/python [--books 1,3]

Every engine indexes the books in a process of its own, chunks of 1,200 tokens, 16 calls at once asked for, no
gleaning, its other settings as it comes, then answers a global and a local question and, but for Microsoft
GraphRAG, reads one more document. The model is ``bench/mock_openai.py`` at no latency, so that what
differs is the engine. Figures are those of :mod:`tests.benchmarks.engine`. Offline, tiktoken's tables have to
lie in ``TIKTOKEN_CACHE_DIR`` (litellm's package carries them).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.engine import (
    QUESTIONS,
    Endpoint,
    add_document,
    endpoint,
    kept,
    measured,
    project,
    served,
    write_books,
)

_COMMON = """
import asyncio, glob, json, os, resource, sys, time
def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
def written():
    return int(dict(line.split(": ") for line in open("/proc/self/io"))["wchar"])
root, phase, base, question = sys.argv[1:5]
texts = [open(path, encoding="utf-8").read() for path in sorted(glob.glob(root + "/input/*"))]
def tell(work):
    startup, before, bytes_before = cpu(), cpu(), written()
    work()
    print(json.dumps({
        "startup_cpu_s": round(startup, 2), "work_cpu_s": round(cpu() - before, 2),
        "mb_written": round((written() - bytes_before) / 2**20, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }))
"""

_WORKERS = {
    "lightrag": """
import numpy
from lightrag import LightRAG, QueryParam
from lightrag.llm.openai import openai_complete_if_cache, openai_embed
from lightrag.utils import EmbeddingFunc
async def complete(prompt, system_prompt=None, history_messages=[], **more):
    more.pop("hashing_kv", None)
    return await openai_complete_if_cache(
        "mock", prompt, system_prompt=system_prompt, history_messages=history_messages, base_url=base, api_key="x", **more
    )
async def embed(texts):
    return await openai_embed.func(texts, model="mock", base_url=base, api_key="x")
async def run():
    rag = LightRAG(
        working_dir=root + "/store", llm_model_func=complete, llm_model_max_async=16, embedding_func_max_async=16,
        embedding_func=EmbeddingFunc(embedding_dim=384, max_token_size=8192, func=embed),
        entity_extract_max_gleaning=0, chunk_token_size=1200, chunk_overlap_token_size=100,
    )
    await rag.initialize_storages()
    if phase == "index":
        await rag.ainsert(texts)
    else:
        await rag.aquery(question, param=QueryParam(mode=phase))
    await rag.finalize_storages()
tell(lambda: asyncio.run(run()))
""",
    "nano": """
os.environ |= {"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": base}
from nano_graphrag import GraphRAG, QueryParam
from nano_graphrag._llm import gpt_4o_mini_complete, openai_embedding
from nano_graphrag._utils import EmbeddingFunc
def work():
    rag = GraphRAG(
        working_dir=root + "/store", entity_extract_max_gleaning=0, chunk_token_size=1200, chunk_overlap_token_size=100,
        best_model_func=gpt_4o_mini_complete, best_model_max_async=16, cheap_model_max_async=16,
        embedding_func=EmbeddingFunc(embedding_dim=384, max_token_size=8192, func=openai_embedding.func),
    )
    if phase == "index":
        rag.insert(texts)
    else:
        rag.query(question, param=QueryParam(mode=phase))
tell(work)
""",
    "fast": """
os.environ |= {"OPENAI_API_KEY": "x", "CONCURRENT_TASK_LIMIT": "16"}
from fast_graphrag import GraphRAG
from fast_graphrag._llm import OpenAIEmbeddingService, OpenAILLMService
def work():
    rag = GraphRAG(
        working_dir=root + "/store", domain="books", example_queries="Who is Arthur?",
        entity_types=["person", "place", "organization", "event"],
        config=GraphRAG.Config(
            llm_service=OpenAILLMService(model="mock", base_url=base, api_key="x"),
            embedding_service=OpenAIEmbeddingService(
                model="mock", base_url=base, api_key="x", embedding_dim=384, max_requests_per_minute=10**6
            ),
        ),
    )
    if phase == "index":
        rag.insert(texts)
    else:
        rag.query(question)
tell(work)
""",
    "microsoft": """
os.environ["GRAPHRAG_API_KEY"] = "x"
import logging, pathlib
from graphrag.cli.index import index_cli
from graphrag.cli.query import run_global_search, run_local_search
from graphrag.cli.initialize import initialize_project_at
from graphrag.config.enums import IndexingMethod
import yaml
folder = pathlib.Path(root)
if phase == "index":
    initialize_project_at(folder, force=True, model="mock", embedding_model="mock")
    path = folder / "settings.yaml"
    settings = yaml.safe_load(path.read_text())
    for kind in ("completion_models", "embedding_models"):
        for model in settings[kind].values():
            model |= {"api_base": base, "api_key": "x"}
    settings["concurrent_requests"] = 16
    settings["extract_graph"]["max_gleanings"] = 0
    settings.setdefault("vector_store", {})["vector_size"] = 384
    path.write_text(yaml.safe_dump(settings))
def work():
    if phase == "index":
        try:
            index_cli(
                root_dir=folder, method=IndexingMethod.Standard, verbose=False, cache=True, dry_run=False,
                skip_validation=True,
            )
        except SystemExit as end:
            if end.code:
                raise
    elif phase == "global":
        run_global_search(
            data_dir=None, root_dir=folder, community_level=2, dynamic_community_selection=False,
            response_type="Multiple Paragraphs", streaming=False, query=question, verbose=False,
        )
    else:
        run_local_search(
            data_dir=None, root_dir=folder, community_level=2, response_type="Multiple Paragraphs",
            streaming=False, query=question, verbose=False,
        )
tell(work)
""",
}  # fmt: skip
_UPDATES = ("lightrag", "nano", "fast")  # by the same call; Microsoft GraphRAG has a command of its own


def peer(mock: Endpoint, root: Path, engine: str, python: str, phase: str) -> dict[str, Any]:
    """Run one phase of another engine; return its figures and the endpoint's."""
    mock.stats(reset=True)
    begun = time.perf_counter()
    done = subprocess.run(
        [python, "-c", _COMMON + _WORKERS[engine], str(root), phase, mock.address, QUESTIONS.get(phase, "")],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""}, cwd=root,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"startup_cpu_s"')]
    if done.returncode != 0 or not lines:
        return {"error": (done.stderr or done.stdout)[-2000:]}
    result: dict[str, Any] = {**json.loads(lines[-1]), "wall_s": round(time.perf_counter() - begun, 1)}
    return {
        **result,
        **served(mock),
        **kept(one for one in root.rglob("*") if one.parent.name not in ("input", "prompts")),
    }


def run(shared: Path, books: int, engine: str, python: str) -> dict[str, Any]:
    """Index ``books`` books, ask, and add a document."""
    ours = engine == "ours"
    with endpoint(shared) as mock, tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        if ours:
            project(root, shared, books, mock.address)
        else:
            write_books(root, shared, books)
        results = {}
        for phase in ("index", *QUESTIONS, "update"):
            if phase == "update":
                if not ours and engine not in _UPDATES:
                    continue
                add_document(root, shared)
            asked = "index" if phase == "update" else phase
            if ours:
                question = [QUESTIONS[phase]] if phase in QUESTIONS else []
                results[phase] = measured(mock, root, asked, *question)
            else:
                results[phase] = peer(mock, root, engine, python, asked)
            if "error" in results[phase]:
                break
    return results


def main() -> None:
    """Run every engine, print a line for each phase."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--books", default="1")
    parser.add_argument("--peer", action="append", default=[], help=f"NAME=PYTHON; {', '.join(_WORKERS)}")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engines = dict(one.split("=", 1) for one in arguments.peer)
    results: dict[str, Any] = {}
    for books in map(int, arguments.books.split(",")):
        for engine, python in {"ours": "", **engines}.items():
            found = run(arguments.shared.resolve(), books, engine, python and str(Path(python).absolute()))
            results[f"{engine}, {books} books"] = found
            for phase, figures in found.items():
                shown = (
                    "work_cpu_s",
                    "llm_calls",
                    "prompt_tokens",
                    "embedded_texts",
                    "peak_rss_mb",
                    "mb_written",
                )
                row = figures.get("error") or " ".join(f"{figures[one]:>10}" for one in (*shown, "files"))
                print(f"{books:3} {engine:10} {phase:7} {row}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
