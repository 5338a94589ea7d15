"""An encoder with random weights, and questions about invented places, for what needs no real model."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

WORDS = [
    "harbour", "lighthouse", "bakery", "castle", "bridge", "market", "school", "tower", "garden", "mill",
    "north", "south", "east", "west", "old", "new", "red", "green", "stone", "iron", "where", "is", "the", "of",
    "stands", "in", "near", "who", "built", "it", "was", "by", "a", "and", "river", "hill", "town", "coast",
]  # fmt: skip
PLACES = WORDS[:10]
SIDES = WORDS[10:20]


def small_encoder(folder: Path, *, seed: int = 0) -> Path:
    """Write a one-layer BERT with mean pooling, in the form of sentence-transformers."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from graphrag.llm.generation import quiet_transformers

    inner = folder / "inner"
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*marks, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=64,
    )  # fmt: skip
    fast.save_pretrained(inner)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    with quiet_transformers():
        BertModel(config).save_pretrained(inner)
        transformer = Transformer(str(inner))
        model = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode="mean")])
        model.save_pretrained(str(folder / "small"), create_model_card=False)
    return folder / "small"


def write_questions(folder: Path) -> tuple[Path, Path]:
    """Write 40 passages and a question to each; return the question file and the corpus file."""
    folder.mkdir(parents=True, exist_ok=True)
    passages, questions = [], []
    for number in range(40):
        place, side = PLACES[number % 10], SIDES[(number * 3 + number // 10) % 10]
        passages.append(
            {"id": f"p{number}", "text": f"{side} {place} stands near the river, {SIDES[number % 7]}"}
        )
        asked = f"where is the {side} {place} of number {number}"
        questions.append({"id": f"q{number}", "question": asked, "gold_passage_ids": [f"p{number}"]})
    for name, rows in (("corpus", passages), ("questions", questions)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder / "questions.jsonl.gz", folder / "corpus.jsonl.gz"
