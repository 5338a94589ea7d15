"""Kill ``graphrag index`` at many random moments; compare the index and the paid calls with a quiet run.

    python -m tests.reliability.crash --kills 100 [--seed 0] [--documents 24] [--json OUT]

The real process works against a real HTTP endpoint and is killed (SIGKILL, the whole process group) a
random time after a random stage has begun, start-up and shut-down included, then started again, until it
gets through. Then the published files must equal those of an undisturbed run byte by byte, and the next
round begins with an empty project. The endpoint counts how often each distinct prompt was answered.

A call is *answered* when its answer has been received and stored. One whose answer had been written to
the socket less than ``WIRE_SECONDS`` before the kill may not have reached the process: a repetition
of such a call is counted as in flight, at most ``concurrency`` for each kill. Any other repetition is
an answer paid for twice, and there must be none.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.reliability.corpus import documents, write_documents
from tests.reliability.project import Endpoint, Indexer, differences, make_project, published

CONCURRENCY = 4  # of the project's settings
WIRE_SECONDS = 0.25
KILLS_A_ROUND = 6  # then the run may end, so that every round has kills in the early stages too
STAGES = (
    "load documents",
    "chunk documents",
    "extract graph",
    "resolve entities",
    "build graph",
    "summarize descriptions",
    "detect communities",
    "report communities",
    "embed text",
    "publish",
)


@dataclass(slots=True)
class Result:
    """What a crash test found; it passed when ``differing`` and ``paid_twice`` are empty."""

    kills: int = 0
    rounds: int = 0
    killed_in: dict[str, int] = field(default_factory=dict)  # kills by the stage that was running
    prompts: int = 0  # distinct prompts of an undisturbed run
    in_flight: int = 0  # answers that were under way when the process was killed, and were asked for again
    paid_twice: list[str] = field(default_factory=list)
    embedded_again: int = 0  # texts whose vectors were lost with the batch in flight
    differing: list[str] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Say whether every round ended with the undisturbed index and nothing was paid twice."""
        return not (self.differing or self.paid_twice or self.left_behind)


def crash_test(folder: Path, *, kills: int, seed: int = 0, count: int = 24, latency: float = 0.01) -> Result:
    """Kill the indexer ``kills`` times over as many rounds as that takes, in projects below ``folder``."""
    draw = random.Random(seed)
    result = Result()
    texts = documents(count)
    with Endpoint(latency=latency) as endpoint:
        reference, durations = _undisturbed(folder / "quiet", endpoint, texts)
        result.prompts = len(endpoint.sent)
        quiet_prompts = set(endpoint.sent)
        quiet_embedded = Counter(endpoint.embedded)
        while result.kills < kills:
            root = folder / f"round{result.rounds}"
            endpoint.forget()
            killed_at = _one_round(root, endpoint, texts, durations, draw, result, kills)
            result.rounds += 1
            result.differing += [f"{root.name}: {name}" for name in differences(published(root), reference)]
            result.left_behind += [f"{root.name}: {name}" for name in _left_behind(root)]
            _count_calls(endpoint, killed_at, result, root.name)
            unknown = endpoint.sent.keys() - quiet_prompts
            result.differing += (
                [f"{root.name}: {len(unknown)} prompts that no quiet run asks"] if unknown else []
            )
            result.embedded_again += (endpoint.embedded - quiet_embedded).total()
            shutil.rmtree(root)
    return result


def _undisturbed(
    root: Path, endpoint: Endpoint, texts: dict[str, str]
) -> tuple[dict[str, bytes], dict[str, float]]:
    """Index without disturbance; return the published files and the seconds of each stage."""
    make_project(root, endpoint.base_url)
    write_documents(root / "input", texts)
    begun = time.monotonic()
    indexer = Indexer.start(root)
    status = indexer.wait()
    assert status == 0, [line for _, line in indexer.lines]
    ended = time.monotonic()
    times = [begun, *(at for at, line in indexer.lines if _stage_of(line)), ended]
    names = ("start", *STAGES[1:], "end")
    durations = dict(zip(names, (b - a for a, b in zip(times, times[1:], strict=False)), strict=True))
    return published(root), durations


def _one_round(
    root: Path,
    endpoint: Endpoint,
    texts: dict[str, str],
    durations: dict[str, float],
    draw: random.Random,
    result: Result,
    kills: int,
) -> list[float]:
    """Kill and restart until a run gets through; return the times of the kills."""
    make_project(root, endpoint.base_url)
    write_documents(root / "input", texts)
    killed_at: list[float] = []
    names = list(durations)
    while True:
        indexer = Indexer.start(root)
        if result.kills < kills and len(killed_at) < KILLS_A_ROUND:
            number = draw.randrange(len(names))
            wait = draw.random() * 1.2 * durations[names[number]]
            if _reached(indexer, number, wait):
                killed_at.append(time.monotonic())
                indexer.kill()
                result.kills += 1
                stage = names[sum(1 for _, line in indexer.lines if _stage_of(line))]
                result.killed_in[stage] = result.killed_in.get(stage, 0) + 1
                continue
        status = indexer.wait()
        assert status == 0, f"exit status {status}: {[line for _, line in indexer.lines]}"
        return killed_at


def _reached(indexer: Indexer, number: int, wait: float) -> bool:
    """Wait until ``number`` stages are done and ``wait`` seconds more; False if the process ends before."""
    due = None
    while indexer.process.poll() is None:
        if due is None and sum(1 for _, line in indexer.lines if _stage_of(line)) >= number:
            due = time.monotonic() + wait
        if due is not None and time.monotonic() >= due:
            return True
        time.sleep(0.001)
    return False


def _stage_of(line: str) -> str | None:
    return next((stage for stage in STAGES if f" {stage} " in line), None)


def _count_calls(endpoint: Endpoint, killed_at: list[float], result: Result, where: str) -> None:
    for prompt, times in endpoint.sent.items():
        for at in times[:-1]:  # the last answer is the one that was kept
            if any(0 <= kill - at < WIRE_SECONDS or at > kill > at - WIRE_SECONDS for kill in killed_at):
                result.in_flight += 1
            else:
                result.paid_twice.append(f"{where}: {prompt}")


def _left_behind(root: Path) -> list[str]:
    """Return temporary files that no run cleaned up, and generations beyond the one kept for readers."""
    work = root / ".graphrag"
    found = [str(path.relative_to(root)) for path in work.glob(".*")]
    found += [str(path.relative_to(root)) for path in (work / "published").glob(".*")]
    generations = [path for path in (work / "published").iterdir() if not path.name.startswith(".")]
    return found + ([f"{len(generations)} generations"] if len(generations) > 2 else [])


def main() -> int:
    """Run the test from the command line; the exit status is 1 when it failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--documents", type=int, default=24)
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = crash_test(Path(folder), kills=options.kills, seed=options.seed, count=options.documents)
    text = json.dumps({**asdict(result), "passed": result.passed}, indent=1)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
