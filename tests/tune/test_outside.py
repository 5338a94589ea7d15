"""Methods that leave the model as it is: demonstrations, and a classifier on frozen states."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphrag.embed import FakeEmbedder
from graphrag.errors import ConfigError
from graphrag.evaluate.extractors import measured_extractor
from graphrag.extract.compact import ExtractionSchema, parse_compact
from graphrag.tune.base import choose_path, count_parameters, load_base
from graphrag.tune.demonstrations import Demonstrations
from graphrag.tune.examples import Pair
from graphrag.tune.features import WEIGHTS, FeatureClassifier, fit_features
from graphrag.tune.methods import METHODS, get_method
from graphrag.tune.trainer import TuneOptions, tune

SYSTEM = ("system", "entities: person, place\nrelations: lives in")


def facts(number: int) -> Pair:
    name, place = f"Ann Berg{number}", f"Oslo{number}"
    return (
        (SYSTEM, ("user", f"It was said that {name} lives in {place}.")),
        f" {name}| person\n> lives in| {place}\n {place}| place",
    )


PAIRS: list[Pair] = [facts(number) for number in range(12)]


def test_the_most_similar_examples_are_shown_the_nearest_last(tmp_path: Path) -> None:
    other: Pair = ((("system", "entities: any\nrelations: any"), ("user", "red green blue")), "NONE")
    pairs: list[Pair] = [
        ((SYSTEM, ("user", "red apples")), "1"),
        ((SYSTEM, ("user", "red green apples")), "2"),
        ((SYSTEM, ("user", "grey stones")), "3"),
        other,
    ]
    shown = Demonstrations(pairs, 2, FakeEmbedder())
    turns = shown.before((SYSTEM, ("user", "red green pears")))
    assert turns == [
        SYSTEM,
        ("user", "red apples"),
        ("assistant", "1"),
        ("user", "red green apples"),
        ("assistant", "2"),
        ("user", "red green pears"),
    ]
    # Another schema's examples come only when those of one's own are not enough.
    assert other in Demonstrations(pairs, 4, FakeEmbedder()).similar((SYSTEM, ("user", "red green pears")))
    assert shown.for_text(SYSTEM[1], "red green pears") == [("red apples", "1"), ("red green apples", "2")]
    shown.save(tmp_path)
    again = Demonstrations.load(tmp_path, FakeEmbedder())
    assert (again.shown, [list(map(tuple, p)) for p, _ in again.pairs]) == (2, [list(p) for p, _ in pairs])
    with pytest.raises(ConfigError, match="no demonstrations"):
        Demonstrations.load(tmp_path / "no", FakeEmbedder())


def test_a_classifier_learns_leaves_the_model_alone_and_is_read_back_bit_for_bit(
    tiny: Path, tmp_path: Path
) -> None:
    model, tokenizer = load_base(str(tiny), choose_path(get_method("features"), bits=32))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fitted, history = fit_features(model.eval(), tokenizer, PAIRS, depth=0.5, learning_rate=1e-2)
    assert history[-1]["loss"] < history[0]["loss"] / 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    width, types, predicates = model.config.hidden_size, 2, 2  # of predicates, one is: none
    assert fitted.parameters == (2 * width + 1) * (2 * types + 1) + (3 * width + 1) * predicates
    schema = ExtractionSchema(("person", "place"), ("lives in",))
    text = "It was said that Ann Berg3 lives in Oslo3."
    found = fitted.extract(text, schema)
    gold = parse_compact(PAIRS[3][1])
    assert {(one.name, one.type) for one in found.entities} == {(one.name, one.type) for one in gold.entities}
    assert [(one.head, one.predicate, one.tail) for one in found.relations] == [
        ("Ann Berg3", "lives in", "Oslo3")
    ]
    only = fitted.extract(text, ExtractionSchema(("place",), ("works for",)))
    assert {one.type for one in only.entities} <= {"place"}
    assert not only.relations
    fitted.save(tmp_path)
    again = FeatureClassifier.load(tmp_path, model, tokenizer)
    assert all(torch.equal(weight, fitted.weights[name]) for name, weight in again.weights.items())
    assert again.extract(text, schema) == found
    model.config.hidden_size = 7
    with pytest.raises(ConfigError, match="7"):
        FeatureClassifier.load(tmp_path, model, tokenizer)
    with pytest.raises(ConfigError, match="nothing to tag"):
        model.config.hidden_size = width
        fit_features(model, tokenizer, [("a b", "NONE")], depth=0.5, learning_rate=1e-2)


def test_both_are_made_by_the_call_that_tunes(tiny: Path, tmp_path: Path) -> None:
    results = {
        name: tune(str(tiny), PAIRS, tmp_path / name, options=TuneOptions(method=name, bits=32))
        for name in ("in-context", "features")
    }
    base, _ = load_base(str(tiny), choose_path(get_method("lora"), bits=32))
    assert results["in-context"].trainable_parameters == 0
    assert results["in-context"].total_parameters == count_parameters(base).total
    saved = load_file(tmp_path / "features" / WEIGHTS)
    assert results["features"].trainable_parameters == sum(tensor.numel() for tensor in saved.values())
    assert (tmp_path / "features" / "README.md").is_file()
    # Called again, a finished run is returned.
    assert tune(
        str(tiny), PAIRS, tmp_path / "features", options=TuneOptions(method="features", bits=32)
    ).bytes
    for name in ("in-context", "features"):
        assert not METHODS[name].trains_model
        with pytest.raises(ConfigError, match="nothing inside"):
            METHODS[name].prepare(base, {})
    assert type(measured_extractor(str(tmp_path / "in-context"))).__name__ == "ModelExtractor"
