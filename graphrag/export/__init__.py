"""Write an index for other tools to read: one module, one format."""

from __future__ import annotations

from graphrag.export.formats import FORMATS, Format, export

__all__ = ["FORMATS", "Format", "export"]
