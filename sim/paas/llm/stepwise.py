"""An engine that takes every iteration by itself: for pipelines, drafts and adapters.

Up to as many iterations are under way as the pipeline has stages. A stage takes them one after the
other, so that when an iteration is formed, its end is known: start(s, b) = max(end(s - 1, b),
end(s, b - 1)), as Vidur (MLSys 2024) has it. Driven like `sim.paas.llm.engine.Engine`, whose moments it
has on one stage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence as Sequential
from math import inf

from sim.paas.llm.adapters import Adapters
from sim.paas.llm.admission import Admission, ChunkedPrefill
from sim.paas.llm.batch import Sequence
from sim.paas.llm.gaps import Log, Run
from sim.paas.llm.picking import Picked, picker
from sim.paas.llm.pool import Pool
from sim.paas.llm.speculation import Speculation
from sim.paas.llm.times import DetailedSteps, StepTimes
from sim.paas.llm.waiting import Waiting


class StepwiseEngine:
    """Driven from outside: `offer` what arrives, and call `proceed` at the moment `until`.

    Args:
        admission: what goes into an iteration; at most its share of `max_sequences` per stage, except under
            chunked prefill, where nothing but the tokens bounds it (vLLM).
        stages: how long an iteration takes on each stage of the pipeline.
        blocks: of the key-value cache; every stage has its layers' part of each.
        block_size: tokens per block.
        waiting: order of the line; first come first served unless given.
        overhead: seconds added to every iteration on every stage, of the scheduler and the host.
        hop: seconds that so many tokens take from a stage to the next; the sender is busy meanwhile.
        speculation: drafts, if any. A draft is verified as a token of a prompt would be processed.
        adapters: slots for the adapters that sequences name, if any do.
        number: of the replica, in the rows it notes.
        note: takes the rows of the table `iterations`; kept in `log` unless given.
        note_load: takes those of the table `adapters`.

    Attributes:
        batch: its state.
        log: rows noted.
        until: moment the first iteration under way ends, or now if one is to be formed (s); infinite while
            idle.
        iterations: done so far.
        entering: sequences whose prompts came into iterations just formed.
        fetching: none; caches do not come from elsewhere.
    """

    def __init__(
        self,
        admission: Admission,
        stages: Sequential[StepTimes],
        blocks: int,
        *,
        block_size: int = 16,
        waiting: Waiting | None = None,
        overhead: float = 0.0,
        hop: Callable[[int], float] | None = None,
        speculation: Speculation | None = None,
        adapters: Adapters | None = None,
        number: int = 0,
        note: Callable[[Run], object] | None = None,
        note_load: Callable[[tuple[int, float, int, float]], object] | None = None,
    ) -> None:
        drafts = speculation.drafts if speculation else 0
        self.batch = Pool(blocks, block_size, waiting, admission.restart, drafts, adapters)
        self.log = Log()
        self.until = inf
        self.iterations = 0
        self.entering: list[Sequence] = []
        self.fetching: list[Sequence] = []
        self._rule = admission
        self._pick = picker(admission)
        self._rests = not isinstance(admission, ChunkedPrefill)
        self._most = max(1, admission.max_sequences // len(stages))
        self._stages = stages
        self._ends = [0.0] * len(stages)
        self._overhead = overhead
        self._slower = 1.0
        self._hop = hop
        self._speculation = speculation
        self._number = number
        self._note = self.log.append if note is None else note
        self._note_load = note_load
        self._usable = blocks - admission.reserve(blocks)
        self._longest = admission.longest()
        self._landed = 0.0
        #: (moment it was formed, moment it ends, what is in it) of the iterations under way, in order.
        self._flights: deque[tuple[float, float, Picked]] = deque()

    def use(self, now: float) -> float:
        """Share of the cache's blocks in use, 0 to 1; every iteration has taken its own."""
        return 1.0 - self.batch.free / self.batch.blocks

    def refusal(self, sequence: Sequence) -> str:
        """Why a sequence can never be served, "" if it can."""
        pool = self.batch
        if pool.blocks_for(sequence.prompt + sequence.output - 1 + pool.drafts) > self._usable:
            return "exceeds-cache"
        if self._longest is not None and sequence.prompt > self._longest:
            return "prompt-too-long"
        return ""

    def offer(self, sequence: Sequence, now: float) -> bool:
        """Let a sequence wait that is not refused; whether `until` has changed by that.

        Raises:
            ValueError: its prompt was processed elsewhere.
        """
        if sequence.prefilled:
            raise ValueError("an engine that takes every iteration by itself begins with prompts")
        self.batch.waiting.push(sequence)
        return self._look(now)

    def cancel(self, sequence: Sequence, now: float) -> bool:
        """Take out a sequence that was offered and has not ended; whether `until` has changed by that.

        One that is in an iteration leaves when that ends.
        """
        pool = self.batch
        if sequence not in pool.running:
            pool.waiting.cancel(sequence)
        elif sequence.flying:
            pool.leaving.add(sequence)
            return False
        else:
            pool.release(sequence)
            if self._rests:
                pool.resting.remove(sequence)
        return self._look(now)

    def _look(self, now: float) -> bool:
        """Form an iteration now, if another one may be under way."""
        if len(self._flights) == len(self._stages) or self.until == now:
            return False
        self.until = now
        return True

    def rescale(self, pace: float, now: float) -> bool:
        """Go on at another pace, 1 for that of devices of its own; iterations under way keep their time."""
        self._slower = 1.0 / pace
        return False

    def proceed(self, now: float) -> list[Sequence]:
        """Account for iterations that end, and form others; the sequences that have ended."""
        done: list[Sequence] = []
        flights = self._flights
        while flights and flights[0][1] <= now:
            self._land(*flights.popleft(), done)
        self.entering = []
        pool = self.batch
        again = 2
        while len(flights) < len(self._stages):
            picked = self._pick(self._rule, pool, self._most, now)
            pool.restore()
            if picked.prompts or picked.generating:
                self._depart(picked, now)
            elif flights or not pool.waiting or not again:
                break
            else:
                # All that generated lost their places: now the first in line gets one.
                again -= 1
        if not flights and pool.waiting:
            raise RuntimeError("no iteration can be formed although sequences wait")
        self.until = flights[0][1] if flights else inf
        return done

    def _depart(self, picked: Picked, now: float) -> None:
        """Send an iteration through the stages."""
        tokens = verified = context = 0
        square = 0.0
        chunks = []
        for sequence, chunk, before in picked.prompts:
            sequence.flying += 1
            self.entering.append(sequence)
            tokens += chunk
            square += chunk * (before + chunk / 2)
            chunks.append((chunk, before))
        for sequence, drafts in picked.generating:
            sequence.flying = 1
            length = sequence.prompt + sequence.generated
            context += length
            if drafts:
                verified += drafts
                square += drafts * (length + drafts / 2)
                chunks.append((drafts, length))
        count = len(picked.generating)
        loading, factor = self._adapt(picked, now)
        drafting = 0.0
        if verified:
            assert self._speculation is not None
            drafting = self._speculation.cost * verified / count
        hop = 0.0 if self._hop is None else self._hop(tokens + verified + count)
        moment, last = now, len(self._stages) - 1
        for place, times in enumerate(self._stages):
            if isinstance(times, DetailedSteps):
                took = times.function(chunks, count, context)
            else:
                took = times.seconds(tokens + verified, square, count, context)
            if drafting:
                took += drafting * times.seconds(0, 0.0, count, context)
            took = (took * factor + loading / len(self._stages) + self._overhead) * self._slower
            if place < last:
                took += hop
            moment = max(moment, self._ends[place]) + took
            self._ends[place] = moment
        self._flights.append((now, moment, picked))

    def _adapt(self, picked: Picked, now: float) -> tuple[float, float]:
        """(seconds of loading, factor) that the adapters of an iteration ask for."""
        adapters = self.batch.adapters
        if adapters is None:
            return 0.0, 1.0
        named = [sequence.adapter for sequence, _ in picked.generating]
        named += [sequence.adapter for sequence, _, _ in picked.prompts]
        brought, factor = adapters.take_part(
            dict.fromkeys(adapter for adapter in named if adapter is not None)
        )
        if self._note_load is not None:
            for adapter in brought:
                self._note_load((self._number, now, adapter, adapters.load))
        return len(brought) * adapters.load, factor

    def _land(self, formed: float, now: float, picked: Picked, done: list[Sequence]) -> None:
        """An iteration has left the last stage."""
        self.iterations += 1
        pool, speculation, rests = self.batch, self._speculation, self._rests
        used, since = pool.blocks - pool.free, max(formed, self._landed)
        leaving, resting = pool.leaving, pool.resting
        # Tokens that came with those before, since the last iteration came out, and after other pauses.
        together = alike = tokens = 0
        gaps: dict[float, int] = {}
        for sequence, drafts in picked.generating:
            sequence.flying = 0
            if sequence.last == since:
                alike += 1
            else:
                gap = now - sequence.last
                gaps[gap] = gaps.get(gap, 0) + 1
            sequence.last = now
            given = 1
            if speculation is not None:
                left = sequence.output - sequence.generated
                given = min(speculation.tokens(sequence, drafts), left)
                together += given - 1
            sequence.generated = generated = sequence.generated + given
            if generated == sequence.output or leaving:
                self._come_out(sequence, now, done)
            elif rests:
                resting.append(sequence)
        for sequence, chunk, before in picked.prompts:
            sequence.flying -= 1
            tokens += chunk
            if before + chunk == sequence.target:
                if sequence.last == sequence.last:
                    gap = now - sequence.last
                    gaps[gap] = gaps.get(gap, 0) + 1
                sequence.generating = True
                sequence.generated += 1
                sequence.last = now
                if sequence.first != sequence.first:
                    sequence.first = now
            self._come_out(sequence, now, done)
        self._landed = now
        note, number = self._note, self._number
        others = [(number, now - gap, gap, 0.0, 1, many, 0, 0) for gap, many in gaps.items()]
        if formed == since:
            for row in others:
                note(row)
            note((number, since, now - since, 0.0, 1, alike, tokens, used))
        else:
            # Iterations overlap: one row for the blocks, one for who was in this one, and the gaps.
            note((number, since, now - since, 0.0, 1, alike, tokens, used))
            note((number, formed, now - formed, 0.0, 0, len(picked.generating) - alike, 0, 0))
            if alike:
                note((number, formed, since - formed, 0.0, 0, alike, 0, 0))
            for row in others:
                note(row)
        if together:
            note((number, now, 0.0, 0.0, 1, together, 0, 0))

    def _come_out(self, sequence: Sequence, now: float, done: list[Sequence]) -> None:
        """A sequence comes out of an iteration: it ends, leaves or rests."""
        pool = self.batch
        if sequence.generated == sequence.output:
            sequence.finish = now
            pool.leaving.discard(sequence)
            pool.release(sequence)
            done.append(sequence)
        elif sequence in pool.leaving:
            if not sequence.flying:
                pool.leaving.remove(sequence)
                pool.release(sequence)
        elif self._rests:
            pool.resting.append(sequence)
