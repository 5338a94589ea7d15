"""Tune a language model on (prompt, completion) pairs by any method of the registry.

One call does what a run needs: it packs the examples, learns from completions only, measures on held-out
pairs during training, keeps the best state, resumes after a kill, and leaves a folder that explains
itself (weights, ``tune.json``, a curve, a card).
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from graphrag.errors import ConfigError, MissingExtraError
from graphrag.hashing import content_hash
from graphrag.indexing.progress import NoProgress, Progress
from graphrag.tune.adapter_files import first_weights, load_weights, name_base, to_half
from graphrag.tune.base import (
    ComputePath,
    base_folder,
    base_identity,
    checkpoint_activations,
    choose_path,
    count_parameters,
    load_base,
)
from graphrag.tune.card import DataSource, write_card
from graphrag.tune.curve import write_curve
from graphrag.tune.examples import Encoded, Pair, bucket, encode_pairs, pack, packed_row, padded_rows
from graphrag.tune.methods import Method, get_method
from graphrag.weights import weights_hash

Evaluate = Callable[[Any, Any], Mapping[str, float]]
"""``evaluate(model, tokenizer)`` returns scores by name; it may generate."""

RECORD = "tune.json"


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """How to train; what is None is the method's own choice."""

    method: str = "lora"
    settings: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float | None = None
    bits: int | None = None
    epochs: float = 3.0
    max_steps: int | None = None
    row_tokens: int = 1024
    """Positions computed at once: the size of a packed row, or of a padded batch."""
    rows_per_step: int = 4
    """Rows per optimiser step (gradients are accumulated)."""
    max_tokens: int = 1024
    """Longest example; longer ones are left out and counted."""
    schedule: str = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0.0
    gradient_checkpointing: bool = False
    evaluate_every: int | None = None
    """Steps between evaluations; None: ten in a run."""
    save_every: int = 100
    """Steps between states to resume from."""
    metric: str = "loss"
    """What decides about the state that is kept: ``loss``, the name of a score, or ``last``: the last one."""
    patience: int = 0
    """Evaluations without a better one until training stops; 0: never."""
    seed: int = 42
    store: str = "float32"
    """Number format of a saved adapter: ``float32`` (exactly what was trained) or ``float16``."""
    start_from: str | None = None
    """Folder of an adapter of the same method and settings whose weights are the first ones."""


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a run made; the same is in ``tune.json``."""

    folder: Path
    method: str
    path: str
    total_parameters: int
    trainable_parameters: int
    bytes: int
    examples: int
    too_long: int
    tokens: int
    steps: int
    seconds: float
    cpu_seconds: float
    training_cpu_seconds: float
    peak_memory: int
    best_step: int
    scores: Mapping[str, float]
    history: Sequence[Mapping[str, float]]


def tune(
    base: str,
    train: Iterable[Pair],
    out: Path,
    *,
    dev: Iterable[Pair] = (),
    options: TuneOptions | None = None,
    evaluate: Evaluate | None = None,
    progress: Progress | None = None,
    data: Sequence[DataSource] = (),
    restart: bool = False,
) -> TuneResult:
    """Tune ``base`` on ``train`` and write the adapter (for ``full``: the model) into ``out``.

    A run that was killed goes on from its last saved state when called again with the same arguments, and
    ends with the same weights as one that was not; a finished one is returned as it is. Same
    arguments, same machine: same weights.

    Raises:
        ConfigError: options that cannot be used; ``out`` holds another run and ``restart`` is false.
        MissingExtraError: peft is not installed.
    """
    options = options or TuneOptions()
    method = get_method(options.method)
    path = choose_path(method, bits=options.bits)
    source = base_folder(base)
    train, dev = list(train), list(dev)
    if options.metric not in ("loss", "last") and evaluate is None:
        raise ConfigError(
            f"The metric {options.metric!r} needs an evaluation, and none is given.", hint="Take loss."
        )
    if options.metric == "last" and options.patience:
        raise ConfigError(
            "Early stopping needs a measure of the best state.", hint="Take the metric loss, or patience 0."
        )
    if options.metric == "loss" and options.patience and not dev:
        raise ConfigError("Early stopping needs held-out pairs.", hint="Give --dev, or --patience 0.")
    first = first_weights(options.start_from, method)
    identity = content_hash(
        asdict(options) | {"start_from": first and weights_hash(first)},
        base_identity(source),
        path.dtype,
        path.device,
        train,
        dev,
        evaluate is not None,
    )
    _claim(out, identity, restart=restart)
    if (out / RECORD).is_file():
        return read_result(out)
    run = _Run(options, method, path, source, train, dev, out, identity, evaluate, progress, data)
    return run.execute() if method.trains_model else run.fit()


def read_result(folder: Path) -> TuneResult:
    """Return what ``tune.json`` says about a finished run.

    Raises:
        ConfigError: there is none.
    """
    file = folder / RECORD
    if not file.is_file():
        raise ConfigError(f"{folder} holds no finished tuning run (no {RECORD}).")
    record = json.loads(file.read_text(encoding="utf-8"))["result"]
    return TuneResult(**{**record, "folder": folder})


def _claim(out: Path, identity: str, *, restart: bool) -> None:
    """Make ``out`` this run's folder, or refuse when it is another's."""
    mark = out / "run.json"
    if restart and mark.is_file():
        shutil.rmtree(out)
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8"))["identity"] == identity:
            return
        raise ConfigError(
            f"{out} holds a run with another method, base, data or settings.",
            hint="Choose another --out, or discard that run with --restart.",
        )
    if out.exists() and any(out.iterdir()):
        raise ConfigError(
            f"{out} is not empty and holds no tuning run.", hint="Choose another --out: a new folder."
        )
    out.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"identity": identity}), encoding="utf-8")


@dataclass(slots=True)
class _Run:
    options: TuneOptions
    method: Method
    path: ComputePath
    source: str
    train: list[Pair]
    dev: list[Pair]
    out: Path
    identity: str
    evaluate: Evaluate | None
    progress: Progress | None
    data: Sequence[DataSource]

    def execute(self) -> TuneResult:
        from importlib.util import find_spec

        if find_spec("peft") is None:
            raise MissingExtraError("Tuning", "peft", "tune")
        import torch
        from transformers import set_seed

        from graphrag.llm.generation import quiet_transformers

        progress = self.progress or NoProgress()
        started, cpu = time.perf_counter(), time.process_time()
        progress.stage("reading the base model")
        model, tokenizer = load_base(self.source, self.path)
        train = encode_pairs(tokenizer, self.train, max_tokens=self.options.max_tokens)
        dev = (
            encode_pairs(tokenizer, self.dev, max_tokens=self.options.max_tokens)
            if self.dev
            else Encoded([], 0)
        )
        set_seed(self.options.seed)
        model = self.method.prepare(model, self.options.settings)
        if (first := first_weights(self.options.start_from, self.method)) is not None:
            load_weights(model, first)
        model.train()
        if self.options.gradient_checkpointing:
            checkpoint_activations(model)
        counts = count_parameters(model)
        progress.done("reading the base model", time.perf_counter() - started, self.path.why)
        if self.path.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        loop = self._loop(model, tokenizer, train, dev, progress)
        training, training_cpu = time.perf_counter(), time.process_time()
        with quiet_transformers():  # it draws bars of its own when it saves a state
            loop.train(resume_from_checkpoint=_last_checkpoint(self.out / "checkpoints"))
        training_cpu = time.process_time() - training_cpu
        progress.done("training", time.perf_counter() - training, f"{loop.state.global_step} steps")
        with quiet_transformers():
            best_step = self._keep(loop, tokenizer)
        history = [dict(entry) for entry in loop.state.log_history]
        result = TuneResult(
            folder=self.out,
            method=self.method.name,
            path=self.path.why,
            total_parameters=counts.total,
            trainable_parameters=counts.trainable,
            bytes=sum(file.stat().st_size for file in self.out.glob("*.safetensors")),
            examples=len(train.examples),
            too_long=train.too_long,
            tokens=train.tokens,
            steps=loop.state.global_step,
            seconds=round(time.perf_counter() - started, 1),
            cpu_seconds=round(time.process_time() - cpu, 1),
            training_cpu_seconds=round(training_cpu, 2),
            peak_memory=_peak_memory(self.path.device),
            best_step=best_step,
            scores=_scores_at(history, best_step),
            history=history,
        )
        self._describe(result)
        for folder in ("best", "checkpoints"):
            shutil.rmtree(self.out / folder, ignore_errors=True)
        return result

    def fit(self) -> TuneResult:
        """Make what lies beside the model: demonstrations, or a classifier on its states."""
        from graphrag.tune.demonstrations import Demonstrations
        from graphrag.tune.features import fit_features

        progress = self.progress or NoProgress()
        started, cpu = time.perf_counter(), time.process_time()
        settings = self.method.settled(self.options.settings)
        progress.stage("reading the base model")
        model, tokenizer = load_base(self.source, self.path)
        train = encode_pairs(tokenizer, self.train, max_tokens=self.options.max_tokens)
        progress.done("reading the base model", time.perf_counter() - started, self.path.why)
        training, trained = time.process_time(), 0
        history: list[dict[str, float]] = []
        if self.method.saves == "demonstrations":
            from graphrag.embed import FakeEmbedder

            # Nothing is compared before a question comes: the vectors are made by whoever asks.
            Demonstrations(self.train, settings["shown"], FakeEmbedder()).save(self.out)
        else:
            progress.stage("reading the texts")
            progress.total(len(self.train), "texts")
            fitted, history = fit_features(
                model.eval(),
                tokenizer,
                self.train,
                depth=settings["depth"],
                learning_rate=self.options.learning_rate or self.method.learning_rate,
                advance=progress.advance,
            )
            trained = fitted.parameters
            fitted.save(self.out)
        made = [file for file in sorted(self.out.iterdir()) if file.name != "run.json"]
        result = TuneResult(
            folder=self.out,
            method=self.method.name,
            path=self.path.why,
            total_parameters=count_parameters(model).total + trained,
            trainable_parameters=trained,
            bytes=sum(file.stat().st_size for file in made),
            examples=len(self.train),
            too_long=0,
            tokens=train.tokens,
            steps=0,
            seconds=round(time.perf_counter() - started, 1),
            cpu_seconds=round(time.process_time() - cpu, 1),
            training_cpu_seconds=round(time.process_time() - training, 2),
            peak_memory=_peak_memory(self.path.device),
            best_step=0,
            scores={},
            history=history,
        )
        self._describe(result)
        return result

    def _loop(self, model: Any, tokenizer: Any, train: Encoded, dev: Encoded, progress: Progress) -> Any:
        from functools import partial

        from transformers import TrainingArguments
        from transformers.trainer_callback import PrinterCallback

        from graphrag.tune.loop import Loop, Shown

        options = self.options
        grouped = pack if self._packs(model) else bucket
        rows = grouped(train.examples, options.row_tokens)
        steps_per_epoch = -(-len(rows) // options.rows_per_step)
        steps = options.max_steps or max(1, round(options.epochs * steps_per_epoch))
        evaluates = bool(dev.examples) or self.evaluate is not None
        every = options.evaluate_every or max(1, steps // 10)
        arguments = TrainingArguments(
            output_dir=str(self.out / "checkpoints"),
            per_device_train_batch_size=1,
            per_device_eval_batch_size=1,
            gradient_accumulation_steps=options.rows_per_step,
            max_steps=steps,
            learning_rate=options.learning_rate or self.method.learning_rate,
            lr_scheduler_type=options.schedule,
            warmup_steps=round(options.warmup * steps),
            weight_decay=options.weight_decay,
            max_grad_norm=1.0,
            optim=self.path.optimizer,
            bf16=self.path.autocast,
            use_cpu=self.path.device == "cpu",
            eval_strategy="steps" if evaluates else "no",
            eval_steps=every,
            save_strategy="steps",
            save_steps=options.save_every,
            save_total_limit=2,
            logging_strategy="steps",
            logging_steps=max(1, steps // 100),
            seed=options.seed,
            data_seed=options.seed,
            disable_tqdm=True,
            log_level="error",
            report_to=[],
            remove_unused_columns=False,
            label_names=["labels"],
            prediction_loss_only=True,
            dataloader_pin_memory=self.path.device == "cuda",
        )
        loop = Loop(
            model=model,
            args=arguments,
            train_dataset=rows,
            eval_dataset=grouped(dev.examples, options.row_tokens),
            data_collator=packed_row if grouped is pack else padded_rows,
            callbacks=[Shown(progress)],
            score=partial(_score, self.evaluate, tokenizer) if self.evaluate else None,
            metric=options.metric,
            patience=options.patience,
            best=self.out / "best",
        )
        loop.remove_callback(PrinterCallback)
        return loop

    def _packs(self, model: Any) -> bool:
        """Tell whether examples may share a row: the method allows it and the model reads positions."""
        from inspect import signature

        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        reads = "position_ids" in signature(base.forward).parameters
        return self.method.packs and reads and getattr(base, "_supports_attention_backend", False)

    def _keep(self, loop: Any, tokenizer: Any) -> int:
        """Move the best state, or the last where none was measured, to the run's folder."""
        best = self.out / "best"
        if not (best / "best.json").is_file():
            loop.save_model(str(best), _internal_call=True)
            step = int(loop.state.global_step)
        else:
            step = int(json.loads((best / "best.json").read_text(encoding="utf-8"))["step"])
        for file in sorted(best.iterdir()):
            if file.name not in ("best.json", "training_args.bin", "README.md"):
                shutil.copy(file, self.out / file.name)
        if self.method.saves == "model":
            tokenizer.save_pretrained(str(self.out))  # a model's folder is served by itself
        else:
            from graphrag.llm.adapters.stack import flatten_folder

            flatten_folder(self.out)
            name_base(self.out / "adapter_config.json", base_identity(self.source)["name"])
        if self.options.store == "float16":
            to_half(self.out / "adapter_model.safetensors")
        return step

    def _describe(self, result: TuneResult) -> None:
        base = dict(base_identity(self.source))
        first = self.options.start_from and Path(self.options.start_from)
        record: dict[str, Any] = {
            "method": self.method.name,
            "base": base,
            "options": {
                **asdict(self.options),
                "settings": self.method.settled(self.options.settings),
                "learning_rate": self.options.learning_rate or self.method.learning_rate,
                "start_from": f"{first.resolve().name}@{weights_hash(first)}" if first else None,
            },
            "data": [asdict(source) for source in self.data],
            "versions": _versions(),
            "result": {name: value for name, value in asdict(result).items() if name != "folder"},
        }
        write_curve(result.history, self.out / "curve.png", title=f"{self.method.name} on {base['name']}")
        write_card(record, self.method, self.out / "README.md")
        # Last, for a run with a record counts as finished.
        (self.out / RECORD).write_text(json.dumps(record, indent=1, default=str), encoding="utf-8")


def _score(evaluate: Evaluate, tokenizer: Any, model: Any) -> Mapping[str, float]:
    return evaluate(model, tokenizer)


def _last_checkpoint(folder: Path) -> str | None:
    """Return the newest complete state to go on from; its last-written file is there."""
    states = folder.glob("checkpoint-*/trainer_state.json")
    numbered = sorted((int(state.parent.name.rpartition("-")[2]), state.parent) for state in states)
    return str(numbered[-1][1]) if numbered else None


def _scores_at(history: Sequence[Mapping[str, float]], step: int) -> dict[str, float]:
    """Return the evaluation results of one step, without the measurements of their cost."""
    cost = ("_runtime", "_per_second")
    return {
        name.removeprefix("eval_"): value
        for entry in history
        if entry.get("step") == step
        for name, value in entry.items()
        if name.startswith("eval_") and not name.endswith(cost)
    }


def _peak_memory(device: str) -> int:
    """Return the most bytes held: by the GPU's allocator, or resident in this process."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage tells of a child process begins at its parent's peak
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
        if found is not None:
            return int(found[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("graphrag-engine", "peft", "torch", "transformers")}
