"""An engine: forms iterations one after the other, and jumps over those that are formed alike.

Between two changes of the batch every iteration is the last one with a token more per sequence. The
engine takes all of them at once, up to the moment a sequence ends, blocks run out, the time
model's progression ends, or somebody arrives who might get a place. The moments are those of an
engine that steps through every iteration, up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, sqrt

from sim.paas.llm.admission import Admission, Step
from sim.paas.llm.batch import Batch, Sequence
from sim.paas.llm.gaps import Gaps
from sim.paas.llm.times import StepTimes
from sim.paas.llm.waiting import Waiting


class Engine:
    """Driven from outside: `offer` what arrives, and call `proceed` at the moment `until`.

    Args:
        admission: what goes into an iteration.
        times: how long one takes.
        blocks: of the key-value cache.
        block_size: tokens per block.
        waiting: order of the line; first come first served unless given.
        overhead: seconds added to every iteration, of the scheduler and the host.

    Attributes:
        batch: its state.
        gaps: between the tokens of each sequence.
        until: moment the present stretch of iterations ends (s); infinite while idle.
        iterations: done so far.
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
    ) -> None:
        self.batch = Batch(blocks, block_size, waiting)
        self.gaps = Gaps()
        self.until = inf
        self.iterations = 0
        self._form = admission.form
        self._times = times
        self._overhead = overhead
        self._usable = blocks - admission.reserve(blocks)
        self._longest = admission.longest()
        self._step: Step | None = None
        self._began = 0.0
        self._first = 0.0
        self._slope = 0.0
        self._count = 0

    def refusal(self, sequence: Sequence) -> str:
        """Why a sequence can never be served, "" if it can."""
        if self.batch.blocks_for(sequence.prompt + sequence.output - 1) > self._usable:
            return "exceeds-cache"
        if self._longest is not None and sequence.prompt > self._longest:
            return "prompt-too-long"
        return ""

    def offer(self, sequence: Sequence, now: float) -> bool:
        """Let a sequence wait that is not refused; whether `until` has changed by that.

        An idle engine begins with the next `proceed`, so that all that arrives at one moment is seen.
        """
        head = self.batch.waiting.push(sequence)
        if self._step is None:
            changed = self.until != now
            self.until = now
            return changed
        if not head or self._count == 1:
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
        first, slope = self._first, self._slope
        if slope > 0.0:
            half = first / slope - 0.5
            count = int(2 * elapsed / slope / (half + sqrt(half * half + 2 * elapsed / slope)))
        else:
            count = int(elapsed / first) if first > 0.0 else self._count
        count = min(max(1, count), self._count)
        while count > 1 and self._span(count - 1) >= elapsed:
            count -= 1
        while count < self._count and self._span(count) < elapsed:
            count += 1
        return count

    def proceed(self, now: float) -> list[Sequence]:
        """The stretch has ended: account for it and begin the next; the sequences that have ended."""
        done: list[Sequence] = [] if self._step is None else self._account(self._step, now)
        self._begin(now)
        return done

    def entering(self) -> list[Sequence]:
        """Sequences whose prompts are being processed in the present iteration."""
        return [] if self._step is None else [sequence for sequence, _ in self._step.prompts]

    def _account(self, step: Step, now: float) -> list[Sequence]:
        batch, count = self.batch, self._count
        self.iterations += count
        done: list[Sequence] = []
        if step.generates:
            self._record(count)
            batch.advance(count, now)
            done = batch.ended(now)
        for sequence, chunk in step.prompts:
            sequence.computed += chunk
            if sequence.computed == sequence.target:
                if sequence.generated:
                    self.gaps.add(now - sequence.last, 0.0, 1, 1)
                if batch.prompt_done(sequence, now):
                    done.append(sequence)
        return done

    def _record(self, count: int) -> None:
        """The gaps of a stretch; the first is longer for those that did not take part just before."""
        batch, gaps, began = self.batch, self.gaps, self._began
        first, slope, sequences = self._first, self._slope, batch.generating
        old = sequences - sum(batch.fresh.values())
        late = [(began - moment, number) for moment, number in batch.fresh.items() if moment < began]
        if old and batch.generated_at < began:
            late.append((began - batch.generated_at, old))
        if late:
            for pause, number in late:
                if number:
                    gaps.add(pause + first, 0.0, 1, number)
                    sequences -= number
            if sequences:
                gaps.add(first, 0.0, 1, sequences)
            first += slope
            count -= 1
            sequences = batch.generating
        if count:
            gaps.add(first, slope, count, sequences)

    def _begin(self, now: float) -> None:
        batch = self.batch
        self._step = None
        for _ in range(3):
            if not batch.waiting and not batch.running:
                self.until = inf
                return
            step = self._form(batch, now)
            if step.prompts or step.generates:
                break
        else:
            raise RuntimeError("no iteration can be formed although sequences wait")
        generating = batch.generating if step.generates else 0
        context = batch.context if generating else 0
        self._step = step
        self._began = now
        if step.prompts:
            tokens = 0
            square = 0.0
            for sequence, chunk in step.prompts:
                tokens += chunk
                square += chunk * (sequence.computed + chunk / 2)
            self._first = self._times.seconds(tokens, square, generating, context) + self._overhead
            self._slope = 0.0
            self._count = 1
        else:
            first, self._slope, limit = self._times.ramp(generating, context)
            self._first = first + self._overhead
            limit = min(limit, batch.next_due() - batch.step) if step.settled else 1
            # As long as a block stays free, no rule takes a sequence's place.
            settled = limit > 1 and batch.free > 0
            self._count = batch.iterations_within(batch.free - 1, limit) if settled else 1
        self.until = now + self._span(self._count)


def simulate(engine: Engine, sequences: Iterable[Sequence]) -> list[Sequence]:
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
