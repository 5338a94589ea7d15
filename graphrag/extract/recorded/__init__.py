"""Ready-made extraction: what another program found in a text, read instead of asking a model.

One module per format. ``docs/recorded_extraction.md`` describes the forms and what each lacks.
"""

from graphrag.extract.recorded.read import read_recording
from graphrag.extract.recorded.recording import Recording

__all__ = ["Recording", "read_recording"]
