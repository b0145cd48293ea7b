"""The sequences in an engine and the blocks of the key-value cache they hold.

All sequences that generate advance together, one token per iteration, so nothing is counted per
sequence: `step` counts those iterations, a sequence has `base + step` tokens, and finds a new block
due whenever its tokens pass a multiple of the block size. How many do so in an iteration is read
from a count by remainder, and who ends next from a heap.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from sim.paas.llm.prefix import Content, PrefixCache, Run
from sim.paas.llm.waiting import FirstCome, Waiting

NAN = float("nan")


class Sequence:
    """One prompt and its answer.

    Args:
        number: tells it from others; breaks ties.
        arrival: moment it reached the engine (s).
        prompt: its tokens, at least 1.
        output: tokens to generate, at least 1; the first comes with the end of the prompt.
        priority: higher first, where the order looks at it.
        owner: whatever the caller wants back.
        prefilled: moment at which another engine made the last token of its prompt, whose cache arrives
            with it (s): it only generates here. NaN: it begins with its prompt.
        adapter: number of the low-rank adapter it needs; None: none.
        content: what its tokens are, where a prefix cache looks at it; nobody else's unless given.
        away: whether that cache is still there: the blocks come first, then the cache (`Engine.arrived`).
        keeps: whether its blocks stay taken when it has ended, until the engine is told to cancel it: its
            cache is wanted elsewhere.

    Attributes:
        generated: tokens generated, up to date while it waits and when it has ended.
        start: moment it first entered the batch (s).
        first: moment of its first token (s).
        last: moment of its last token, up to date while it waits and when it has ended (s).
        finish: moment of its final token (s).
        preemptions: times it lost its place and cache.
        target: tokens to be processed before the next is generated.
        computed: how many of these are.
        held: blocks it holds while its prompt is processed.
        base: its tokens less the batch's step, while it generates.
        due: step at which it ends, while it generates.
        generating: whether it has a place and its prompt is done.
        prefilled: whether its prompt need not be processed here.
        flying: iterations under way that it is in, where they are taken one by one.
        credit: share of a token that drafts have still to give it, likewise.
        runs: of the prefix cache, what it holds there from its beginning.
        part: of its content, the place of what the last of these is.
        cached: tokens of its prompt that were found there when it first got a place.
        loaded: those of them that came from the host's memory.
    """

    __slots__ = (
        "adapter",
        "arrival",
        "away",
        "base",
        "cached",
        "computed",
        "content",
        "credit",
        "due",
        "finish",
        "first",
        "flying",
        "generated",
        "generating",
        "held",
        "keeps",
        "last",
        "loaded",
        "number",
        "output",
        "owner",
        "part",
        "preemptions",
        "prefilled",
        "priority",
        "prompt",
        "runs",
        "start",
        "target",
    )

    runs: list[Run]
    part: int

    def __init__(
        self,
        number: int,
        arrival: float,
        prompt: int,
        output: int,
        priority: float = 0.0,
        owner: Any = None,
        prefilled: float = NAN,
        adapter: int | None = None,
        content: Content | None = None,
        away: bool = False,
        keeps: bool = False,
    ) -> None:
        if prompt < 1 or output < 1:
            raise ValueError(f"sequence {number}: prompt and output must be at least 1 token")
        self.number = number
        self.arrival = arrival
        self.prompt = prompt
        self.output = output
        self.priority = priority
        self.owner = owner
        self.generated = 0
        self.start = self.first = self.finish = NAN
        self.last = prefilled
        self.prefilled = prefilled == prefilled
        self.away = away
        self.keeps = keeps
        self.preemptions = 0
        self.target = prompt
        self.computed = 0
        self.held = 0
        self.base = 0
        self.due = -1
        self.generating = False
        self.adapter = adapter
        self.flying = 0
        self.credit = 0.0
        self.content = content
        self.cached = self.loaded = 0


class Batch:
    """State of an engine between two iterations.

    Args:
        blocks: of the key-value cache.
        block_size: tokens per block.
        waiting: the line in front of it.
        restart: what a sequence that lost its place begins with (`sim.paas.llm.admission.Restart`).
        cache: what the blocks hold; None: nothing that could be found again.

    Attributes:
        free: blocks nobody holds.
        running: sequences with a place, by the time they got it.
        apart: sequences that hold blocks without a place: their caches are on their way here or from here.
        prefilling: those of them whose prompt is not done.
        generating: number of the others.
        step: iterations in which these generated.
        fresh: moment -> sequences that began to generate then, since the last such iteration.
        generated_at: end of that iteration (s).
    """

    def __init__(
        self,
        blocks: int,
        block_size: int = 16,
        waiting: Waiting | None = None,
        restart: str = "tokens",
        cache: PrefixCache | None = None,
    ) -> None:
        self.blocks = self.free = blocks
        self.block_size = block_size
        self.restart = restart
        self.waiting: Waiting = FirstCome() if waiting is None else waiting
        self.cache = cache
        self.running: dict[Sequence, None] = {}
        self.apart = 0
        self.prefilling: list[Sequence] = []
        self.generating = 0
        self.step = 0
        self.fresh: dict[float, int] = {}
        self.generated_at = 0.0
        self._bases = 0
        # Twice over, so that a stretch of it is a slice wherever it begins.
        self._remainders = [0] * (2 * block_size)
        self._due: list[tuple[int, int, Sequence]] = []

    # ------------------------------------------------------------ what is there

    @property
    def context(self) -> int:
        """Sum of the tokens of the sequences that generate."""
        return self._bases + self.step * self.generating

    def blocks_for(self, tokens: int) -> int:
        """Blocks that so many tokens of one sequence fill."""
        return -(-tokens // self.block_size)

    def needed(self) -> int:
        """New blocks that one token more for each generating sequence takes."""
        return self._remainders[-self.step % self.block_size]

    def iterations_within(self, room: int, limit: int) -> int:
        """Most iterations, up to a limit, that take no more than so many new blocks after this one."""
        size, remainders = self.block_size, self._remainders
        if self.generating * (limit // size + 1) <= room:
            return limit
        cycles = room // self.generating if self.generating else 0
        count = cycles * size
        room -= cycles * self.generating
        while count < limit - 1:
            room -= remainders[-(self.step + 1 + count) % size]
            if room < 0:
                break
            count += 1
        return min(limit, count + 1)

    def next_due(self) -> int:
        """Step at which the next sequence ends; one must be generating."""
        due = self._due
        while due[0][2].due != due[0][0]:
            heappop(due)
        return due[0][0]

    # ------------------------------------------------------------ what happens

    def found(self, sequence: Sequence) -> tuple[int, int]:
        """Tokens that are cached of a sequence that waits, and how many blocks of them others hold."""
        return (0, 0) if self.cache is None else self.cache.look(sequence, self.free)

    def admit(self, blocks: int, shared: int, chunk: int, now: float) -> Sequence:
        """Give the head of the line, for which was just looked, a place, and the blocks that nobody holds.

        Args:
            blocks: it has then.
            shared: how many of them others hold.
            chunk: tokens of its prompt in the iteration that is formed.
            now: moment (s).
        """
        sequence = self.waiting.take()
        if sequence.start != sequence.start:
            sequence.start = now
        if self.cache is not None:
            sequence.computed = self.cache.take(sequence)
            self.cache.fill(sequence, sequence.computed + chunk)
        sequence.held = blocks
        self.free -= blocks - shared
        self.running[sequence] = None
        self.prefilling.append(sequence)
        return sequence

    def reserve(self) -> Sequence:
        """Give the head of the line its blocks: its prompt was processed elsewhere."""
        sequence = self.waiting.take()
        sequence.held = self.blocks_for(sequence.prompt - 1)
        self.free -= sequence.held
        self.apart += 1
        return sequence

    def join(self, sequence: Sequence, now: float) -> None:
        """Give a sequence a place that has its blocks, and its cache in them."""
        sequence.start = now
        sequence.prefilled = False
        sequence.held = 0
        self.apart -= 1
        if self.cache is not None:
            sequence.runs = []
            sequence.part = 0
            self.cache.fill(sequence, sequence.prompt - 1)
        self.running[sequence] = None
        self._generate(sequence, sequence.prompt, sequence.last)

    def remove(self, sequence: Sequence) -> None:
        """Take out a sequence that has a place or at least blocks, for good; nothing if it has ended."""
        if sequence not in self.running:
            if sequence.held:
                blocks = sequence.held
                if sequence.keeps:
                    blocks = self._released(sequence, blocks, sequence.computed)
                self.free += blocks
                sequence.held = 0
                self.apart -= 1
        elif sequence.generating:
            sequence.generated = sequence.base + self.step - sequence.prompt
            self.free += self._leave(sequence)
        else:
            self.prefilling.remove(sequence)
            del self.running[sequence]
            self.free += self._released(sequence, sequence.held, sequence.computed)

    def taken(self, iterations: int) -> int:
        """Blocks that so many iterations of generation take, without those of the first."""
        size = self.block_size
        cycles, rest = divmod(iterations - 1, size)
        taken = cycles * self.generating
        if rest:
            # Places -(step + 1), -(step + 2), ... modulo the size: a slice that ends with the first.
            end = size + -(self.step + 1) % size + 1
            taken += sum(self._remainders[end - rest : end])
        return taken

    def advance(self, iterations: int, now: float) -> bool:
        """Every generating sequence has got so many tokens; the first one's blocks are claimed.

        Returns:
            Whether a sequence may have ended.
        """
        if iterations > 1:
            self.free -= self.taken(iterations)
        self.step += iterations
        self.generated_at = now
        if self.fresh:
            self.fresh.clear()
        due = self._due
        return bool(due) and due[0][0] <= self.step

    def ended(self, now: float) -> list[Sequence]:
        """Take out the sequences that have generated all, by number."""
        done: list[Sequence] = []
        due = self._due
        while due and due[0][0] <= self.step:
            step, _, sequence = heappop(due)
            if sequence.due == step:
                self.free += self._leave(sequence)
                sequence.finish = sequence.last = now
                sequence.generated = sequence.output
                done.append(sequence)
        return done

    def prompt_done(self, sequence: Sequence, now: float) -> bool:
        """The prompt is processed and a token comes of it; whether that was the last."""
        self.prefilling.remove(sequence)
        sequence.generated += 1
        sequence.last = now
        if sequence.first != sequence.first:
            sequence.first = now
        if sequence.generated == sequence.output:
            sequence.finish = now
            del self.running[sequence]
            if sequence.keeps:
                self.apart += 1
            else:
                self.free += self._released(sequence, sequence.held, sequence.computed)
                sequence.held = 0
            return True
        self._generate(sequence, sequence.target + 1, now)
        return False

    def _generate(self, sequence: Sequence, tokens: int, since: float) -> None:
        """It has so many tokens, the last of that moment, and generates from now on."""
        sequence.held = 0
        sequence.base = base = tokens - self.step
        sequence.due = due = self.step + sequence.output - sequence.generated
        sequence.generating = True
        self.generating += 1
        self._bases += base
        place = (base - 1) % self.block_size
        self._remainders[place] += 1
        self._remainders[place + self.block_size] += 1
        heappush(self._due, (due, sequence.number, sequence))
        self.fresh[since] = self.fresh.get(since, 0) + 1

    def preempt(self, sequence: Sequence, claimed: bool = False) -> None:
        """Take the place and the blocks of a sequence; all is to be done again.

        Args:
            sequence: who has a place.
            claimed: whether it generates and has claimed its block of the iteration that is formed.
        """
        if sequence.generating:
            tokens = sequence.base + self.step
            self.free += self._leave(sequence)
            if claimed and (tokens - 1) % self.block_size == 0:
                self.free += 1
            sequence.generated = tokens - sequence.prompt
            if self.fresh.get(sequence.last):
                self.fresh[sequence.last] -= 1
            else:
                sequence.last = self.generated_at
            sequence.target = tokens
            if self.restart == "prompt":
                sequence.target = sequence.prompt
                sequence.generated = 0
        else:
            self.prefilling.remove(sequence)
            del self.running[sequence]
            self.free += self._released(sequence, sequence.held, sequence.computed)
            if self.restart == "processed":
                # Below 0: so many tokens of the prompt are counted as if they were generated.
                sequence.target = sequence.computed
                sequence.generated = sequence.computed - sequence.prompt
        sequence.computed = sequence.held = 0
        sequence.preemptions += 1
        self.waiting.put_back(sequence)

    def _leave(self, sequence: Sequence) -> int:
        """No longer generates; the blocks that are free then."""
        base = sequence.base
        del self.running[sequence]
        self.generating -= 1
        self._bases -= base
        place = (base - 1) % self.block_size
        self._remainders[place] -= 1
        self._remainders[place + self.block_size] -= 1
        sequence.generating = False
        sequence.due = -1
        tokens = base + self.step - 1
        blocks = -(-tokens // self.block_size)
        return blocks if self.cache is None else self._released(sequence, blocks, tokens)

    def _released(self, sequence: Sequence, blocks: int, tokens: int) -> int:
        """Blocks that are free when a sequence leaves that has so many, with so many tokens computed."""
        return blocks if self.cache is None else self.cache.release(sequence, blocks, tokens, self.free)

    def claim(self, order: list[Sequence] | None, spare: int) -> bool:
        """Take the blocks of the next iteration, at the cost of others if there are too few.

        Args:
            order: the running sequences; None: as they got their places. Whoever generates is served
                from its front, whoever loses its place is taken from its end, unless the line has an order
                in which one is the last to be served: then that one.
            spare: blocks that must be free for a sequence to go on, even if it needs none.

        Returns:
            Whether a sequence lost its place.
        """
        needed = self.needed()
        if self.free - needed >= spare or not self.generating:
            self.free -= needed
            return False
        line = list(self.running) if order is None else order
        place, size, step = 0, self.block_size, self.step - 1
        lost = False
        while place < len(line):
            sequence = line[place]
            if not sequence.generating:
                place += 1
                continue
            needs = 1 if (sequence.base + step) % size == 0 else 0
            while self.free < max(needs, spare):
                victim = self.waiting.last(line)
                at = line.index(victim)
                del line[at]
                self.preempt(victim, at < place)
                lost = True
                if at < place:
                    place -= 1
                elif victim is sequence:
                    break
            else:
                self.free -= needs
                place += 1
        return lost

    def make_room(self, sequence: Sequence, blocks: int) -> int:
        """Free so many blocks for a prompt that goes on, when all who generate have claimed theirs.

        Returns:
            How many lost their places for it, -1 if it did itself.
        """
        lost = 0
        while self.free < blocks:
            victim = self.waiting.last([*self.running])
            self.preempt(victim, True)
            if victim is sequence:
                return -1
            lost += 1
        return lost
