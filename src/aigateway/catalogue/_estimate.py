"""How many tokens a request will use, before it is sent and without a tokenizer; learnt from what vendors report.

A request is measured once (`size_of`), whatever it is then compared for. What a model makes of a
measure is a weight per ASCII character, per byte of other text, and per message: a quarter, a
quarter and four tokens until its vendor has reported what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from ..state import Mean
from ..types import Target, Usage

__all__ = ["Estimator", "Size", "expected_usage", "size_of"]

# Tokens per ASCII character, per UTF-8 byte of other text (a Chinese character has three), per message.
PRIOR = (0.25, 0.25, 4.0)
# How far a model may be from them; a message may cost nothing beside its text.
BOUNDS = ((0.1, 10.0), (0.1, 10.0), (0.0, 10.0))
# Tokens of an image, of one asked for in low detail, and of a sound or a file. Rough: vendors count by pixels.
IMAGE, SMALL_IMAGE, ATTACHMENT = 800, 85, 1000
# What they are called; no sets, for a caller may send what no set can look up.
IMAGES, ATTACHED = ("image_url", "input_image", "image"), ("input_audio", "file", "input_file", "video_url", "document")
# Tokens of an answer while nothing is known of answers.
ANSWER = 500
# A longer text that is not ASCII is judged by its beginning.
SAMPLE = 16_384
# Each report counts this much less with every later one; what is believed without any report weighs so much.
KEPT, BELIEVED = 0.95, 0.005
# Counts on top of which a difference is judged: three tokens for two is no error of half.
SLACK = 8
# A report further from the first belief than this is a lie, or another unit; one further from the present is cut.
ABSURD, STEP = 20.0, 4.0
# All of the first reports are learnt from, then every so many.
EAGER, EVERY = 64, 16
# No answer is longer.
LONGEST = 1_000_000


class Size(NamedTuple):
    """Measure a request.

    `plain` counts ASCII characters, `other` the UTF-8 bytes of all others, `extra` the tokens images
    and attachments may have; `limit` is the most tokens one of its `answers` may have, 0 for no limit.
    """

    plain: int = 0
    other: int = 0
    messages: int = 0
    extra: int = 0
    limit: int = 0
    answers: int = 1


def size_of(body: Mapping[str, Any]) -> Size:
    """Measure a request's body: messages, prompts, tools, schemas, images; never raises, whatever a field holds."""
    texts: list[str] = []
    messages = body.get("messages")
    messages = messages if isinstance(messages, list) else ()
    extra = _read(messages, texts)
    for name in ("prompt", "input", "instructions", "system"):
        given = body.get(name)
        extra += _read(given if isinstance(given, list) else [given], texts)
    texts += (_as_json(body[name]) for name in ("tools", "functions", "response_format") if body.get(name))
    plain = other = 0
    for text in texts:
        if text.isascii():
            plain += len(text)
        else:
            more, foreign = _mixed(text)
            plain, other = plain + more, other + foreign
    limit = _count(body.get("max_completion_tokens")) or _count(body.get("max_tokens"))
    return Size(plain, other, len(messages), extra, limit, _count(body.get("n")) or 1)


class Estimator:
    """Guess token counts per target, the better the more its vendor has reported; bounded, whatever is asked for."""

    def __init__(self, limit: int = 1024) -> None:
        self._models: dict[tuple[str, str], Model] = {}
        self._limit = limit
        self._answer = Mean()

    def input(self, target: Target, size: Size) -> int:
        """Give the tokens of a request."""
        model = self._models.get((target.provider, target.model))
        first, second, third = PRIOR if model is None else model.weights
        return int(size.plain * first + size.other * second + size.messages * third + 0.5) + size.extra

    def usage(self, target: Target, size: Size) -> Usage:
        """Give what a request will use: its tokens, and an answer as long as this model's are, within the limit."""
        model = self._models.get((target.provider, target.model))
        mean = self._answer if model is None or not model.answer.count else model.answer
        each = mean.value if mean.count else size.limit or ANSWER
        each = min(each, size.limit) if size.limit else each
        return Usage(self.input(target, size), int(each * size.answers + 0.5), source="estimated")

    def spent(self, target: Target, size: Size, said: int) -> Usage:
        """Give what a call used whose vendor did not tell; `said` counts the bytes of text that came back."""
        model = self._models.get((target.provider, target.model))
        weight = PRIOR[0] if model is None else model.weights[0]
        return Usage(self.input(target, size), int(said * weight + 0.5), source="estimated")

    def wants(self, target: Target) -> bool:
        """Tell whether a report about this target is worth its measuring now."""
        model = self._models.get((target.provider, target.model))
        if model is None:
            return True
        model.asked += 1
        return model.asked < EAGER or model.asked % EVERY == 0

    def learn(self, target: Target, size: Size, usage: Usage) -> None:
        """Take in what a vendor reported; what makes no sense teaches nothing."""
        if usage.source != "reported" or not 0 < usage.input <= LONGEST * 100:
            return
        model = self._model(target)
        if not size.extra:
            model.fit(size, usage.input)
        if 0 < usage.output <= LONGEST:
            each = usage.output / max(1, size.answers)
            model.answer.add(each)
            self._answer.add(each)

    def _model(self, target: Target) -> Model:
        name = (target.provider, target.model)
        model = self._models.get(name)
        if model is None:
            if len(self._models) >= self._limit:
                del self._models[next(iter(self._models))]  # the one known for longest
            model = self._models[name] = Model()
        return model


def expected_usage(body: Mapping[str, Any]) -> Usage:
    """Guess what a request will use at a model nothing was reported of."""
    return Estimator().usage(Target("", ""), size_of(body))


class Model:
    """Fit one model's weights to reports: least squares of the relative error, older reports fading.

    Weights are relative to `PRIOR`, so each is 1 at first and BELIEVED there.
    """

    __slots__ = ("_products", "_values", "answer", "asked", "weights")

    def __init__(self) -> None:
        self.asked = 0
        self.answer = Mean()
        self.weights: tuple[float, ...] = PRIOR
        self._products = [[0.0] * 3 for _ in PRIOR]
        self._values = [0.0] * 3

    def fit(self, size: Size, reported: int) -> None:
        """Take one report of input tokens in."""
        believed = [amount * weight for amount, weight in zip(size, PRIOR, strict=False)]
        first = sum(believed) + SLACK
        if not first / ABSURD <= reported + SLACK <= first * ABSURD:
            return
        present = sum(amount * weight for amount, weight in zip(size, self.weights, strict=False))
        tokens = min(max(reported, present / STEP - SLACK), present * STEP + SLACK)
        row = [amount / (tokens + SLACK) for amount in believed]
        for i, one in enumerate(row):
            products = self._products[i]
            for j, other in enumerate(row):
                products[j] = products[j] * KEPT + one * other
            self._values[i] = self._values[i] * KEPT + one * tokens / (tokens + SLACK)
        self._solve()

    def _solve(self) -> None:
        """Descend along each weight in turn, within its bounds: three weights need few turns."""
        found = [weight / prior for weight, prior in zip(self.weights, PRIOR, strict=True)]
        for _ in range(4):
            for i, (low, high) in enumerate(BOUNDS):
                products = self._products[i]
                rest = sum(products[j] * found[j] for j in range(3) if j != i)
                best = (self._values[i] - rest + BELIEVED) / (products[i] + BELIEVED)
                found[i] = min(max(best, low), high)
        self.weights = tuple(weight * prior for weight, prior in zip(found, PRIOR, strict=True))


def _read(parts: Iterable[Any], texts: list[str]) -> int:
    """Collect the texts of messages or their parts; give the tokens of what is no text."""
    extra = 0
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):  # a Mapping's check costs ten times this
            extra += _read_part(part, texts)
    return extra


def _read_part(part: dict[str, Any], texts: list[str]) -> int:
    content = part.get("content")
    if isinstance(content, str):
        texts.append(content)
    elif isinstance(content, list):
        return _read(content, texts)
    if part.get("tool_calls"):
        texts.append(_as_json(part["tool_calls"]))
    if isinstance(part.get("text"), str):
        texts.append(part["text"])
        return 0
    kind = part.get("type")
    if kind in IMAGES:
        image = part.get("image_url")
        detail = image.get("detail") if isinstance(image, Mapping) else part.get("detail")
        return SMALL_IMAGE if detail == "low" else IMAGE
    return ATTACHMENT if kind in ATTACHED else 0


def _mixed(text: str) -> tuple[int, int]:
    """Count ASCII characters and the bytes of the others."""
    sample = text[:SAMPLE]
    plain = len(sample.encode("ascii", "ignore"))
    other = len(sample.encode("utf-8", "surrogatepass")) - plain
    scale = len(text) / len(sample)
    return int(plain * scale), int(other * scale)


def _as_json(value: object) -> str:
    try:
        return to_json(value, inf_nan_mode="constants").decode()
    except ValueError:
        return str(value)


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value <= LONGEST else 0
