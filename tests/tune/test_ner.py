"""Training the small spaCy pipeline: what is read from which file, and that training trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphrag.errors import ConfigError, InputError
from graphrag.tune.data.tagged import TaggedCorpus, TaggedText, read_tagged, training_example
from graphrag.tune.ner import NerOptions, tune_ner

CONLLU = """# text = Bees don't sleep.
1\tBees\tbee\tNOUN\tNNS\t_\t4\tnsubj\t_\t_
2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
2\tdo\tdo\tAUX\tVBP\t_\t4\taux\t_\tSpaceAfter=No
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
4\tsleep\tsleep\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
5\t.\t.\tPUNCT\t.\t_\t4\tpunct\t_\t_
"""
IOB = "\n".join(
    f"{i}\t{word}\t{tag}\t-\t-"
    for i, (word, tag) in enumerate(
        [("Anna", "B-PER"), ("Boll", "I-PER"), ("read", "O"), ("Vanity", "O"), ("Fair", "O"), (".", "O")], 1
    )
)


def corpus(texts: list[TaggedText]) -> TaggedCorpus:
    return TaggedCorpus("made.conllu", "b2:0", tuple(texts), tuple(texts[:2]))


def test_parts_of_speech_are_read_with_the_spaces_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(CONLLU, encoding="utf-8")
    read = read_tagged(tmp_path / "a.conllu")
    (text,) = [*read.train, *read.held_out]
    assert text.text == "Bees don't sleep."
    assert list(zip(text.words, text.tags, strict=True))[1:3] == [("do", "VBP"), ("n't", "RB")]
    assert text.names is None


def test_what_a_corpus_of_names_leaves_open_is_unknown(tmp_path: Path) -> None:
    import spacy

    (tmp_path / "a.iob2").write_text(IOB, encoding="utf-8")
    read = read_tagged(tmp_path / "a.iob2")
    (text,) = [*read.train, *read.held_out]
    assert [text.text[s:e] for s, e, _ in text.names or ()] == ["Anna Boll"]
    assert [text.text[s:e] for s, e in text.unknown] == ["Vanity", "Fair"]  # may be a work
    example = training_example(spacy.blank("en"), text)
    assert [token.ent_iob_ for token in example.y] == ["B", "I", "O", "", "", "O"]


def test_gold_of_other_forms_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Anna", encoding="utf-8")
    with pytest.raises(InputError, match="no known form"):
        read_tagged(tmp_path / "a.txt")
    rows = [{"tokens": ["aspirin"], "entities": [{"type": "Drug", "start": 0, "end": 1}], "relations": []}]
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(InputError, match="no kinds of names"):
        read_tagged(tmp_path / "a.json")


def test_gold_names_come_with_pronouns_left_out(shared: Path) -> None:
    read = read_tagged(shared / "data" / "redocred" / "dev.json.gz")
    assert (len(read.train), len(read.held_out)) == (408, 92)  # what is held out everywhere stays held out
    names = {text.text[s:e].lower() for text in read.train for s, e, _ in text.names or ()}
    assert not names & {"he", "she", "it", "they"}
    assert {label for text in read.train for _, _, label in text.names or ()} >= {"PER", "TIME", "MISC"}


@pytest.mark.filterwarnings("error")
def test_a_pipeline_learns_and_loads_and_holds_no_word(tmp_path: Path) -> None:
    import spacy

    people, verbs = ("Anna", "Carl", "Eva", "Otto"), ("met", "saw", "knew")
    tagged, named = [], []
    for person in people:
        for verb in verbs:
            words = (person, verb, "the", "zyxwish", "doctor", ".")
            tagged.append(
                TaggedText(
                    f"{person} {verb} the zyxwish doctor .", words, ("NNP", "VBD", "DT", "JJ", "NN", ".")
                )
            )
            named.append(TaggedText(f"{person} {verb} the zyxwish doctor.", names=((0, len(person), "PER"),)))
    options = NerOptions(width=32, depth=1, rows=(200, 100, 100, 100), epochs=40, learning_rate=0.01)
    first = tune_ner([corpus(tagged), corpus(named)], tmp_path / "one", options=options)
    assert first.scores["tag_acc"] > 0.9
    assert first.scores["ents_f"] > 0.9
    pipeline = spacy.load(tmp_path / "one")
    assert [(span.text, span.label_) for span in pipeline("Eva met the zyxwish doctor.").ents] == [
        ("Eva", "PER")
    ]
    assert "zyxwish" not in (tmp_path / "one" / "vocab" / "strings.json").read_text(encoding="utf-8")
    tune_ner([corpus(tagged), corpus(named)], tmp_path / "two", options=options)
    for part in ("tok2vec", "tagger", "ner"):
        assert (tmp_path / "one" / part / "model").read_bytes() == (
            tmp_path / "two" / part / "model"
        ).read_bytes()


def test_tags_and_names_are_both_needed_and_nothing_is_overwritten(tmp_path: Path) -> None:
    text = TaggedText("Anna met Carl.", names=((0, 4, "PER"),))
    with pytest.raises(ConfigError, match="both needed"):
        tune_ner([corpus([text])], tmp_path / "new")
    with pytest.raises(ConfigError, match="there already"):
        tune_ner([corpus([text])], tmp_path)
