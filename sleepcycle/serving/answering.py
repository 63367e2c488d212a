"""Answers that are being written: read, streamed, and ended, one step after another."""

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sleepcycle.errors import (
    ModelError,
    ServiceError,
    SleepcycleError,
    TextBaseError,
)
from sleepcycle.model.base import Base
from sleepcycle.model.continuous_batch import (
    AnswerOrder,
    ContinuousBatch,
    WrittenToken,
)
from sleepcycle.model.encode import render_chat, render_text
from sleepcycle.model.generate import Sampling, generate
from sleepcycle.model.next_token import TokenChoice
from sleepcycle.model.out_of_memory import is_full
from sleepcycle.model.plain_generate import is_decoded
from sleepcycle.model.portable import load_sealed
from sleepcycle.model.row_batches import most_rows, room_for_rows, row_bytes
from sleepcycle.model.served_weights import ServedWeights
from sleepcycle.model.text_stream import TextStream
from sleepcycle.records.content import Conversation, parse_canonical
from sleepcycle.serving.messages import (
    AnswerRefused,
    Ask,
    Begun,
    Ended,
    Line,
    Reason,
    Said,
    ToldToken,
)

NEW_TOKENS = 1024  # of an answer that is asked without a bound; a guess
TURN = 4  # steps of one version before another's are written


@dataclass(eq=False)
class _Answer:
    """One answer, until it is over."""

    asked: Ask
    order: AnswerOrder
    stream: TextStream
    bytes: int
    """That it takes at most, while it is written."""


@dataclass(eq=False)
class _Lane:
    """The answers of one version."""

    batch: ContinuousBatch
    waiting: deque[_Answer] = field(default_factory=deque)


class Answering:
    """Writes the answers of versions side by side, a step at a time.

    Args:
        base: The base, which nothing else touches.
        most_versions: Held at once; more are loaded anew each time.
        tell: Is given each message for who asked.
    """

    def __init__(
        self, base: Base, most_versions: int, tell: Callable[[Line], None]
    ) -> None:
        self._base, self._most, self._tell = base, most_versions, tell
        self._weights = ServedWeights(base)
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()
        self._open: dict[int, _Answer] = {}
        self._room = room_for_rows(base)
        self._streams = is_decoded(base, min(base.positions, base.max_length))
        """Whether answers are written side by side, token by token."""

    @property
    def is_busy(self) -> bool:
        """Whether there is something to write."""
        return any(lane.waiting or len(lane.batch) for lane in self._lanes.values())

    @property
    def held(self) -> list[str]:
        """Versions that are held, the one asked longest ago first."""
        return list(self._lanes)

    def ask(self, asked: Ask) -> None:
        """Take an answer on, or refuse it."""
        try:
            answer = self._answer(asked)
            lane = self._lane(asked)
        except SleepcycleError as error:
            self._tell(AnswerRefused(asked.id, type(error).__name__, str(error)))
            return
        except RuntimeError as error:
            if not is_full(error):
                raise
            words = f"no memory is left to hold {asked.version} beside others"
            self._tell(AnswerRefused(asked.id, ServiceError.__name__, words))
            return
        self._tell(Begun(asked.id, len(answer.order.prompt)))
        lane.waiting.append(answer)

    def cancel(self, id_: int) -> None:
        """Write no more of an answer."""
        for lane in self._lanes.values():
            lane.batch.drop({id_})
            lane.waiting = deque(a for a in lane.waiting if a.asked.id != id_)
        self._open.pop(id_, None)

    def give_up(self, why: str) -> None:
        """Refuse all that was begun, and let go of it."""
        for id_ in list(self._open):
            self._tell(AnswerRefused(id_, ServiceError.__name__, why))
            self.cancel(id_)

    def step(self) -> None:
        """Write a few tokens more of each version's answers."""
        busy = [
            one for one in self._lanes.items() if one[1].waiting or len(one[1].batch)
        ]
        turn = TURN if len(busy) > 1 else 1  # no weights change hands: look who came
        for name, lane in busy:
            self._weights.use(name)
            if not self._streams:
                self._write_whole(lane)
                continue
            if joining := self._join(lane):
                self._take(lane.batch.join(joining))
            for _ in range(turn):
                self._take(lane.batch.step())

    def _write_whole(self, lane: _Lane) -> None:
        """Write one answer to its end, of a base that no continuous batch writes."""
        answer = lane.waiting.popleft()
        asked, order = answer.asked, answer.order
        sampling = Sampling(asked.temperature, asked.seed)
        [said] = generate(
            self._base, [order.prompt], max_new_tokens=order.most, sampling=sampling
        )
        text = "".join(map(answer.stream.add, said.ids)) + answer.stream.end()
        by_itself = said.ended or answer.stream.stopped
        self._tell(Said(asked.id, text, tokens=len(said.ids)))
        self._tell(Ended(asked.id, "", Reason.STOP if by_itself else Reason.LENGTH))

    def _answer(self, asked: Ask) -> _Answer:
        """Read what is asked.

        Raises:
            SleepcycleError: It cannot be answered.
        """
        prompt = self._prompt(asked)
        room = self._base.positions - len(prompt)
        most = min(room, asked.most or NEW_TOKENS)
        if most < 1 or (asked.most or 0) > room:
            raise ModelError(
                f"expected prompt and answer within the {self._base.positions} "
                f"positions of {self._base.identity.id}, got a prompt of {len(prompt)} "
                f"tokens and an answer of up to {asked.most or 1}; shorten the "
                "conversation, or ask for fewer tokens"
            )
        if not self._streams:
            _expect_plain(asked)
        choice = TokenChoice(asked.temperature, asked.top_p, asked.seed, asked.told)
        needed = row_bytes(self._base, len(prompt), most)
        return _Answer(
            asked,
            AnswerOrder(tuple(prompt), most, choice),
            TextStream(self._base.tokenizer, asked.stops),
            needed,
        )

    def _prompt(self, asked: Ask) -> list[int]:
        """Return the tokens that an answer goes on from."""
        if not asked.is_chat:
            return render_text(asked.content, self._base)
        content = parse_canonical(asked.content)
        if not (isinstance(content, Conversation) and self._base.chat):
            raise TextBaseError(
                f"expected a base with a chat template to talk to, got "
                f"{self._base.identity.id}, which goes on from texts: use "
                "/v1/completions",
            )
        return render_chat(content, self._base)

    def _lane(self, asked: Ask) -> _Lane:
        """Return the lane of a version, which is loaded if need be."""
        lane = self._lanes.get(asked.version)
        if lane is None:
            folder = Path(asked.folder) if asked.folder else None
            changes = load_sealed(folder)
            self._make_room()
            self._weights.add(asked.version, changes)
            lane = self._lanes[asked.version] = _Lane(ContinuousBatch(self._base))
        self._lanes.move_to_end(asked.version)
        return lane

    def _make_room(self) -> None:
        """Let go of the versions that were asked longest ago, and write nothing now."""
        idle = [
            name
            for name, lane in self._lanes.items()
            if not (lane.waiting or len(lane.batch))
        ]
        for name in idle[: max(0, len(self._lanes) + 1 - self._most)]:
            del self._lanes[name]
            self._weights.drop(name)

    def _join(self, lane: _Lane) -> list[tuple[int, AnswerOrder]]:
        """Take those that wait into the batch, as many as there is room for."""
        joined: list[tuple[int, AnswerOrder]] = []
        tokens = 0
        while lane.waiting:
            answer = lane.waiting[0]
            taken = sum(one.bytes for one in self._open.values())
            longest = max(tokens, len(answer.order.prompt))
            full = (
                len(self._open) >= most_rows(self._base)
                or taken + answer.bytes > self._room
                or longest * (len(joined) + 1) > self._base.batch_tokens
            )
            if full and (self._open or joined):
                break
            lane.waiting.popleft()
            self._open[answer.asked.id] = answer
            joined.append((answer.asked.id, answer.order))
            tokens = longest
        return joined

    def _take(self, written: Sequence[WrittenToken]) -> None:
        """Pass tokens on, and end the answers that are over with them."""
        for one in written:
            answer = self._open.get(int(str(one.key)))
            if answer is not None:
                for line in self._told(answer, one):
                    self._tell(line)

    def _told(self, answer: _Answer, one: WrittenToken) -> Iterator[Line]:
        """Yield what is to be told of a token."""
        id_, stream = answer.asked.id, answer.stream
        if not one.ended:
            text = stream.add(one.token.id)
            yield Said(id_, text, told=self._likely(one))
        if one.ended or one.full or stream.stopped:
            rest = stream.end()
            by_itself = one.ended or stream.stopped
            yield Ended(id_, rest, Reason.STOP if by_itself else Reason.LENGTH)
            self.cancel(id_)

    def _likely(self, one: WrittenToken) -> tuple[ToldToken, ...]:
        """Return how likely a token was, where that was asked."""
        token = one.token
        if token.log_prob is None:
            return ()
        likeliest = tuple(
            (self._text(id_), _finite(log)) for id_, log in token.likeliest
        )
        return (ToldToken(self._text(token.id), _finite(token.log_prob), likeliest),)

    def _text(self, token: int) -> str:
        """Return one token as text."""
        text: str = self._base.tokenizer.decode([token])
        return text


def _finite(log_prob: float) -> float:
    """Return a log-probability that JSON can hold; OpenAI's least is -9999."""
    return log_prob if math.isfinite(log_prob) else -9999.0


def _expect_plain(asked: Ask) -> None:
    """Refuse what transformers' own `generate` is not asked for here.

    Raises:
        ModelError: There is some.
    """
    if asked.top_p < 1 or asked.told is not None:
        raise ModelError(
            "expected no top_p and no logprobs for a base of this kind, which keeps "
            "something else than keys and values; leave them out"
        )
