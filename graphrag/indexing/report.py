"""What a run did: kept in ``.graphrag/last_run.json``, shown by ``graphrag status``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from graphrag.errors import StoreLockedError
from graphrag.store.layout import Layout
from graphrag.store.store import Store

_COUNTED = {
    "documents": "documents",
    "text_units": "text units",
    "entities": "entities",
    "relationships": "relationships",
    "claim_mentions": "claims",
    "predicates": "predicates",
    "entity_merges": "merges",
    "communities": "communities",
    "community_reports": "reports",
}


@dataclass(frozen=True, slots=True)
class StageRun:
    """One stage of a run. ``peak_rss_mb`` is the process's highest memory use up to its end."""

    name: str
    ran: bool
    seconds: float
    peak_rss_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Model use by stage, task and model; ``cost`` follows the configured prices.

    Of task ``embedding``, ``calls`` counts texts, and tokens are those that an endpoint charged for.
    """

    stage: str
    task: str
    model: str
    calls: int
    cached_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did and what the index holds now."""

    pipeline: str
    stages: tuple[StageRun, ...]
    counts: dict[str, int]
    failed: tuple[dict[str, Any], ...] = ()
    skipped_inputs: tuple[dict[str, Any], ...] = ()
    usage: tuple[UsageRow, ...] = ()
    ledger: tuple[dict[str, Any], ...] = ()
    stopped: bool = False
    stop_reason: str | None = None
    generation: str | None = None

    @property
    def seconds(self) -> float:
        """Return the run's duration."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def ran(self) -> tuple[str, ...]:
        """Return the names of the stages that had work."""
        return tuple(stage.name for stage in self.stages if stage.ran)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)


def count_rows(store: Store) -> dict[str, int]:
    """Return what the store holds, by the words a reader knows."""
    counts = {label: store.count(name) for name, label in _COUNTED.items()}
    statuses = store.sql(
        "SELECT status, count(*) AS n FROM ledger WHERE stage = 'extract_graph' GROUP BY status"
    ).to_pylist()
    by_status = {row["status"]: row["n"] for row in statuses}
    for status in ("done", "empty", "failed"):
        counts[f"text units {status}"] = by_status.get(status, 0)
    return counts


# Input rows of every row-by-row stage, and for those keyed by content, where a row that is done stands.
_ROWS = (
    ("chunk_documents", "documents", "SELECT id FROM documents", None),
    ("extract_graph", "text units", "SELECT id FROM text_units", None),
    (
        "summarize_descriptions",
        "entities and relationships",
        "SELECT id FROM entities UNION ALL SELECT id FROM relationships",
        "SELECT owner_id FROM descriptions",
    ),
    (
        "report_communities",
        "communities",
        "SELECT id FROM communities",
        "SELECT community_id FROM community_reports",
    ),
    (
        "embed_text",
        "text units, entities, reports",
        "SELECT id FROM text_units UNION ALL SELECT id FROM entities "
        "UNION ALL SELECT community_id FROM community_reports",
        None,
    ),
)


def ledger_counts(store: Store) -> tuple[dict[str, Any], ...]:
    """Return for every row-by-row stage how many of its input rows are pending, done, empty and failed.

    Pending is the anti-join: rows without an entry. Whether settings changed since is not looked at;
    ``graphrag index --dry-run`` tells.
    """
    found = []
    for stage, unit, rows, done in _ROWS:
        entries = "SELECT row_id, status FROM ledger WHERE stage = $1"
        if done is not None:
            entries += f" UNION ALL SELECT *, 'done' FROM ({done})"
        counted = store.sql(
            f"""SELECT coalesce(l.status, 'pending') AS status, count(*) AS n
                FROM ({rows}) r LEFT JOIN ({entries}) l ON l.row_id = r.id GROUP BY ALL""",
            [stage],
        ).to_pylist()
        numbers = {row["status"]: row["n"] for row in counted}
        statuses = {name: numbers.get(name, 0) for name in ("pending", "done", "empty", "failed")}
        found.append({"stage": stage, "rows": unit, **statuses})
    return tuple(found)


def failed_rows(store: Store) -> tuple[dict[str, Any], ...]:
    """Return every row of the ledger that failed; ``label`` is what a reader knows it by."""
    return tuple(
        store.sql(
            """SELECT l.stage, l.row_id, l.reason, l.attempts, d.uri, u.ordinal, coalesce(
                   d.uri || ' (text unit ' || u.ordinal || ')', e.title,
                   s.title || ' ' || p.label || ' ' || t.title, c.title, l.row_id) AS label
               FROM ledger l LEFT JOIN text_units u ON u.id = l.row_id
               LEFT JOIN documents d ON d.id = u.document_id
               LEFT JOIN entities e ON e.id = l.row_id LEFT JOIN communities c ON c.id = l.row_id
               LEFT JOIN relationships r ON r.id = l.row_id
               LEFT JOIN entities s ON s.id = r.source_id LEFT JOIN entities t ON t.id = r.target_id
               LEFT JOIN predicates p ON p.id = r.predicate_id
               WHERE l.status = 'failed' ORDER BY l.stage, d.uri, u.ordinal, l.row_id"""
        ).to_pylist()
    )


def write_report(layout: Layout, report: RunReport) -> None:
    """Keep the report of the last run."""
    layout.last_run.parent.mkdir(parents=True, exist_ok=True)
    layout.last_run.write_text(json.dumps(report.to_dict(), indent=1, ensure_ascii=False), encoding="utf-8")


def current_status(layout: Layout) -> dict[str, Any]:
    """Return the last run's report with counts, ledger and failures as the store has them now.

    A run that was killed left no report, but rows. ``indexing`` is the message of the lock when another
    process is writing the store.
    """
    report = read_report(layout) or {}
    if not layout.store.is_file():
        return report
    try:
        with Store(layout.store, read_only=True) as store:
            now = {"counts": count_rows(store), "ledger": ledger_counts(store), "failed": failed_rows(store)}
    except StoreLockedError as error:
        return {**_EMPTY, **report, "indexing": str(error.args[0])}
    return {**_EMPTY, **report, **{name: _plain(value) for name, value in now.items()}}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def read_report(layout: Layout) -> dict[str, Any] | None:
    """Read the report of the last run, None if there was none.

    What the release that wrote it did not know yet is empty.
    """
    if not layout.last_run.is_file():
        return None
    found: dict[str, Any] = json.loads(layout.last_run.read_text(encoding="utf-8"))
    report = {**_EMPTY, **found}
    return report | {name: [{**blank, **row} for row in report[name]] for name, blank in _BLANKS.items()}


_EMPTY = RunReport("", (), {}).to_dict()
_BLANKS: dict[str, dict[str, Any]] = {
    "stages": asdict(StageRun("", ran=False, seconds=0.0)),
    "usage": asdict(UsageRow("", "", "", 0, 0, 0, 0, 0.0)),
    "ledger": {"stage": "", "rows": "", "pending": 0, "done": 0, "empty": 0, "failed": 0},
    "failed": {"stage": "", "label": "", "attempts": 0, "reason": ""},
    "skipped_inputs": {"uri": "", "reason": ""},
}
