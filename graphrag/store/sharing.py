"""What generations of an index share: files of vectors and postings that are linked instead of written.

A file holds items (a row's vector, a row's words), each known by a number made of its content. When most
items of the generation before are still wanted, its file is linked, and what is new goes into a small
second file. A list says to which row of the table each item belongs, or that it belongs to none any more.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_CHANGED_UP_TO = 0.25  # of the file that is shared; then it is written anew
_ADDED_UP_TO = 50_000  # items of the second file
PLACES = "places.arrow"
_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("added", pa.bool_()),  # in the second file
        pa.field("key", pa.uint64()),  # of the item's content
        pa.field("place", pa.int32()),  # of its row, -1 for none
    ]
)
Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sharing:
    """How the items of one file are written: ``whole`` anew, or ``new`` ones beside a linked file.

    ``rows`` are the rows that have an item, ``new`` says which of these are not in the linked file, and
    ``places`` is the list that :func:`write_places` writes.
    """

    rows: Places
    new: npt.NDArray[np.bool_]
    whole: bool
    places: pa.Table


def share(folder: Path, name: str, contents: Sequence[str | None], before: Path | None) -> Sharing:
    """Compare ``contents`` (one per row, None: the row has no item) with the generation ``before``.

    Links the file ``name`` of that generation into ``folder`` where it is shared.
    """
    keys, rows = _keys(contents)
    known = read_places(before, name) if before is not None else _SCHEMA.empty_table()
    base = known.filter(pc.invert(known["added"]))["key"].to_numpy()
    new = ~np.isin(keys, base)
    changed = int(new.sum()) + len(base) - int((~new).sum())
    whole = (
        before is None or not len(base) or changed > _CHANGED_UP_TO * len(base) or new.sum() > _ADDED_UP_TO
    )
    if whole:
        base, new = keys, np.zeros(len(keys), dtype=np.bool_)
    elif before is not None:
        _link(before / name, folder / name)
    order = np.argsort(keys)
    at = order[np.minimum(np.searchsorted(keys, base, sorter=order), len(keys) - 1)] if len(keys) else []
    places = np.where(keys[at] == base, rows[at], -1) if len(keys) else np.full(len(base), -1)
    columns = {
        "file": pa.array([name] * (len(base) + int(new.sum())), pa.string()),
        "added": np.repeat([False, True], [len(base), int(new.sum())]),
        "key": np.concatenate([base, keys[new]]),
        "place": np.concatenate([places, rows[new]]).astype(np.int32),
    }
    return Sharing(rows, new, whole, pa.table(columns, schema=_SCHEMA))


def added(name: str) -> str:
    """Return the name of the second file beside ``name``."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.added.{suffix}"


def write_places(folder: Path, places: Sequence[pa.Table]) -> None:
    """Write the lists of all files of a generation."""
    table = pa.concat_tables([_SCHEMA.empty_table(), *places])
    names = table["file"].combine_chunks().dictionary_encode()  # a few names, said of every item
    table = table.set_column(0, "file", names)
    with pa.OSFile(str(folder / PLACES), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)


def read_places(folder: Path, name: str) -> pa.Table:
    """Return the list of the file ``name``, in the order of its items and then of those added."""
    table = pa.ipc.open_file(pa.memory_map(str(folder / PLACES))).read_all()
    return table.filter(pc.equal(table["file"].cast(pa.string()), name))


def rows_of(folder: Path, name: str) -> list[tuple[str, Places]]:
    """Return the files there are, ``name`` and the second one, and the row of each of their items."""
    found = read_places(folder, name)
    places = found["place"].to_numpy().astype(np.int64)
    second = found["added"].to_numpy(zero_copy_only=False)
    files = [(name, places[~second])]
    return [*files, (added(name), places[second])] if second.any() else files


def _keys(contents: Sequence[str | None]) -> tuple[Keys, Places]:
    """Return a number for each item that is wanted, and the row that wants it.

    Rows of one content each get their own copy of it, under the number after.
    """
    rows = np.array([row for row, one in enumerate(contents) if one is not None], dtype=np.int64)
    digests = (blake2b(one.encode(), digest_size=8).digest() for one in contents if one is not None)
    keys = np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
    order = np.argsort(keys, kind="stable")
    same = np.append(False, keys[order][1:] == keys[order][:-1])[: len(keys)]
    run = np.arange(len(keys)) - np.maximum.accumulate(np.where(same, 0, np.arange(len(keys))))
    keys[order] += run.astype(np.uint64)
    return keys, rows


def _link(path: Path, link: Path) -> None:
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, link)
