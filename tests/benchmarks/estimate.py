"""How far the estimate before a run is from what the run then costs.

    python -m tests.benchmarks.estimate --shared ../shared [--json OUT]

starts ``bench/mock_openai.py`` (needs aiohttp; it answers at once and counts characters / 4 as tokens),
and for the shipped samples and A Christmas Carol compares the dry run with what the endpoint counted:
before the first run, and again after half of the documents or text were indexed, when the estimate can
learn from the answers so far. The baseline is what one can know without rehearsing: the tokens of the
texts, once.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from graphrag import GraphRAG
from graphrag.text.chunking import chunk_text
from graphrag.tokens import approximate_tokens
from tests.benchmarks.engine import Endpoint, endpoint

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"


def corpora(shared: Path) -> dict[str, dict[str, bytes]]:
    """Return the files of each corpus."""
    book = shared / "data" / "christmas_carol_recorded" / "book.txt.gz"
    return {
        "samples": {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())},
        "A Christmas Carol": {"book.txt": gzip.decompress(book.read_bytes())},
        "held out: another book": {
            "book.txt": gzip.decompress((shared / "bench" / "book.txt.gz").read_bytes())
        },
    }


def half(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the first half: of the files, or of the one file."""
    if len(files) > 1:
        return dict(list(files.items())[: len(files) // 2])
    ((name, data),) = files.items()
    return {name: data[: data.rfind(b" ", 0, len(data) // 2)]}


def measure(root: Path, files: dict[str, bytes], mock: Endpoint) -> dict[str, Any]:
    """Estimate, run, and return both by family of prompts."""
    for old in (root / "input").glob("*"):
        old.unlink()
    for name, data in files.items():
        (root / "input" / name).write_bytes(data)
    with GraphRAG.open(root) as rag:
        begun = time.process_time()
        found = rag.estimate()
        seconds = time.process_time() - begun
        mock.stats(reset=True)
        report = rag.index()
    counted = mock.stats()
    texts = sum(
        approximate_tokens(data.decode()[chunk.start_char : chunk.end_char])
        for data in files.values()
        for chunk in chunk_text(data.decode(), rag.settings.chunking)
    )
    families = {
        name: {
            "calls": row["calls"],
            "prompt_tokens": row["prompt_tokens"],
            "completion_tokens": row["completion_tokens"],
        }
        for name, row in counted["families"].items()
    }
    expected = {
        "calls": sum(one.calls for one in found.values()),
        "prompt_tokens": sum(one.prompt_tokens for one in found.values()),
        "completion_tokens": sum(one.completion_tokens for one in found.values()),
        "embedding_tokens": sum(one.embedded_tokens for one in found.values()),
    }
    truth = {
        "calls": counted["llm_calls"],
        "prompt_tokens": counted["prompt_tokens"],
        "completion_tokens": counted["completion_tokens"],
        "embedding_tokens": counted["embedding_tokens"],
    }
    return {
        "estimate": expected,
        "truth": truth,
        "error_percent": {name: round(100 * (expected[name] / max(1, truth[name]) - 1), 1) for name in truth},
        "baseline_texts_only": texts,
        "estimate_by_stage": {
            name: [one.todo, one.calls, one.prompt_tokens, one.completion_tokens]
            for name, one in found.items()
        },
        "truth_by_family": families,
        "estimate_cpu_s": round(seconds, 2),
        "counts": report.counts,
    }


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with endpoint(arguments.shared) as mock:
        for name, files in corpora(arguments.shared).items():
            with tempfile.TemporaryDirectory() as made:
                folder = Path(made)
                GraphRAG.init(folder)
                address = {"provider": "openai", "base_url": mock.address, "api_key": "x", "model": "mock"}
                settings = {"llm": address, "embedding": address}
                (folder / "settings.yaml").write_text(json.dumps(settings), encoding="utf-8")
                results[f"{name}: the first half"] = measure(folder, half(files), mock)
                results[f"{name}: all, after half"] = measure(folder, files, mock)
                shutil.rmtree(folder / ".graphrag")
                (folder / "output").unlink()
                results[f"{name}: all, first run"] = measure(folder, files, mock)
    print(json.dumps(results, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
