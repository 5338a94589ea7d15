from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrag.errors import InputError
from graphrag.evaluate.questions import GoldQuestion, half_of, read_questions
from graphrag.tune.negatives import bm25_rankings, hard_negatives
from graphrag.tune.passages import TrainingSet, corpus_texts, from_files, held_out, opening, without_overlap
from tests.tune.small_encoder import write_questions


def question(text: str, *gold: str, answers: tuple[str, ...] = ()) -> GoldQuestion:
    return GoldQuestion(text, text, gold, answers)


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_passages_of_equal_text_are_one_and_titles_are_read(tmp_path: Path) -> None:
    corpus = write(
        tmp_path / "corpus.jsonl",
        [
            {"id": "a", "title": "Ostrel", "text": "It has a harbour."},
            {"id": "b", "title": "Ostrel", "text": "It has a harbour."},
            {"id": "c", "title": "Halcyon", "text": "Halcyon was a steamer."},
        ],
    )
    asked = write(
        tmp_path / "questions.jsonl",
        [
            {"question": "What has Ostrel?", "gold_passage_ids": ["a", "b"]},
            {"question": "What was the Halcyon?", "gold_passage_ids": ["c"]},
            {"question": "Without gold?"},
        ],
    )
    data = from_files([asked], [corpus])
    assert sorted(data.passages.values()) == ["Halcyon was a steamer.", "Ostrel\nIt has a harbour."]
    assert [data.gold_texts(one) for one in data.questions] == [
        ["Ostrel\nIt has a harbour."], ["Halcyon was a steamer."],
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"in none of the corpora.*--corpus"):
        from_files([asked], [write(tmp_path / "other.jsonl", [{"id": "z", "text": "x"}])])
    with pytest.raises(InputError, match="no corpus file"):
        corpus_texts(tmp_path / "nothing.jsonl")


def test_a_half_shares_no_passage_with_the_other(tmp_path: Path) -> None:
    texts = [f"Question number {number}?" for number in range(20)]
    corpus = write(tmp_path / "c.jsonl", [{"id": f"{n}", "text": f"passage {n}"} for n in range(30)])
    rows = [
        {"question": text, "gold_passage_ids": [f"{n}", f"{20 + n // 2}"]} for n, text in enumerate(texts)
    ]
    file = write(tmp_path / "q.jsonl", rows)
    train = from_files([file], [corpus], split="dev")
    other = {f"passage {n}" for one in read_questions(file, split="test") for n in one.gold}
    used = {text for one in train.questions for text in train.gold_texts(one)}
    assert train.questions
    assert all(half_of(one) == "dev" for one in train.questions)
    assert not used & other


def test_what_will_be_measured_on_is_left_out() -> None:
    data = TrainingSet(
        (question("one?", "a"), question("two?", "b"), question("both?", "a", "b")),
        {"a": "Ostrel\nIt has a harbour.", "b": "The Halcyon sailed.", "c": "Rye bread."},
    )
    left, gone = without_overlap(data, ["OSTREL: it has a harbour!", "something else"])
    assert [one.text for one in left.questions] == ["two?"]
    assert sorted(left.passages) == ["b", "c"]
    assert gone == 2
    assert opening("A b-C") == "abc"


def test_held_out_questions_share_no_passage_with_the_others() -> None:
    # Chains of four questions, each sharing a passage with the next.
    questions = tuple(question(f"{n}?", f"p{n}", f"p{n + (n % 4 < 3)}") for n in range(80))
    data = TrainingSet(questions, {f"p{n}": str(n) for n in range(90)})
    train, measured = held_out(data, 0.3)
    assert {one.text for one in train.questions} | {one.text for one in measured.questions} == {
        one.text for one in questions
    }
    sides = [{gold for one in part.questions for gold in one.gold} for part in (train, measured)]
    assert not sides[0] & sides[1]
    assert 8 <= len(measured.questions) <= 40
    again = held_out(TrainingSet(questions[::-1], data.passages), 0.3)[1]
    assert {one.text for one in again.questions} == {one.text for one in measured.questions}
    assert held_out(data, 0.0)[1].questions == ()


def test_hard_negatives_are_near_and_do_not_answer() -> None:
    passages = {
        "gold": "The harbour of Ostrel was built by Marta Velden.",
        "twin": "Marta Velden built the harbour of Ostrel, too.",
        "near": "The harbour of Ostrel has room for forty ships.",
        "far": "Sourdough needs flour.",
    }
    asked = question("Who built the harbour of Ostrel?", "gold", answers=("Marta Velden",))
    data = TrainingSet((asked,), passages)
    rankings = bm25_rankings(data.questions, data, 10)
    assert set(rankings[0][:3]) == {"gold", "twin", "near"}
    assert hard_negatives(data.questions, rankings, data, 2) == [["near"]]
    unanswered = TrainingSet((question(asked.text, "gold"),), passages)
    assert hard_negatives(unanswered.questions, rankings, unanswered, 1) == [["twin"]]


def test_the_small_questions_are_readable(tmp_path: Path) -> None:
    data = from_files(*([path] for path in write_questions(tmp_path)))
    assert (len(data.questions), len(data.passages)) == (40, 40)
