"""Imports go one way, and importing the package stays cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "graphrag"

# A module may import from its own layer's folder and from layers above it in this list.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("characters", "errors", "hashing", "schema", "tokens"),
    ("patience", "resources", "weights"),
    ("connection",),
    ("settings",),
    ("project",),
    ("text", "llm", "embed", "store", "graph"),
    ("extract", "retrieve"),
    ("indexing",),
    ("query",),
    ("tune", "evaluate", "export"),
    ("optimize",),
    ("api",),
    ("serve", "cli"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Packages of one layer never import each other, except within the lowest one and for this pair: tuning
# compares by the measures of evaluation, and evaluation reads the examples of tuning.
TOGETHER = {"tune", "evaluate"}
HEAVY = {
    "bm25s", "daft", "docx", "duckdb", "faiss", "gguf", "igraph", "jinja2", "leidenalg", "llguidance", "networkx",
    "openai", "peft", "pypdf", "rich", "safetensors", "sentence_transformers", "spacy", "tiktoken",
    "tokenizers", "torch", "trafilatura", "transformers",
}  # fmt: skip


# Modules that define classes of heavy libraries, so import them at the top; nobody may import these modules there.
LATE = ("graphrag.tune.loop", "graphrag.tune.packed", "graphrag.llm.adapters")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_to_lower_layers(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    assert part in RANK, f"{part} belongs to no layer: add it to LAYERS"
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        pieces = name.split(".")
        if pieces[0] != "graphrag" or len(pieces) < 2 or pieces[1] == "__version__":
            continue
        other = pieces[1]
        if other == part or {part, other} == TOGETHER:
            continue
        assert RANK[other] < RANK[part] or RANK[part] == 0, f"{path.name} of {part} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    if ".".join(("graphrag", *path.relative_to(PACKAGE).with_suffix("").parts)).startswith(LATE):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        for name in imported(ast.Module([node], [])) if isinstance(node, ast.Import | ast.ImportFrom) else []:
            assert name.split(".")[0] not in HEAVY, f"{path.name} imports {name} at the top"
            assert not name.startswith(LATE), f"{path.name} imports {name} at the top"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_readable_and_safe(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}
            assert node.func.id != "print" or part_of(path) == "cli"
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not {"pickle", "shelve", "marshal"} & {name.split(".")[0] for name in imported(node)}


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, graphrag; print([m for m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ast.literal_eval(run.stdout)}
    assert not loaded & (HEAVY | {"numpy", "pyarrow", "pydantic"})


def test_every_public_name_can_be_imported() -> None:
    import graphrag

    assert graphrag.__all__ == sorted(graphrag.__all__)
    for name in graphrag.__all__:
        assert getattr(graphrag, name) is not None
    with pytest.raises(AttributeError):
        graphrag.nothing_of_that_name  # noqa: B018
