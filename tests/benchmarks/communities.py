"""What one more document does to the communities of ten books, and what their reports then cost.

    python -m tests.benchmarks.communities --shared ../shared [--communities '{"max_size": 10}'] [--json OUT]

starts ``bench/mock_openai.py`` (needs aiohttp; adjusted mutual information is scikit-learn's), indexes ten books, adds
``bench/extra.txt.gz``, indexes again, and then indexes all eleven from scratch. Compared over the entities that all
have: the partition before with the one after, and the one after with that of the rebuild, at the top
level and at the leaves; how many communities keep their members; how many reports are kept, and asked for.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from graphrag import GraphRAG
from tests.benchmarks.engine import Endpoint, endpoint, project


def partition(root: Path) -> dict[str, Any]:
    """Return the community of every entity at the top and at the leaves, and the ids of communities and reports."""
    with GraphRAG.open(root) as rag:
        index = rag.open_index()
        communities = index.table("communities").to_pylist()
        reports = index.table("community_reports").select(["id", "method"]).to_pylist()
    top = {one: row["id"] for row in communities if row["level"] == 0 for one in row["entity_ids"]}
    leaves = {one: row["id"] for row in communities if not row["children"] for one in row["entity_ids"]}
    return {
        "top": top,
        "leaves": leaves,
        "communities": {row["id"] for row in communities if row["size"] > 1},
        "reports": {row["id"] for row in reports if row["method"] == "llm"},
    }


def compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return how alike two partitions are over the entities that both have."""
    from sklearn.metrics import adjusted_mutual_info_score

    found: dict[str, Any] = {}
    for level in ("top", "leaves"):
        shared = sorted(one[level].keys() & other[level].keys())
        labels = ([side[level][entity] for entity in shared] for side in (one, other))
        found[f"ami_{level}"] = round(float(adjusted_mutual_info_score(*labels)), 4)
    for name in ("communities", "reports"):
        kept = len(one[name] & other[name])
        found[f"{name}_kept"] = f"{kept} of {len(one[name])}, now {len(other[name])}"
    return found


def indexed(mock: Endpoint, root: Path) -> dict[str, Any]:
    """Index, and return the partition with the report calls that were asked for."""
    mock.stats(reset=True)
    with GraphRAG.open(root) as rag:
        rag.index()
    families = mock.stats()["families"].get("schema.ReportAnswer", {})
    asked = {
        "report_calls": families.get("calls", 0),
        "report_prompt_tokens": families.get("prompt_tokens", 0),
    }
    return {**partition(root), "asked": asked}


def run(shared: Path, communities: dict[str, Any]) -> dict[str, Any]:
    """Index ten books, add a document, rebuild; return the comparisons."""
    with endpoint(shared) as mock, tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "kept"
        project(root, shared, 10, mock.address)
        settings = json.loads((root / "settings.yaml").read_text())
        (root / "settings.yaml").write_text(json.dumps({**settings, "communities": communities}))
        before = indexed(mock, root)
        extra = gzip.decompress((shared / "bench" / "extra.txt.gz").read_bytes())
        (root / "input" / "extra.txt").write_bytes(extra)
        after = indexed(mock, root)
        rebuilt_root = Path(folder) / "rebuilt"
        rebuilt_root.mkdir()
        shutil.copytree(root / "input", rebuilt_root / "input")
        shutil.copy(root / "settings.yaml", rebuilt_root)
        rebuilt = indexed(mock, rebuilt_root)
    return {
        "settings": communities,
        "first index": before["asked"],
        "update": after["asked"],
        "rebuild": rebuilt["asked"],
        "before and after": compared(before, after),
        "after and rebuild": compared(after, rebuilt),
    }


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--communities", type=json.loads, default={})
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = run(arguments.shared, arguments.communities)
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
