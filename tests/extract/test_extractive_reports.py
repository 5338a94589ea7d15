from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from graphrag.embed.fake import FakeEmbedder
from graphrag.extract.extractive_reports import (
    ContextSentence,
    candidate_sentences,
    extract_report,
    extractive_report_key,
)
from graphrag.extract.report_context import CommunityRows, ContextClaim, ContextEntity, ContextRelationship
from graphrag.extract.reports import Report
from graphrag.settings import ReportSettings

ENTITIES = [
    ContextEntity("e:s", "Scrooge", "person", "A miser.", degree=3, frequency=9),
    ContextEntity("e:m", "Marley", "person", "A ghost.", degree=2, frequency=4),
    ContextEntity("e:c", "Cratchit", "person", "A clerk.", degree=1, frequency=3),
    ContextEntity("e:t", "Tim", "person", "A boy.", degree=0, frequency=1),
]
EDGES = [
    ContextRelationship("r:sm", "e:s", "e:m", "partner of", "made up by a model", 5.0),
    ContextRelationship("r:sc", "e:s", "e:c", "employs", "made up by a model", 1.0),
]
CLAIMS = [
    ContextClaim(
        "c:1",
        "e:m",
        "Marley",
        None,
        "death",
        "TRUE",
        "made up",
        source_text="Old Marley was as dead as a door-nail.",
    ),
    ContextClaim("c:2", "e:m", "Marley", None, "death", "TRUE", "made up", source_text=""),
]
ROWS = CommunityRows(ENTITIES, EDGES, CLAIMS)
TEXTS = [
    ("Scrooge and Marley were partners for many years in the City.", ("e:s", "e:m")),
    ("Scrooge kept his door open upon Cratchit, his clerk in the City.", ("e:s", "e:c")),
    ("Marley was dead, to begin with, and Scrooge signed the register.", ("e:s", "e:m")),
    ("The fog came pouring in at every chink and keyhole of Scrooge.", ("e:s",)),
    ("Tim hoped the people saw him in the church on Christmas Day.", ("e:t",)),
    ("Cratchit tried to warm himself at the candle, and failed in it.", ("e:c",)),
]
SENTENCES = [
    ContextSentence(text, f"u{n // 3}", 100 * n, 100 * n + len(text), members)
    for n, (text, members) in enumerate(TEXTS)
]
SETTINGS = ReportSettings(max_findings=5)


def report(
    rows: CommunityRows = ROWS, sentences: list[ContextSentence] = SENTENCES, findings: int = 5
) -> Report:
    vectors = FakeEmbedder().embed([row.text for row in sentences])
    return extract_report(rows, sentences, vectors, ReportSettings(max_findings=findings))


def test_nothing_is_generated() -> None:
    found = report()
    said = [text for text, _ in TEXTS] + [CLAIMS[0].source_text]
    assert found.findings
    for finding in found.findings:
        assert finding.explanation in said
        assert set(finding.summary.replace(" – ", ", ").split(", ")) <= {row.title for row in ENTITIES}
    left = found.summary
    for text, _ in TEXTS:
        left = left.replace(text, "")
    assert left.strip() == ""
    assert found.method == "extractive"
    assert found.removed_citations == 0
    assert found.title == "Scrooge, Marley, Cratchit"


def test_findings_cite_what_they_are_about_and_where_it_is_said() -> None:
    by_sentence = {row.text: row for row in SENTENCES}
    found = report(findings=12)
    assert found.uncited_findings == 0
    cited = [row_id for finding in found.findings for row_id in finding.citations]
    assert {"r:sm", "r:sc", "c:1"} <= set(cited)
    for finding in found.findings:
        first = finding.citations[0]
        if first.startswith("r:"):
            edge = next(row for row in EDGES if row.id == first)
            assert {edge.source_id, edge.target_id} <= set(by_sentence[finding.explanation].entity_ids)
        if not first.startswith("c:"):
            assert finding.citations[-1] == by_sentence[finding.explanation].text_unit_id


def test_no_sentence_is_used_twice_and_the_summary_is_not_repeated_without_need() -> None:
    found = report(findings=3)
    explanations = [finding.explanation for finding in found.findings]
    assert len(explanations) == len(set(explanations)) == 3
    assert not any(text in found.summary for text in explanations)


def test_summary_sentences_stand_in_source_order() -> None:
    summary = report().summary
    places = [summary.find(row.text) for row in SENTENCES if row.text in summary]
    assert len(places) == 3
    assert places == sorted(places)


def test_a_lonely_entity_and_a_community_without_text() -> None:
    alone = report(CommunityRows([ENTITIES[3]]), [SENTENCES[4]])
    assert (alone.title, alone.summary) == ("Tim", TEXTS[4][0])
    assert alone.findings[0].citations == ("e:t", "u1")
    silent = report(sentences=[])
    assert silent.summary == "A miser. A ghost. A clerk."
    assert [finding.citations for finding in silent.findings] == [("c:1",)]
    bare = report(CommunityRows([replace(ENTITIES[3], description="")]), [])
    assert (bare.summary, bare.findings) == ("Tim", ())


def test_the_rank_is_computed_and_grows_with_the_community() -> None:
    small, large = report(CommunityRows([ENTITIES[3]]), []), report()
    assert 0.0 < small.rank < large.rank < 10.0
    size, degree, frequency = 4 / 14, 6 / 46, 17 / 57
    assert large.rank == pytest.approx(10 * (size + degree + frequency) / 3, abs=0.01)
    assert "4 entities" in large.rating_explanation
    assert "not judged" in large.rating_explanation


def test_row_order_does_not_matter() -> None:
    rng = random.Random(4)
    mixed = CommunityRows(
        rng.sample(ENTITIES, len(ENTITIES)), rng.sample(EDGES, len(EDGES)), rng.sample(CLAIMS, len(CLAIMS))
    )
    assert report(mixed) == report()
    other = candidate_sentences(rng.sample(SENTENCES, len(SENTENCES)))
    assert other == SENTENCES
    assert extractive_report_key(mixed, other, SETTINGS, "m") == extractive_report_key(
        ROWS, SENTENCES, SETTINGS, "m"
    )


def test_the_key_knows_all_that_the_report_shows() -> None:
    def key(
        rows: CommunityRows = ROWS, sentences: list[ContextSentence] = SENTENCES, n: int = 5, m: str = "m"
    ) -> str:
        return extractive_report_key(rows, sentences, ReportSettings(max_findings=n), m)

    keys = {
        key(),
        key(n=4),
        key(m="other"),
        key(sentences=SENTENCES[1:]),
        key(replace(ROWS, relationships=EDGES[1:])),
        key(replace(ROWS, relationships=[replace(EDGES[0], weight=6.0), EDGES[1]])),
        key(replace(ROWS, claims=[])),
        key(replace(ROWS, entities=[replace(ENTITIES[0], frequency=10), *ENTITIES[1:]])),
    }
    assert len(keys) == 8


def test_candidates_are_telling_sentences_each_once() -> None:
    noise = [
        ContextSentence("# Stave One: the whole of the ghost story", "u0", 0, 1, ("e:s", "e:m")),
        ContextSentence("Humbug!", "u0", 2, 3, ("e:s",)),
        ContextSentence(TEXTS[0][0].upper().replace(" ", "  "), "u9", 0, 5, ("e:s",)),
    ]
    assert candidate_sentences([*SENTENCES, *noise]) == SENTENCES
    assert candidate_sentences(noise[:2]) == noise[:2]
    best = candidate_sentences(SENTENCES, limit=3)
    assert best == SENTENCES[:3]


def test_vectors_must_belong_to_the_sentences() -> None:
    with pytest.raises(ValueError, match="2 vectors for 6"):
        extract_report(ROWS, SENTENCES, np.eye(2), SETTINGS)
