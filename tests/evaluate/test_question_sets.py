"""Question sets made from a real small index, by rule and by a fake model; files that every command reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphrag.api import GraphRAG
from graphrag.cli.main import app
from graphrag.embed.fake import FakeEmbedder
from graphrag.errors import BudgetExceededError, ConfigError, InputError, LLMError
from graphrag.evaluate.question_sets import copies, fault_of, fitted
from graphrag.evaluate.question_wording import wording
from graphrag.evaluate.questions import PassageIds, read_questions
from graphrag.llm.base import ChatRequest
from graphrag.llm.fake import FakeChatModel

TEXTS = {
    "harbour": "The harbour of Ostrel was built in 1871 by the engineer Marta Velden, who had studied bridges. "
    "It has room for forty ships, and the lighthouse on its eastern pier was lit for thirty years.",
    "velden": "Marta Velden was born in Karlsund. Her father kept bees behind the mill, and she walked to the "
    "school of the next village every day, as the winters of those years were long and the roads poor.",
    "lund": "The bakery of Pieter Lund opened in 1902. Pieter Lund was born in Tolme. Rye bread sold best, and "
    "in winter the bakery gave bread to the poor of the town, for which nobody thanked him in public.",
    "book": "The Long Crossing was written by Ines Moor. The book tells of storms, of salt and of mail that came "
    "too late; it was printed forty times, and every sailor of the southern islands owned a copy of it.",
    "moor": "Ines Moor was born in Velm. She commanded a steamer until 1899 and then wrote at a desk by the "
    "window, from which one saw the sea, as she told every visitor who wanted to hear about her life.",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("questions")
    rag = GraphRAG.init(root, embedder=FakeEmbedder(64))
    records = [json.dumps({"id": name, "title": name, "text": text}) for name, text in TEXTS.items()]
    (root / "input" / "all.jsonl").write_text("\n".join(records), encoding="utf-8")
    rag.index(method="fast")
    return root


def open_(project: Path, answer: Callable[[ChatRequest], str] = lambda _: "{}") -> GraphRAG:
    model = FakeChatModel(answer, model_id=answer.__qualname__)  # one cache of answers for all tests
    return GraphRAG.open(project, embedder=FakeEmbedder(64), chat_model=model)


def writes(request: ChatRequest) -> str:
    """Ask who or what each passage is about, and answer by looking for it in what was given."""
    text = request.messages[-1].content
    if request.task == "answer_from_passages":
        asked = text.rpartition("Question: ")[2]
        known = {"harbour": "Marta Velden", "bakery": "Pieter Lund", "Long Crossing": "Ines Moor"}
        found = next((who for what, who in known.items() if what in asked and who in text), "")
        return json.dumps({"answer": found.upper()})
    if "harbour of Ostrel" in text:
        quote = TEXTS["harbour"].partition(". ")[0] + "."
        return json.dumps(
            {"question": "Which person made the harbour?", "answer": "Marta Velden", "evidence": [quote]}
        )
    if "bakery of Pieter" in text:
        return json.dumps({"question": "Who ran a bakery that the passage names?", "answer": "Pieter Lund"})
    if "Long Crossing" in text:
        return json.dumps({"question": "Who is behind the Long Crossing?", "answer": "Ines Moor"})
    return json.dumps({"question": "What colour was the steamer of the captain?", "answer": "salt"})


# -- what is refused ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("question", "answer", "fault"),
    [
        ("Who made the harbour?", "Marta Velden", None),
        ("", "Marta Velden", "empty"),
        ("Who made the harbour?", "…", "empty"),
        ("According to the text, who made it?", "Marta Velden", "speaks of the passage"),
        ("Who is named in this passage?", "Marta Velden", "speaks of the passage"),
        ("이 글에 따르면 누가 지었나?", "Marta Velden", "speaks of the passage"),
        ("Did Marta Velden make it?", "marta velden", "gives its answer away"),
        ("Who made the harbour?", "Jonas Brack", "its answer is not in the passage"),
        ("The harbour of Ostrel was built in what year?", "1871", "copies the passage"),
    ],
)
def test_questions_of_no_use_are_refused(question: str, answer: str, fault: str | None) -> None:
    assert fault_of(question, answer, [TEXTS["harbour"]]) == fault


def test_a_run_of_words_is_a_copy_where_it_is_most_of_the_question() -> None:
    passage = "In the spring of that year nine men left the old town by the northern gate."
    assert copies("in the spring of that year nine men left the what?", passage)
    assert copies("Who left the old town by the gate?", "They left the old town by the gate.")
    assert not copies("Where did people go who, in winter, had left the old town by sea?", passage)


# -- by rule --------------------------------------------------------------------------------------------
def test_only_predicates_of_certain_grammar_that_fit_their_ends_are_asked_for() -> None:
    person, place, work = ("Ines Moor", "person"), ("Velm", "place"), ("The Long Crossing", "work")
    born, written = wording("born in", person, place), wording("written by", work, person)
    assert born is not None
    assert written is not None
    assert born.asks_tail("Ines Moor") == "Ines Moor was born in which place?"
    assert born.asks_head("Velm") == "who was born in Velm?"
    assert written.asks_head("Ines Moor") == "which work was written by Ines Moor?"
    assert written.describes_tail("The Long Crossing") == "the person that The Long Crossing was written by"
    year = wording("built in", ("harbour", "concept"), ("1871", "concept"))
    assert year is not None
    assert year.asks_tail("The harbour") == "The harbour was built in which year?"
    wife = wording("wife of", ("Ada", ""), ("Bert", "concept"))
    assert wife is not None
    assert wife.asks_tail("Ada") == "Ada was the wife of whom?"
    for predicate in ("related to", "is", "of", "restoring historic", "", "known as"):
        assert wording(predicate, person, place) is None
    assert wording("born in", place, place) is None
    assert wording("wife of", person, place) is None


def test_questions_by_rule_have_one_answer_in_their_passages(project: Path, tmp_path: Path) -> None:
    rag = open_(project)
    made, usage = rag.make_questions(tmp_path / "q.jsonl", count=10, by="graph", two_hop=0.4)
    assert usage.total().calls == 0
    texts = {one["id"]: one["text"] for one in rag.open_index().table("text_units").to_pylist()}
    documents = {one["id"]: one["text"] for one in rag.open_index().table("documents").to_pylist()}
    by_text = {one.text: one for one in made.questions}
    two_hop = by_text["The person that Long Crossing was written by was born in which place?"]
    assert two_hop.answer == "Velm"
    assert [texts[one] for one in two_hop.gold] == [TEXTS["book"], TEXTS["moor"]]
    one_hop = by_text["Who was born in Tolme?"]
    assert [texts[one] for one in one_hop.gold] == [TEXTS["lund"]]
    (span,) = one_hop.spans
    assert documents[span.document_id][span.start : span.end] == "Pieter Lund was born in Tolme."
    for one in made.questions:
        assert any(one.answer in texts[unit] for unit in one.gold)
    again, _ = rag.make_questions(tmp_path / "again.jsonl", count=10, by="graph", two_hop=0.4)
    assert again == made
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "q.jsonl").read_bytes()


def test_what_was_made_is_what_evaluate_and_optimize_read(project: Path, tmp_path: Path) -> None:
    rag = open_(project)
    rag.make_questions(tmp_path / "q.jsonl", count=10, by="graph")
    rows = rag.evaluate_retrieval(tmp_path / "q.jsonl", retrievers=["bm25"], split="all")
    assert rows[0]["n"] == len(read_questions(tmp_path / "q.jsonl"))
    assert rows[0]["recall@5"] > 0.8


def test_gold_is_found_again_in_an_index_of_other_chunks(project: Path, tmp_path: Path) -> None:
    open_(project).make_questions(tmp_path / "q.jsonl", count=10, by="graph")
    questions = read_questions(tmp_path / "q.jsonl")
    assert fitted(questions, open_(project).open_index()) == questions
    other = GraphRAG.init(
        tmp_path / "other", embedder=FakeEmbedder(64), settings={"chunking": {"size": 16, "overlap": 0}}
    )
    (tmp_path / "other" / "input" / "all.jsonl").write_bytes((project / "input" / "all.jsonl").read_bytes())
    other.index(method="fast")
    index = other.open_index()
    with pytest.raises(InputError, match="not in this index"):
        PassageIds.of(index, questions)
    units = {row["id"]: row["text"] for row in index.table("text_units").to_pylist()}
    asked = {one.text: one for one in fitted(questions, index)}
    moved = asked["The person that Long Crossing was written by was born in which place?"]
    assert "Ines Moor was born in Velm" in " ".join(units[one] for one in moved.gold)
    assert other.evaluate_retrieval(tmp_path / "q.jsonl", split="all")[0]["n"] == len(questions)


# -- by a model -----------------------------------------------------------------------------------------
def test_a_model_s_questions_are_asked_back_and_the_bad_ones_refused(project: Path, tmp_path: Path) -> None:
    def checked(request: ChatRequest) -> str:
        return writes(request)

    rag = open_(project, checked)
    made, usage = rag.make_questions(tmp_path / "q.jsonl", count=5, by="llm", two_hop=0.0)
    assert {one.text: one.answer for one in made.questions} == {
        "Which person made the harbour?": "Marta Velden",
        "Who is behind the Long Crossing?": "Ines Moor",
    }
    assert made.refused == {"speaks of the passage": 1, "its answer is not in the passage": 2}
    assert {task: one.calls for (task, _), one in usage.by_task().items()} == {
        "make_question": 5,
        "answer_from_passages": 2,
    }
    harbour = next(one for one in made.questions if "harbour" in one.text)
    index = rag.open_index()
    text = index.row("documents", harbour.spans[0].document_id)["text"]  # type: ignore[index]
    assert text[harbour.spans[0].start : harbour.spans[0].end].endswith("who had studied bridges.")
    _, again = open_(project, checked).make_questions(tmp_path / "q.jsonl", count=5, by="llm", two_hop=0.0)
    assert (again.total().calls, again.total().cached_calls) == (0, 7)


def test_what_the_passage_does_not_answer_is_refused(project: Path, tmp_path: Path) -> None:
    def evasive(request: ChatRequest) -> str:
        if request.task == "answer_from_passages":
            return json.dumps({"answer": ""})
        return json.dumps({"question": "Who did it?", "answer": "Pieter Lund"})

    with pytest.raises(InputError, match=r"No question could be kept .*1 × not answerable from the passage"):
        open_(project, evasive).make_questions(tmp_path / "q.jsonl", count=5, by="llm", two_hop=0.0)
    assert not (tmp_path / "q.jsonl").exists()


def test_two_passages_are_needed_or_the_question_is_refused(project: Path, tmp_path: Path) -> None:
    told: list[int] = []

    def joins(request: ChatRequest) -> str:
        told.append(request.messages[-1].content.count("<passage>"))
        if request.task == "make_question":
            asked = "Where was the author of the tale of storms and salt born?"
            return json.dumps({"question": asked, "answer": "Velm", "evidence": []})
        return json.dumps({"answer": "Velm" if told[-1] == 2 else ""})

    made, _ = open_(project, joins).make_questions(tmp_path / "q.jsonl", count=1, by="llm", two_hop=1.0)
    (one,) = made.questions
    assert len(one.gold) == 2
    assert told[-4:] == [2, 2, 1, 1]

    def alone(request: ChatRequest) -> str:
        return joins(request) if request.task == "make_question" else json.dumps({"answer": "Velm"})

    with pytest.raises(InputError, match="one of its two passages is enough"):
        open_(project, alone).make_questions(tmp_path / "r.jsonl", count=1, by="llm", two_hop=1.0)


def test_failures_are_counted_and_nothing_but_failures_is_an_error(project: Path, tmp_path: Path) -> None:
    def broken(_: ChatRequest) -> str:
        raise LLMError("overloaded", retryable=True)

    with pytest.raises(LLMError, match=r"No question was written\. The first failure: overloaded"):
        open_(project, broken).make_questions(tmp_path / "q.jsonl", count=2, by="llm")

    def refuses(_: ChatRequest) -> str:
        raise LLMError("no such model")

    with pytest.raises(LLMError, match="no such model"):
        open_(project, refuses).make_questions(tmp_path / "q.jsonl", count=2, by="llm")


def test_a_budget_ends_it_before_more_is_spent(project: Path, tmp_path: Path) -> None:
    def dear(request: ChatRequest) -> str:
        return writes(request)

    with pytest.raises(BudgetExceededError):
        open_(project, dear).make_questions(tmp_path / "q.jsonl", count=5, by="llm", two_hop=0.0, budget="50")


# -- the command ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("spelling", ["make-questions", "--make-questions"])
def test_the_command_says_what_it_made_and_what_to_do_next(
    project: Path, tmp_path: Path, spelling: str
) -> None:
    target = tmp_path / "q.jsonl"
    arguments = ["evaluate", spelling, "--root", str(project), "-o", str(target), "-n", "50"]
    run = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert run.exit_code == 0, run.output
    said = re.sub(r"\s+", " ", run.output)
    assert re.search(
        r"\d+ questions, \d+ of them over two passages; \d+ in the half `dev`, \d+ in `test`", said
    )
    assert "Fewer than the 50" in said
    assert f"graphrag evaluate retrieval --root {project} --questions {target}" in said
    with pytest.raises(ConfigError, match=r"is there already.*--force"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    with pytest.raises(ConfigError, match="by 'luck'"):
        CliRunner().invoke(app, [*arguments, "--force", "--by", "luck"], catch_exceptions=False)
