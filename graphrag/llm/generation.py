"""Generate with a transformers model so that an answer does not depend on what else is in the batch.

Floating-point sums depend on the shapes of the matrices, and the shapes of a usual batch depend on its
other members: longer neighbours, fewer neighbours, another rounding, another token. Here

* each prompt is read alone, without padding; the turns before its last one are read by themselves, once
  for all prompts that open with them;
* on a CPU each row's attention is computed by itself, and the other layers in as many rows as were measured
  to change no bit (:mod:`graphrag.llm.separate_rows`);
* elsewhere answers are decoded in batches of one fixed number of rows (free rows repeat the first), a row's
  cache is padded to a width that depends on its own prompt only, and rows of different widths are not mixed.

So every operation on a row has the same shapes whoever its neighbours are. ``tests/llm``
checks on the embedded model that the answers are equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphrag.errors import ConfigError, LLMError, MissingExtraError
from graphrag.llm.rows import Rows
from graphrag.llm.separate_rows import SeparateRows, fitting_counts, separable

if TYPE_CHECKING:
    import torch

    from graphrag.llm.base import LineGrammar
    from graphrag.llm.rows import Layers

WIDTH_STEP = 256
_OPENINGS = 4  # how many openings are remembered
_COUNTED_OPENINGS = 64  # how many are remembered by their length
_LEAST_OPENING = 12  # tokens that are worth reading apart


@dataclass(slots=True, eq=False)
class Generation:
    """One answer: what is asked, and what has been made of it so far."""

    prompt: list[int]
    max_tokens: int
    matcher: Any = None
    grammar: LineGrammar | None = None
    """Gives the answer another matcher after every line."""
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    on_text: Callable[[str], None] | None = None
    wanted: Callable[[], bool] = field(default=lambda: True)
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = None
    error: str | None = None
    opening: int = 0
    """How many of the prompt's first tokens other prompts begin with too."""

    @property
    def width(self) -> int:
        """Return the padded length of the prompt's cache."""
        return -(-len(self.prompt) // WIDTH_STEP) * WIDTH_STEP


class Generator:
    """A model with its tokenizer, in memory. Not thread-safe: one thread at a time."""

    def __init__(self, model: Any, tokenizer: Any, *, rows: int, opening: Sequence[int] = ()) -> None:
        self.model = model
        self.opening = list(opening)
        self.tokenizer = tokenizer
        self.rows = rows
        ends = model.generation_config.eos_token_id
        self.ends = frozenset([ends] if isinstance(ends, int) else ends or [tokenizer.eos_token_id])
        # With a frozen matrix the last layer's product takes a slow path on CPUs (1.7x, measured at 16 rows).
        if model.device.type == "cpu":
            model.get_output_embeddings().weight.requires_grad_(True)
        self._grammars: Any = None
        self._openings: dict[tuple[int, ...], Layers] = {}
        self._opening_of: dict[tuple[tuple[str, str], ...], int] = {}
        self.separate = separable(model)
        """Whether answers of any width are decoded side by side."""
        self._counts: dict[int, tuple[int, ...]] = {}

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Return the tokens of a conversation as the model's template writes it, after a trained prompt."""
        return self.opening + chat_tokens(self.tokenizer, messages)

    def shared(self, messages: Sequence[tuple[str, str]]) -> int:
        """Return how many first tokens a conversation has in common with others of the same earlier turns."""
        before = tuple(messages[:-1])
        if before not in self._opening_of:
            tokens = len(opening_tokens(self.tokenizer, before)) if before else 0
            while len(self._opening_of) >= _COUNTED_OPENINGS:  # demonstrations may differ at every request
                del self._opening_of[next(iter(self._opening_of))]
            self._opening_of[before] = len(self.opening) + tokens if tokens >= _LEAST_OPENING else 0
        return self._opening_of[before]

    def width(self, generation: Generation) -> int:
        """Return the padded length that answers of one batch share; 0 for all where rows are separate."""
        return 0 if self.separate else generation.width

    def run_all(self, generations: Sequence[Generation]) -> None:
        """Fill in any number of answers, of any widths, batch by batch."""
        by_width: dict[int, list[Generation]] = {}
        for one in generations:
            by_width.setdefault(self.width(one), []).append(one)
        for same in by_width.values():
            for at in range(0, len(same), self.rows):
                self.run(same[at : at + self.rows])

    def run(self, batch: Sequence[Generation]) -> None:
        """Fill in ``text``, ``tokens`` and ``finish_reason`` of up to ``rows`` answers.

        They are of one width unless the rows are ``separate``. An answer that its grammar stopped has an
        ``error`` as well.
        """
        import torch

        for generation in batch:
            self._narrow(generation)
        decoders = [_TextDecoder(self.tokenizer) for _ in batch]
        dice = [np.random.default_rng([generation.seed, *generation.prompt[-32:]]) for generation in batch]
        steps = max(generation.max_tokens for generation in batch)
        with torch.no_grad():
            read = [self._prefill(g.prompt, g.opening) for g in batch]
            rows = self._rows(read, batch[0].width, steps)
            places = list(range(len(batch)))  # which answer each row decodes
            for step in range(steps):
                logits = rows.logits[: len(places)].float().cpu().numpy()
                following = [0] * rows.n
                for row, place in enumerate(places):
                    generation = batch[place]
                    if generation.finish_reason is None:
                        values = _permitted(generation, logits[row])
                        following[row] = _choose(values, generation.temperature, dice[place])
                        self._take(generation, following[row], decoders[place])
                going = [
                    row
                    for row, place in enumerate(places)
                    if batch[place].finish_reason is None and batch[place].wanted()
                ]
                if step == steps - 1 or not going:
                    break
                if self.separate and len(going) < len(places):
                    rows.keep(going, self._count(len(going)))
                    places = [places[row] for row in going]
                    following = [following[row] for row in going] + [0] * (rows.n - len(going))
                rows.feed(following)
        for generation, decoder in zip(batch, decoders, strict=True):
            finish(generation, decoder.flush())

    def run_mixture(
        self,
        generation: Generation,
        prompts: Sequence[Sequence[int]],
        log_weights: np.ndarray[Any, np.dtype[np.float64]],
    ) -> None:
        """Decode one answer by the weighted mean of the next token's probabilities after all ``prompts``.

        ``log_weights`` has one entry per prompt. One prompt gives what :meth:`run` gives.
        """
        import torch

        decoder = _TextDecoder(self.tokenizer)
        dice = np.random.default_rng([generation.seed, *generation.prompt[-32:]])
        weights = torch.tensor(log_weights)[:, None]
        width = max(-(-len(prompt) // WIDTH_STEP) * WIDTH_STEP for prompt in prompts)
        with torch.no_grad():
            read = [self._prefill(list(prompt)) for prompt in prompts]
            rows = self._rows(read, width, generation.max_tokens)
            while generation.finish_reason is None and generation.wanted():
                each = torch.log_softmax(rows.logits[: len(prompts)].double().cpu(), dim=-1)
                mixed = torch.logsumexp(each + weights, dim=0).numpy().astype(np.float32)
                token = _choose(mixed, generation.temperature, dice)
                self._take(generation, token, decoder)
                if generation.finish_reason is None:
                    rows.feed([token] * rows.n)
        finish(generation, decoder.flush())

    def score(self, prompt: list[int], continuations: Sequence[list[int]]) -> list[float]:
        """Return the log-likelihood (natural, summed over tokens) of each continuation after ``prompt``."""
        return [float(tokens.sum()) for tokens in self.token_scores(prompt, continuations)]

    def token_scores(
        self, prompt: list[int], continuations: Sequence[list[int]]
    ) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        """Return the log-probability of each token of each continuation after ``prompt``."""
        import torch
        from transformers import DynamicCache

        scores = []
        with torch.no_grad():
            last, layers = self._prefill(prompt)
            for continuation in continuations:
                cache = DynamicCache(config=self.model.config)
                for number, (keys, values) in enumerate(layers):
                    cache.update(keys, values, number)
                rows = last[None]
                if len(continuation) > 1:
                    ids = torch.tensor([continuation[:-1]], device=self.model.device)
                    more = self.model(input_ids=ids, past_key_values=cache, use_cache=True).logits[0]
                    rows = torch.cat([rows, more])
                chances = torch.log_softmax(rows.double(), dim=-1)[: len(continuation)]
                picked = chances[
                    torch.arange(len(continuation)), torch.tensor(continuation, dtype=torch.long)
                ]
                scores.append(picked.cpu().numpy())
        return scores

    def _rows(self, read: list[tuple[torch.Tensor, Layers]], width: int, steps: int) -> Any:
        if self.separate:
            return SeparateRows(self.model, read, self._count(len(read)), steps)
        return Rows(self.model, read, max(self.rows, len(read)), width, steps)

    def _count(self, answers: int) -> int:
        """Return in how many rows to decode ``answers`` so that each is what it is in a full batch."""
        import torch

        threads = torch.get_num_threads()
        if threads not in self._counts:
            self._counts[threads] = fitting_counts(self.model, self.rows)
        return next((count for count in self._counts[threads] if count >= answers), answers)

    def _prefill(self, prompt: list[int], opening: int = 0) -> tuple[torch.Tensor, Layers]:
        """Return the logits after ``prompt`` and what its layers keep; the opening is read once."""
        before: Layers = []
        if opening:
            first = tuple(prompt[:opening])
            if first not in self._openings:
                while len(self._openings) >= _OPENINGS:
                    del self._openings[next(iter(self._openings))]
                self._openings[first] = self._read(list(first), [])[1]
            before = self._openings[first]
        return self._read(prompt[opening:], before)

    def _read(self, tokens: list[int], before: Layers) -> tuple[torch.Tensor, Layers]:
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        for number, (keys, values) in enumerate(before):
            cache.update(keys, values, number)
        ids = torch.tensor([tokens], device=self.model.device)
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[0, -1], [(layer.keys, layer.values) for layer in cache.layers]

    def _take(self, generation: Generation, token: int, decoder: _TextDecoder) -> None:
        """Append ``token`` to an answer, or end it."""
        matcher = generation.matcher
        if token in self.ends or generation.error:
            generation.finish_reason = "stop"
            return
        generation.tokens.append(token)
        piece = decoder.add(token)
        if matcher is not None:
            if not matcher.consume_token(token):
                generation.error = matcher.get_error()
            elif "\n" in piece:
                self._narrow(generation, decoder.text)
            if generation.error or matcher.is_stopped():
                generation.finish_reason = "stop"
        if any(stop in decoder.text for stop in generation.stop):
            generation.finish_reason = "stop"
        elif generation.finish_reason is None and len(generation.tokens) >= generation.max_tokens:
            generation.finish_reason = "length"
        # With stop texts, a piece may turn out to be the beginning of one: then all comes at the end.
        if generation.on_text is not None and not generation.stop:
            _show(generation, decoder.text)

    def _narrow(self, generation: Generation, text: str = "") -> None:
        """Let an answer with a grammar by lines go on as that says after the lines of ``text``, or end it."""
        if generation.grammar is None:
            return
        grammar = generation.grammar(text.rpartition("\n")[0])
        if grammar is None:
            generation.finish_reason = "stop"
        else:
            generation.matcher = self.matcher(lark_grammar(grammar))
            generation.matcher.consume_tokens(generation.tokens)

    def matcher(self, grammar: str) -> Any:
        """Return what follows an answer through ``grammar`` (see :func:`json_grammar`, :func:`lark_grammar`).

        Raises:
            LLMError: the grammar cannot be used.
        """
        from llguidance import LLMatcher
        from llguidance.hf import from_tokenizer

        if self._grammars is None:
            self._grammars = from_tokenizer(
                self.tokenizer, n_vocab=self.model.config.vocab_size, eos_token=sorted(self.ends)
            )
        matcher = LLMatcher(self._grammars, grammar, log_level=0)
        if matcher.is_error():
            raise LLMError(f"The grammar of the answer cannot be used: {matcher.get_error()}")
        return matcher


def chat_tokens(tokenizer: Any, messages: Sequence[tuple[str, str]]) -> list[int]:
    """Return the tokens of a conversation, ready for the answer; tuning and use share this one writing."""
    if tokenizer.chat_template is None:
        text = "\n\n".join(content for _, content in messages) + "\n"
        return list(tokenizer(text)["input_ids"])
    turns = [{"role": role, "content": content} for role, content in messages]
    return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"])


def opening_tokens(tokenizer: Any, turns: Sequence[tuple[str, str]]) -> list[int]:
    """Return the tokens that ``turns`` and one more, the user's, begin with whatever that says."""
    one, other = (chat_tokens(tokenizer, [*turns, ("user", text)]) for text in ("a", "1"))
    same = [a == b for a, b in zip(one, other, strict=False)]
    return one[: same.index(False) if False in same else len(same)]


class _TextDecoder:
    """Turns tokens into text as they come, holding back bytes that do not make a character yet."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._open: list[int] = []
        self.text = ""

    def add(self, token: int) -> str:
        """Return the text that the token completes, often its own."""
        self._open.append(token)
        piece = self._decode()
        if piece.endswith("\ufffd") and len(self._open) <= 8:
            return ""
        self.text += piece
        self._open.clear()
        return piece

    def flush(self) -> str:
        if self._open:
            self.text += self._decode()
            self._open.clear()
        return self.text

    def _decode(self) -> str:
        return str(self._tokenizer.decode(self._open, skip_special_tokens=True))


def _show(generation: Generation, text: str) -> None:
    new = text[len(generation.text) :]
    generation.text = text
    if new and generation.on_text is not None:
        generation.on_text(new)


def finish(generation: Generation, text: str) -> None:
    """Give an answer its last ``text``, cut before a stop text, and the reason of its end."""
    cuts = [at for at in (text.find(stop) for stop in generation.stop) if at != -1]
    _show(generation, text[: min(cuts)] if cuts else text)
    generation.finish_reason = generation.finish_reason or "length"


def _permitted(
    generation: Generation, logits: np.ndarray[Any, np.dtype[np.float32]]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the logits with every token ruled out that the answer's grammar forbids here."""
    from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

    if generation.matcher is None:
        return logits
    mask = allocate_token_bitmask(1, len(logits))
    fill_next_token_bitmask(generation.matcher, mask)
    if generation.matcher.is_error():
        generation.error = generation.matcher.get_error()
        return logits
    allowed = np.unpackbits(mask[0].view(np.uint8), bitorder="little")[: len(logits)].astype(np.bool_)
    return np.where(allowed, logits, np.float32(-np.inf))


def json_grammar(schema: dict[str, Any]) -> str:
    """Return the grammar of minified JSON that follows ``schema``."""
    from llguidance import LLMatcher

    return str(
        LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_flexible": False})
    )


def lark_grammar(lark: str) -> str:
    """Return the grammar that a Lark text (llguidance's dialect) describes."""
    from llguidance import LLMatcher

    return str(LLMatcher.grammar_from_lark(lark))


def _choose(
    logits: np.ndarray[Any, np.dtype[np.float32]], temperature: float, generator: np.random.Generator
) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / temperature
    chances = np.exp(scaled - scaled.max())
    cumulative = np.cumsum(chances)
    return int(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"))


def load_generator(
    source: str,
    *,
    adapter: str | None = None,
    load_in_4bit: bool = False,
    dtype: torch.dtype | None = None,
    rows: int | None = None,
) -> Generator:
    """Load tokenizer, model and adapter from a folder or from the hub.

    An adapter is merged into the weights where that is defined, except into 4-bit ones (a merge is lost in
    their rounding).

    Raises:
        ConfigError: it cannot be loaded.
        MissingExtraError: peft or bitsandbytes is needed and not installed.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    on_gpu = torch.cuda.is_available()
    dtype = dtype or default_dtype()
    options: dict[str, Any] = {"dtype": dtype}
    if load_in_4bit:
        options["quantization_config"] = four_bit(dtype)
    opening: list[int] = []
    with quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForCausalLM.from_pretrained(source, **options)
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(
                f"The language model {source!r} could not be loaded: {error}.",
                hint="llm.model is a folder, or a name on the Hugging Face hub (needs the network once).",
            ) from error
        if adapter is not None:
            from graphrag.llm.adapter import attach

            model, opening = attach(model, adapter, four_bit=load_in_4bit)
    if on_gpu and not load_in_4bit:
        model = model.to("cuda")
    return Generator(model.eval(), tokenizer, rows=rows or (32 if on_gpu else 8), opening=opening)


def default_dtype() -> torch.dtype:
    """Return bfloat16 where it is computed in hardware (GPU, AVX512-BF16), else float32."""
    import torch

    if torch.cuda.is_available():
        return torch.bfloat16
    flags = Path("/proc/cpuinfo")
    if flags.is_file() and "avx512_bf16" in flags.read_text(encoding="utf-8", errors="replace"):
        return torch.bfloat16
    return torch.float32


class quiet_transformers:  # noqa: N801 - used like a function
    """Hide the progress bars of transformers for a while."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._shown = logging.is_progress_bar_enabled()
        self._level = logging.get_verbosity()
        logging.disable_progress_bar()
        logging.set_verbosity_error()

    def __exit__(self, *error: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._level)
        if self._shown:
            logging.enable_progress_bar()


def four_bit(dtype: torch.dtype) -> Any:
    """Return the settings of NF4 weights with double quantisation that compute in ``dtype``."""
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise MissingExtraError("Loading a model in 4 bit", "bitsandbytes", "tune")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
