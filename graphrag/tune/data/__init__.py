"""Data to tune the extractor with: JSON lines with ``id``, ``prompt``, ``completion`` and ``meta``."""

from graphrag.tune.data.gold import gold_records
from graphrag.tune.data.record import TuningRecord, write_records
from graphrag.tune.data.recorded import recorded_records

__all__ = ["TuningRecord", "gold_records", "recorded_records", "write_records"]
