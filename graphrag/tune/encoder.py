"""Train encoders with sentence-transformers: batches, checkpoints to go on from, LoRA, and saving."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graphrag.embed.sentence_transformer import TUNING_RECORD
from graphrag.errors import ConfigError, MissingExtraError
from graphrag.hashing import canonical_json
from graphrag.indexing.progress import Progress
from graphrag.llm.generation import quiet_transformers
from graphrag.weights import weights_hash

_STATE = "loss.safetensors"
_LAST_WRITTEN = "trainer_state.json"


@dataclass(frozen=True, slots=True)
class EncoderTraining:
    """How an encoder is trained. ``lora_rank`` 0 trains every weight."""

    epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 2e-5
    max_length: int = 160
    warmup: float = 0.1
    lora_rank: int = 0
    seed: int = 42
    save_steps: int = 20


@dataclass(frozen=True, slots=True)
class TunedModel:
    """Where a tuned model lies, its id (name and hash of the weights), and what it was made of."""

    folder: Path
    model_id: str
    record: dict[str, Any]


def conflict_free_batches(
    held: Sequence[frozenset[str]], gold: Sequence[frozenset[str]], size: int, order: Sequence[int]
) -> list[list[int]]:
    """Put rows into batches in which no row holds a passage that answers another row's question.

    In-batch training takes every other row's passages as negatives, so one that answers would be a
    false negative; DPR itself does not look. ``held`` are the passages of a row, ``gold`` all those
    that answer its question. Each row of ``order`` goes into the first open batch that takes it.
    """
    full: list[list[int]] = []
    open_: list[tuple[list[int], set[str], set[str]]] = []
    for row in order:
        fitting = (one for one in open_ if not held[row] & one[2] and not gold[row] & one[1])
        found = next(fitting, None)
        if found is None:
            found = ([], set(), set())
            open_.append(found)
        batch, holds, answers = found
        batch.append(row)
        holds |= held[row]
        answers |= gold[row]
        if len(batch) == size:
            full.append(batch)
            open_ = [one for one in open_ if one[0] is not batch]
    return full + [batch for batch, _, _ in open_]


def batch_sampler(held: Sequence[frozenset[str]], gold: Sequence[frozenset[str]]) -> Callable[..., Any]:
    """Return what makes the trainer's batches: :func:`conflict_free_batches`, a new order per epoch."""
    import torch
    from sentence_transformers.base.sampler import DefaultBatchSampler

    class Sampler(DefaultBatchSampler):  # type: ignore[misc]
        def _batches(self) -> list[list[int]]:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(len(held), generator=generator).tolist()
            batches = conflict_free_batches(held, gold, self.batch_size, order)
            # A batch of one row has no negatives but its own; such leftovers would be the last of each epoch.
            shuffled = torch.randperm(len(batches), generator=generator).tolist()
            return [batches[place] for place in shuffled]

        def __iter__(self) -> Iterator[list[int]]:
            yield from self._batches()

        def __len__(self) -> int:
            return len(self._batches())

    return Sampler


def require_training() -> None:
    """Raise MissingExtraError unless sentence-transformers and datasets are installed."""
    from importlib.util import find_spec

    for package in ("sentence_transformers", "datasets"):
        if find_spec(package) is None:
            raise MissingExtraError("Tuning a retriever or reranker", package, "tune")


def load_encoder(source: str, training: EncoderTraining) -> Any:
    """Load a sentence-transformers model for training, with a LoRA adapter where wanted.

    Raises:
        ConfigError: it cannot be loaded.
        MissingExtraError: a package that training needs is not installed.
    """
    require_training()
    from sentence_transformers import SentenceTransformer

    try:
        with quiet_transformers():
            model = SentenceTransformer(source)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The encoder {source!r} could not be loaded: {error}.") from error
    model.max_seq_length = min(training.max_length, model.max_seq_length or training.max_length)
    return with_lora(model, training.lora_rank)


def with_lora(model: Any, rank: int) -> Any:
    """Put LoRA adapters of ``rank`` on every linear layer of a model; 0 leaves it as it is."""
    if not rank:
        return model
    try:
        from peft import LoraConfig
    except ImportError:
        raise MissingExtraError("LoRA", "peft", "tune") from None
    layers = sorted(
        {
            name
            for name, module in model.transformers_model.named_modules()
            if type(module).__name__ == "Linear" and not name.startswith(("pooler", "classifier"))
        }
    )
    model.add_adapter(LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=layers))
    return model


def merged(model: Any) -> Any:
    """Fold LoRA adapters into the weights, so that the model can be read without peft."""
    inner = model.transformers_model
    if not getattr(inner, "_hf_peft_config_loaded", False):
        return model
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(inner.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, last = name.rpartition(".")
            setattr(inner.get_submodule(parent), last, module.get_base_layer())
    inner._hf_peft_config_loaded = False
    del inner.peft_config
    return model


def fit_encoder(
    model: Any,
    rows: dict[str, list[Any]],
    loss: Any,
    training: EncoderTraining,
    work: Path,
    progress: Progress,
    **options: Any,
) -> float:
    """Train a model that gives one vector per text; see :func:`fit`."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    return fit(
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        model,
        rows,
        loss,
        training,
        work,
        progress,
        **options,
    )


def fit(
    trainer_class: Any,
    arguments_class: Any,
    model: Any,
    rows: dict[str, list[Any]],
    loss: Any,
    training: EncoderTraining,
    work: Path,
    progress: Progress,
    *,
    sampler: Callable[..., Any] | None = None,
) -> float:
    """Train ``model`` on ``rows`` (column to values) and return the mean loss of the last tenth of steps.

    Checkpoints go into ``work`` every ``save_steps``; a run that was interrupted goes on
    from the last one, with the same batches. Deterministic on one device and library version.
    """
    import torch
    from datasets import Dataset

    work.mkdir(parents=True, exist_ok=True)

    class Trainer(trainer_class):  # type: ignore[misc]
        # The arguments are written into every checkpoint, so a sampler that holds data cannot be one.
        def get_batch_sampler(self, dataset: Any, **options: Any) -> Any:
            made = super().get_batch_sampler if sampler is None else sampler
            return made(dataset, **options)

        def add_model_card_callback(self, *_: Any) -> None:
            """Write no model card: it would come with examples drawn from the user's data."""

    arguments = arguments_class(
        output_dir=str(work),
        num_train_epochs=training.epochs,
        per_device_train_batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        warmup_steps=training.warmup,
        save_strategy="steps",
        save_steps=training.save_steps,
        save_total_limit=1,
        logging_steps=1,
        seed=training.seed,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(rows),
        loss=loss,
        callbacks=[_callback(loss, progress)],
    )
    _say_nothing(trainer)
    last = _last_checkpoint(work)
    if last is not None:
        _restore(loss, last)
    with quiet_transformers():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    tail = losses[-max(1, len(losses) // 10) :]
    return sum(tail) / len(tail) if tail else 0.0


def save_tuned(model: Any, base_id: str, kind: str, record: dict[str, Any], target: Path) -> TunedModel:
    """Save a model below ``target`` under a name that its weights and ``record`` decide.

    The record lies beside the weights (``tuning.json``) and enters the hash, so the id that an index
    remembers names the weights and how they came about.
    """
    target.mkdir(parents=True, exist_ok=True)
    partial = target / f".{kind}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with quiet_transformers():
        merged(model).save_pretrained(str(partial), create_model_card=False)
    (partial / TUNING_RECORD).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    name = f"{base_id.partition('@')[0].rsplit('/', 1)[-1]}-{kind}"
    folder = target / f"{name}-{weights_hash(partial)[:8]}"
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return TunedModel(folder, f"{folder.name}@{weights_hash(folder)}", record)


def training_record(training: EncoderTraining, **more: Any) -> dict[str, Any]:
    """Return what made a model as plain data: settings of the training and ``more``."""
    record: dict[str, Any] = json.loads(canonical_json({"training": asdict(training), **more}))
    return record


def _callback(loss: Any, progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, _arguments: Any, state: Any, _control: Any, **_: Any) -> None:
            progress.total(state.max_steps, "batches")
            progress.advance(state.global_step)

        def on_step_end(self, _arguments: Any, _state: Any, _control: Any, **_: Any) -> None:
            progress.advance(1)

        def on_save(self, arguments: Any, state: Any, _control: Any, **_: Any) -> None:
            kept = getattr(loss, "kept_state", None)
            if kept is not None:
                from safetensors.torch import save_file

                folder = Path(arguments.output_dir) / f"checkpoint-{state.global_step}"
                save_file(kept(), str(folder / _STATE))

    return Reporter()


def _last_checkpoint(work: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end: the trainer's state comes last."""
    found = [folder for folder in work.glob("checkpoint-*") if (folder / _LAST_WRITTEN).is_file()]
    return max(found, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def _restore(loss: Any, checkpoint: Path) -> None:
    if hasattr(loss, "restore_state") and (checkpoint / _STATE).is_file():
        from safetensors.torch import load_file

        loss.restore_state(load_file(str(checkpoint / _STATE)))


def _say_nothing(trainer: Any) -> None:
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
