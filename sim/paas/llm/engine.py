"""An engine: forms iterations one after the other, and jumps over those that are formed alike.

Between two changes of the batch every iteration is the last one with a token more per sequence. The
engine takes all of them at once, up to the moment a sequence ends, blocks run out, the time
model's progression ends, or somebody arrives who might get a place. The moments are those of an
engine that steps through every iteration, up to rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import inf, sqrt
from typing import TYPE_CHECKING

from sim.paas.llm.admission import Admission, Step
from sim.paas.llm.batch import Batch, Sequence
from sim.paas.llm.gaps import Log, Run
from sim.paas.llm.prefix import Content, PrefixCache
from sim.paas.llm.times import DetailedSteps, StepTimes
from sim.paas.llm.waiting import Waiting

if TYPE_CHECKING:
    from sim.paas.llm.stepwise import StepwiseEngine

#: The iteration in which everybody generates and nothing else happens.
_GENERATION = Step([], True, True)


class Engine:
    """Driven from outside: `offer` what arrives, and call `proceed` at the moment `until`.

    Args:
        admission: what goes into an iteration.
        times: how long one takes.
        blocks: of the key-value cache.
        block_size: tokens per block.
        waiting: order of the line; first come first served unless given.
        overhead: seconds added to every iteration, of the scheduler and the host.
        number: of the replica, in the rows it notes.
        note: takes the rows of the table `iterations`; kept in `log` unless given.
        cache: of prefixes; None: every prompt is processed from its beginning.

    Raises:
        ValueError: the rule bounds the chunks of each prompt.

    Attributes:
        batch: its state.
        log: rows noted.
        until: moment the present stretch of iterations ends (s); infinite while idle.
        iterations: done so far.
        entering: sequences whose prompts are being processed in the present iteration, or that joined it
            with a prompt processed elsewhere.
        fetching: sequences that have got their blocks and wait for their caches; the caller takes them out.
    """

    def __init__(
        self,
        admission: Admission,
        times: StepTimes,
        blocks: int,
        *,
        block_size: int = 16,
        waiting: Waiting | None = None,
        overhead: float = 0.0,
        number: int = 0,
        note: Callable[[Run], object] | None = None,
        cache: PrefixCache | None = None,
    ) -> None:
        if getattr(admission, "longest_chunk", 0):
            raise ValueError("`longest_chunk` takes an engine that steps: StepwiseEngine")
        self.batch = Batch(blocks, block_size, waiting, admission.restart, cache)
        self.log = Log()
        self.until = inf
        self.iterations = 0
        self.entering: list[Sequence] = []
        self.fetching: list[Sequence] = []
        self._arrived: deque[Sequence] = deque()
        self._number = number
        self._note = self.log.append if note is None else note
        self._form = admission.form
        self._places = admission.max_sequences
        self._seconds = times.seconds
        self._ramp = times.ramp
        self._detailed = times.function if isinstance(times, DetailedSteps) else None
        self._overhead = overhead
        self._usable = blocks - admission.reserve(blocks)
        self._longest = admission.longest()
        self._step: Step | None = None
        self._tokens = 0
        self._began = 0.0
        self._first = 0.0
        self._slope = 0.0
        self._count = 0
        self._joins = False
        self._leaving: list[Sequence] = []
        self._slower = 1.0

    def use(self, now: float) -> float:
        """Share of the cache's blocks in use at a moment, 0 to 1."""
        return 1.0 - self._free(now) / self.batch.blocks

    def _free(self, now: float) -> int:
        """Blocks nobody holds: of the stretch that lasts, the iterations begun have taken theirs."""
        batch = self.batch
        if self._step is None or self._count == 1:
            return batch.free
        return batch.free - batch.taken(self._within(now - self._began))

    def cached(self, content: Content, tokens: int, now: float) -> int:
        """How many tokens of such a prompt the prefix cache holds at a moment."""
        cache = self.batch.cache
        return 0 if cache is None else cache.known(content, tokens, self._free(now))

    def refusal(self, sequence: Sequence) -> str:
        """Why a sequence can never be served, "" if it can."""
        if -(-(sequence.prompt + sequence.output - 1) // self.batch.block_size) > self._usable:
            return "exceeds-cache"
        if self._longest is not None and sequence.prompt > self._longest:
            return "prompt-too-long"
        return ""

    def offer(self, sequence: Sequence, now: float) -> bool:
        """Let a sequence wait that is not refused; whether `until` has changed by that.

        An idle engine begins with the next `proceed`, so that all that arrives at one moment is seen.
        """
        if sequence.prefilled:
            self._joins = True
        head = self.batch.waiting.push(sequence)
        return head and self._interrupt(now)

    def arrived(self, sequence: Sequence, now: float) -> bool:
        """The cache of a sequence is here that was in `fetching`; whether `until` has changed by that."""
        self._arrived.append(sequence)
        return self._interrupt(now)

    def cancel(self, sequence: Sequence, now: float) -> bool:
        """Take out a sequence that has not ended, or keeps its blocks; whether `until` has changed by that.

        One that waits leaves at once, one that has blocks when the present iteration ends.
        """
        batch = self.batch
        if sequence.held or sequence in batch.running:
            if sequence in self._arrived:
                self._arrived.remove(sequence)
            self._leaving.append(sequence)
            return self._interrupt(now)
        return batch.waiting.cancel(sequence) and self._step is not None and self._cut(now)

    def _interrupt(self, now: float) -> bool:
        """Look again when the iteration under way ends, or at once without one; whether `until` changed."""
        if self._step is not None:
            return self._cut(now)
        changed = self.until != now
        self.until = now
        return changed

    def rescale(self, pace: float, now: float) -> bool:
        """Go on at another pace, 1 for that of a device of its own; whether `until` has changed by that.

        The iteration under way keeps its time.
        """
        self._slower = 1.0 / pace
        return self._step is not None and self._cut(now)

    def _cut(self, now: float) -> bool:
        """End the stretch with the iteration under way; whether that is earlier."""
        if self._count == 1:
            return False
        count = self._within(now - self._began)
        if count >= self._count:
            return False
        self._count = count
        self.until = self._began + self._span(count)
        return True

    def _span(self, count: int) -> float:
        return count * self._first + self._slope * (count * (count - 1) / 2)

    def _within(self, elapsed: float) -> int:
        """The smallest number of iterations that last so long, at least 1."""
        first, slope, most = self._first, self._slope, self._count
        if slope > 0.0:
            half, double = first / slope - 0.5, 2 * elapsed / slope
            count = int(double / (half + sqrt(half * half + double)))
        else:
            count = int(elapsed / first) if first > 0.0 else most
        count = 1 if count < 1 else most if count > most else count
        while count > 1 and self._span(count - 1) >= elapsed:
            count -= 1
        while count < most and self._span(count) < elapsed:
            count += 1
        return count

    def proceed(self, now: float) -> list[Sequence]:
        """The stretch has ended: account for it and begin the next; the sequences that have ended."""
        done: list[Sequence] = []
        step, batch = self._step, self.batch
        if step is not None:
            count = self._count
            self.iterations += count
            if step.generates:
                self._record(count)
                if batch.advance(count, now):
                    done = batch.ended(now)
            elif step.prompts:
                self._note(
                    (
                        self._number,
                        self._began,
                        self._first,
                        0.0,
                        1,
                        0,
                        self._tokens,
                        batch.blocks - batch.free,
                    )
                )
            for sequence, chunk in step.prompts:
                sequence.computed += chunk
                if sequence.computed == sequence.target:
                    if sequence.last == sequence.last:
                        pause = now - sequence.last
                        self._note((self._number, sequence.last, pause, 0.0, 1, 1, 0, 0))
                    if batch.prompt_done(sequence, now):
                        done.append(sequence)
        if self._leaving:
            for sequence in self._leaving:
                batch.remove(sequence)
            self._leaving.clear()
        self._begin(now)
        return done

    def _record(self, count: int) -> None:
        """Note a stretch; its first gap is longer for those that did not take part just before."""
        batch, began, note, number = self.batch, self._began, self._note, self._number
        first, slope, sequences, tokens = self._first, self._slope, batch.generating, self._tokens
        used = batch.blocks - batch.free
        fresh = batch.fresh
        if batch.generated_at == began and (not fresh or (len(fresh) == 1 and began in fresh)):
            note((number, began, first, slope, count, sequences, tokens, used))
            return
        old = sequences - sum(fresh.values())
        late = [(began - moment, many) for moment, many in fresh.items() if moment < began]
        if old and batch.generated_at < began:
            late.append((began - batch.generated_at, old))
        if late:
            for pause, many in late:
                if many:
                    note((number, began - pause, pause + first, 0.0, 1, many, 0, 0))
                    sequences -= many
            note((number, began, first, 0.0, 1, sequences, tokens, used))
            tokens = 0
            began += first
            first += slope
            count -= 1
            sequences = batch.generating
        if count:
            note((number, began, first, slope, count, sequences, tokens, used))

    def _begin(self, now: float) -> None:
        batch = self.batch
        waiting = batch.waiting
        if self.entering:
            self.entering = []
        if self._joins:
            self._join(now)
        generating = batch.generating
        if not waiting and not batch.prefilling and batch.free - (needed := batch.needed()) > 0:
            if not generating:
                self._step = None
                self.until = inf
                return
            batch.free -= needed
            step = _GENERATION
        else:
            for _ in range(3):
                if not waiting and not batch.running:
                    self._step = None
                    self.until = inf
                    return
                step = self._form(batch, now)
                if step.prompts or step.generates:
                    break
                if self._joins:
                    self._join(now)
            else:
                if not batch.apart:
                    raise RuntimeError("no iteration can be formed although sequences wait")
                # Caches on their way hold the blocks.
                self._step = None
                self.until = inf
                return
            generating = batch.generating if step.generates else 0
        self._step = step
        self._began = now
        if step.prompts:
            tokens = 0
            square = 0.0
            entering = self.entering
            for sequence, chunk in step.prompts:
                entering.append(sequence)
                tokens += chunk
                square += chunk * (sequence.computed + chunk / 2)
            self._tokens = tokens
            context = batch.context if generating else 0
            if self._detailed is None:
                first = self._seconds(tokens, square, generating, context)
            else:
                chunks = [(chunk, sequence.computed) for sequence, chunk in step.prompts]
                first = self._detailed(chunks, generating, context)
            first = (first + self._overhead) * self._slower
            cache = batch.cache
            if cache is not None and cache.loading:
                first += cache.loading
                cache.loading = 0.0
            self._first = first
            self._slope = 0.0
            self._count = 1
            self.until = now + first
            return
        self._tokens = 0
        first, slope, limit = self._ramp(generating, batch.context)
        slower = self._slower
        self._slope = slope = slope * slower
        self._first = first = (first + self._overhead) * slower
        count = 1
        if step.settled and limit > 1 and batch.free > 0:
            ends = batch.next_due() - batch.step
            # As long as a block stays free, no rule takes a sequence's place. Nor does an eviction help who
            # waits: with each there is one block less to be had, and at most one less to be wanted.
            count = batch.iterations_within(batch.free - 1, ends if ends < limit else limit)
        self._count = count
        # The same sum as `_span`, to the last bit.
        self.until = now + (count * first + slope * (count * (count - 1) / 2))

    def _join(self, now: float) -> None:
        """Let those begin whose prompts were processed elsewhere, while there is room."""
        batch = self.batch
        waiting, arrived = batch.waiting, self._arrived
        while arrived and len(batch.running) < self._places:
            self._enter(arrived.popleft(), now)
        while waiting:
            head = waiting.head()
            if not head.prefilled or batch.blocks_for(head.prompt) > batch.free:
                return
            if head.away:
                self.fetching.append(batch.reserve())
            elif len(batch.running) < self._places:
                self._enter(batch.reserve(), now)
            else:
                return

    def _enter(self, sequence: Sequence, now: float) -> None:
        self.batch.join(sequence, now)
        self.entering.append(sequence)


def simulate(engine: Engine | StepwiseEngine, sequences: Iterable[Sequence]) -> list[Sequence]:
    """Serve sequences, and return those that were, in the order they ended; others are left as they are."""
    done: list[Sequence] = []
    for sequence in sorted(sequences, key=lambda s: (s.arrival, s.number)):
        while engine.until < sequence.arrival:
            done += engine.proceed(engine.until)
        if not engine.refusal(sequence):
            engine.offer(sequence, sequence.arrival)
    while engine.until < inf:
        done += engine.proceed(engine.until)
    return done
