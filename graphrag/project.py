"""Make a new project folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from graphrag.errors import ConfigError
from graphrag.resources import find_resource
from graphrag.settings import ENV_FILE, SETTINGS_FILE

SETTINGS_TEMPLATE = """\
# Settings of this project. Every setting, with its default: docs/settings.md

llm:
  provider: embedded            # a small model that needs no key and no network
  # provider: openai            # any OpenAI-protocol endpoint: OpenAI, vLLM, Ollama, llama.cpp …
  # model: gpt-4.1-mini
  # base_url: http://localhost:8000/v1
  api_key: ${GRAPHRAG_API_KEY}  # the key itself belongs in .env

embedding:
  provider: embedded            # all-MiniLM-L6-v2, no key and no network

input:
  folder: input

chunking:
  size: 1200                    # tokens
  overlap: 50
"""

ENV_TEMPLATE = """\
# Keys stay here, out of settings.yaml and out of version control.
GRAPHRAG_API_KEY=
"""


def init_project(root: Path, *, force: bool = False, with_prompts: bool = False) -> list[Path]:
    """Write settings.yaml, .env and input/ (and prompts/ when asked) below ``root``; return them.

    Raises:
        ConfigError: there is a project already, and ``force`` is not given.
    """
    if (root / SETTINGS_FILE).exists() and not force:
        raise ConfigError(
            f"{root} is a project already ({SETTINGS_FILE} is there).",
            hint="Use --force to write the settings anew; documents, index and .env stay as they are.",
        )
    root.mkdir(parents=True, exist_ok=True)
    written = [root / SETTINGS_FILE]
    written[0].write_text(SETTINGS_TEMPLATE, encoding="utf-8")
    env = root / ENV_FILE
    if not env.exists():  # it may hold a key: never written over
        env.write_text(ENV_TEMPLATE, encoding="utf-8")
        env.chmod(0o600)
        written.append(env)
    folder = root / "input"
    folder.mkdir(exist_ok=True)
    written.append(folder)
    if with_prompts:
        written.append(_copy_prompts(root, force=force))
    return written


def copy_samples(root: Path) -> int:
    """Copy the sample documents into ``root``/input; return how many."""
    source = find_resource("data", "samples")
    target = root / "input"
    target.mkdir(parents=True, exist_ok=True)
    files = sorted(path for path in source.iterdir() if path.is_file())
    for path in files:
        shutil.copyfile(path, target / path.name)
    return len(files)


def _copy_prompts(root: Path, *, force: bool) -> Path:
    target = root / "prompts"
    target.mkdir(exist_ok=True)
    for path in sorted(find_resource("prompts", "extract_graph.j2").parent.glob("*.j2")):
        if force or not (target / path.name).exists():
            shutil.copyfile(path, target / path.name)
    return target
