"""What is in the wheel, and that it works where there is no checkout."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the sdist, as an installer would."""
    out = tmp_path_factory.mktemp("dist")
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_package_and_its_resources_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"graphrag", next(top for top in tops if top.endswith(".dist-info"))}
    for kind in ("prompts", "pipelines", "data/samples"):
        here = {p.name for p in (ROOT / kind).iterdir() if p.is_file()}
        shipped = {
            n.rsplit("/", 1)[1]
            for n in names
            if n.startswith(f"graphrag/_resources/{kind}/") and n.count("/") == 2 + kind.count("/") + 1
        }
        assert shipped == here
    for source in (ROOT / "graphrag").rglob("*"):
        relative = source.relative_to(ROOT)
        if source.is_file() and "__pycache__" not in relative.parts:
            assert str(relative) in names, f"{relative} is not in the wheel"
    for name in ("meta.json", "tok2vec/model", "README.md", "LICENSE.txt"):
        assert f"graphrag/_resources/data/adapters/ner/{name}" in names
    assert wheel.stat().st_size < 15 * 2**20  # two thirds of it are the adapter and the spaCy pipeline


def test_the_installed_wheel_finds_its_resources(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "from graphrag.resources import find_resource, resource_root; import graphrag; "
        "assert resource_root().name == '_resources', resource_root(); "
        "assert find_resource('prompts', 'extract_graph.j2').is_file(); "
        "assert find_resource('pipelines', 'fast.toml').is_file(); "
        "assert len(list(find_resource('data', 'samples').iterdir())) >= 12; print(graphrag.__version__)"
    )
    run = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert run.stdout.strip() == project["version"]


def test_no_place_of_this_machine_is_named() -> None:
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        pytest.skip("not a git checkout")
    place = str(ROOT.parent) + "/"
    for name in run.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.suffix in {".py", ".md", ".toml", ".txt", ".j2", ".js", ""}:
            assert place not in path.read_text(encoding="utf-8", errors="replace"), name
