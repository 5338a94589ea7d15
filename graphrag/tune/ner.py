"""Train the small spaCy pipeline of extraction without an LLM: parts of speech and names.

One layer of hash embeddings under four convolutions (Honnibal and others, "spaCy"; embeddings after
Miranda and others, "Multi hash embeddings in spaCy", 2022) is shared by a tagger of Penn Treebank tags and a
transition-based recogniser of names. Corpora that annotate one of the two are mixed; each teaches its part.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphrag.errors import ConfigError
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.tune.data.tagged import NAME_LABELS, TaggedCorpus, describe, training_example

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.training import Example

TOK2VEC, TAGGER, NER = "tok2vec", "tagger", "ner"
_BATCH_WORDS = 800  # smaller batches would spend most of the time in the optimiser
_WARM_UP = 40  # batches


@dataclass(frozen=True, slots=True)
class NerOptions:
    """How the pipeline is built and trained; equal options and data give an equal pipeline."""

    name: str = "names_sm"
    version: str = "1"
    width: int = 96
    depth: int = 4
    rows: tuple[int, int, int, int] = (4000, 1000, 2000, 1000)  # of lower-case form, prefix, suffix, shape
    epochs: int = 5
    dropout: float = 0.1
    learning_rate: float = 0.001
    seed: int = 0
    licence: str = "not stated"


@dataclass(frozen=True, slots=True)
class NerResult:
    """Where the pipeline lies, what it scores on the held-out texts, and what it cost."""

    folder: Path
    scores: dict[str, float]
    words: int
    cpu_seconds: float


def tune_ner(
    corpora: Sequence[TaggedCorpus],
    out: Path,
    *,
    options: NerOptions | None = None,
    progress: Progress | None = None,
) -> NerResult:
    """Train on the corpora and write the pipeline into the folder ``out``, which spaCy can load.

    A run takes minutes of one core, so a killed one is simply begun again. No word of the corpora is stored:
    embeddings are looked up by hash.

    Raises:
        ConfigError: ``out`` is there already, or the corpora lack tags or names.
    """
    from spacy.util import fix_random_seed

    options, progress = options or NerOptions(), progress or NoProgress()
    if out.exists():
        raise ConfigError(f"{out} is there already.", hint="Name another folder, or remove it.")
    texts = [text for corpus in corpora for text in corpus.train]
    if not any(text.tags for text in texts) or not any(text.names for text in texts):
        raise ConfigError(
            "Tags and names are both needed.", hint="Give at least one .conllu file and one file with names."
        )
    fix_random_seed(options.seed)
    nlp = _blank(options)
    examples = [training_example(nlp, text) for text in texts]
    words = sum(len(example.x) for example in examples)
    started = time.process_time()
    _train(nlp, examples, options, progress)
    cpu = time.process_time() - started
    held = [text for corpus in corpora for text in corpus.held_out]
    tried = _without_words(nlp, options)  # reading fills a vocabulary: the one kept reads none
    scores = evaluate_ner(tried, [training_example(tried, text) for text in held])
    nlp = _without_words(nlp, options)
    nlp.meta.update(
        name=options.name,
        version=options.version,
        description="Parts of speech and names for extraction without an LLM.",
        license=options.licence,
        sources=[describe(corpus) for corpus in corpora],
        performance=scores,
        training=asdict(options),
    )
    nlp.to_disk(out)
    return NerResult(out, scores, words, round(cpu, 1))


def evaluate_ner(nlp: Language, examples: Sequence[Example]) -> dict[str, float]:
    """Return tag accuracy, and precision, recall and F1 of names (span and type), as shares of 1."""
    if not examples:
        return {}
    scores = nlp.evaluate(list(examples))
    return {
        name: round(scores[name], 4) for name in ("tag_acc", "ents_p", "ents_r", "ents_f") if scores.get(name)
    }


def _blank(options: NerOptions) -> Language:
    import spacy

    nlp = spacy.blank("en")
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": options.width, "upstream": TOK2VEC}
    embed = {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": options.width,
        "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE"],
        "rows": list(options.rows),
        "include_static_vectors": False,
    }
    encode = {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": options.width,
        "depth": options.depth,
        "window_size": 1,
        "maxout_pieces": 3,
    }
    nlp.add_pipe(
        "tok2vec",
        TOK2VEC,
        config={"model": {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode}},
    )
    nlp.add_pipe(
        "tagger",
        TAGGER,
        config={"model": {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener}},
    )
    states = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "nO": None,
        "tok2vec": listener,
    }
    nlp.add_pipe("ner", NER, config={"model": states})
    return nlp


def _train(nlp: Language, examples: list[Example], options: NerOptions, progress: Progress) -> None:
    from spacy.training.batchers import minibatch_by_words
    from thinc.api import Adam, warmup_linear

    tags = sorted({tag for example in examples for tag in example.y.to_array("TAG").tolist() if tag})
    for tag in tags:
        nlp.get_pipe(TAGGER).add_label(nlp.vocab.strings[tag])
    for label in NAME_LABELS:
        nlp.get_pipe(NER).add_label(label)
    nlp.initialize(lambda: examples)
    total = options.epochs * len(examples)
    steps = options.epochs * sum(len(example.x) for example in examples) // _BATCH_WORDS
    rates: Any = warmup_linear(options.learning_rate, _WARM_UP, int(steps * 1.15) + _WARM_UP)
    optimizer = Adam(
        learn_rate=rates,
        L2=0.01,
        L2_is_weight_decay=True,
        grad_clip=1.0,
        use_averages=True,
    )
    progress.stage("training")
    progress.total(total, "texts")
    draw = random.Random(options.seed)  # noqa: S311 - an order, no secret
    order = list(examples)
    for _ in range(options.epochs):
        draw.shuffle(order)
        for batch in minibatch_by_words(order, size=_BATCH_WORDS):
            nlp.update(batch, sgd=optimizer, drop=options.dropout)
            optimizer.step_schedules()
            progress.advance(len(batch))
    with nlp.use_params(optimizer.averages):
        state = nlp.to_bytes()
    nlp.from_bytes(state)


def _without_words(nlp: Language, options: NerOptions) -> Language:
    """Return the same pipeline with an empty vocabulary: labels and weights, no word of the corpora."""
    import spacy

    fresh = _blank(options)
    for name in (TOK2VEC, TAGGER, NER):
        fresh.get_pipe(name).from_bytes(nlp.get_pipe(name).to_bytes(exclude=["vocab"]), exclude=["vocab"])
    for name in (TOK2VEC, TAGGER, NER):
        for node in fresh.get_pipe(name).model.walk():
            for parameter in node.param_names:
                if node.has_param(
                    parameter
                ):  # in half precision, so that they are packed into half the bytes
                    node.set_param(parameter, node.get_param(parameter).astype("float16").astype("float32"))
    for label in (*fresh.get_pipe(TAGGER).labels, *fresh.get_pipe(NER).labels):
        fresh.vocab.strings.add(label)
    fresh.meta["spacy_version"] = f">={spacy.about.__version__.rpartition('.')[0]},<4"
    return fresh
