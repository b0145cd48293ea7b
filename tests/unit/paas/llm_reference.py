"""The tests' reference: an engine that steps through every iteration, sequence by sequence, block by block.

Plain lists and sets; nothing is shared with the engine that jumps.
"""

from __future__ import annotations

from sim.paas.llm import PrefillFirst, Sarathi

SIZE = 4


class Job:
    """A sequence: `text(n)` names its first n tokens, alike for those who share them."""

    def __init__(self, number, arrival, prompt, output, priority=0, content=None):
        self.number, self.arrival, self.output, self.priority = number, arrival, output, priority
        self.prompt, self.target, self.computed, self.got = prompt, prompt, 0, 0
        self.content = content or (((number, "own"), float("inf")),)
        self.blocks = []
        self.moments, self.preemptions, self.found, self.loaded = [], 0, None, 0

    def text(self, tokens):
        return next(name for name, end in self.content if tokens <= end), tokens


class Block:
    """A place for `SIZE` tokens: what it holds, and how many use it."""

    def __init__(self):
        self.text, self.users = None, 0


class Pool:
    """Blocks that are free, those of no content first, then by the time they were left."""

    def __init__(self, total, caching, host, seconds):
        self.free = [Block() for _ in range(total)]
        self.known = {}  # text -> blocks that hold it, in the order they were cached
        self.caching, self.room, self.seconds, self.host = caching, host, seconds, []
        self.evicted = 0

    def found(self, job):
        """Blocks cached here, and texts in the host's memory that follow them."""
        if not self.caching:
            return [], []
        texts = [job.text(end) for end in range(SIZE, job.target, SIZE)]
        here = []
        for text in texts:
            if text not in self.known:
                break
            here.append(self.known[text][0])
        there = []
        for text in texts[len(here) :]:
            if text not in self.host:
                break
            there.append(text)
        return here, there

    def touch(self, blocks):
        for block in blocks:
            if not block.users:
                self.free.remove(block)
            block.users += 1

    def new(self, count):
        taken = []
        for _ in range(count):
            block = self.free.pop(0)
            if block.text is not None:
                self.known[block.text].remove(block)
                if not self.known[block.text]:
                    del self.known[block.text]
                self.store([block.text])
                self.evicted += 1
            block.text, block.users = None, 1
            taken.append(block)
        return taken

    def store(self, texts):
        for text in texts:
            if text in self.host:
                self.host.remove(text)
            self.host.append(text)
            del self.host[: max(0, len(self.host) - self.room)]

    def cache(self, job, tokens):
        for place in range(tokens // SIZE if self.caching else 0):
            block = job.blocks[place]
            if block.text is None:
                block.text = job.text((place + 1) * SIZE)
                self.known.setdefault(block.text, []).append(block)

    def release(self, blocks):
        blank = []
        for block in reversed(blocks):
            block.users -= 1
            if not block.users:
                (self.free if block.text is not None else blank).append(block)
        self.free[:0] = blank


def need(tokens):
    return -(-tokens // SIZE)


def reference(jobs, rule, total, times, *, by_priority=False, caching=False, host=0, load=0.0):
    """Token moments of every job, one iteration after the other."""
    line, running, now = [], [], 0.0
    pool = Pool(total, caching, host, load)
    todo = sorted(jobs, key=lambda j: (j.arrival, j.number))

    def rank(job):
        return (-job.priority, job.arrival, job.number)

    def leave(job, computed):
        pool.cache(job, computed)
        pool.release(job.blocks)
        job.blocks = []
        running.remove(job)

    def drop(job):
        leave(job, job.computed)
        job.computed = 0
        job.target = job.prompt + job.got
        job.preemptions += 1
        line.insert(0, job)

    def loser(served, others):
        """Of those served and those still to be served in this iteration, who loses its place."""
        victim = max(served + others, key=rank) if by_priority else others[-1]
        (served if victim in served else others).remove(victim)
        drop(victim)
        return victim

    def claim(order, spare):
        took, waits, lost = [], list(order), False
        while waits:
            job = waits[0]
            if job.computed < job.target:
                took.append(waits.pop(0))
                continue
            more = need(job.prompt + job.got) - len(job.blocks)
            while len(pool.free) < max(more, spare):
                lost = True
                if loser(took, waits) is job:
                    break
            else:
                job.blocks += pool.new(more)
                took.append(waits.pop(0))
        return [job for job in took if job.computed == job.target], lost

    def enter(found, blocks, chunk):
        """The head gets its place, with so many blocks in all."""
        job = line.pop(0)
        here, there = found
        pool.touch(here)
        pool.store(reversed(there))
        job.blocks = here + pool.new(blocks - len(here))
        job.computed = SIZE * (len(here) + len(there))
        if not job.preemptions:
            job.found, job.loaded = job.computed, SIZE * len(there)
        pool.cache(job, job.computed + chunk)
        running.append(job)
        return job, chunk, load * len(there)

    while todo or line or running:
        if not line and not running:
            now = max(now, todo[0].arrival)
        while todo and todo[0].arrival <= now:
            line.append(todo.pop(0))
        prompts, tokens, lost = [], [], False
        if not isinstance(rule, PrefillFirst):
            whole = isinstance(rule, Sarathi)
            tokens, lost = claim(running, 1 if whole else 0)
            budget = (rule.chunk if whole else rule.max_tokens) - len(tokens)
            for job in [j for j in running if j.computed < j.target]:
                chunk = min(job.target - job.computed, budget)
                if chunk <= 0:
                    continue
                more = max(0, need(job.computed + chunk) - len(job.blocks))
                while more > len(pool.free):
                    lost = True
                    if loser(tokens, [job]) is job:
                        break
                    budget += 1
                else:
                    job.blocks += pool.new(more)
                    pool.cache(job, job.computed + chunk)
                    budget -= chunk
                    prompts.append((job, chunk, 0.0))
        if by_priority:
            line.sort(key=rank)
        while line and len(running) < rule.max_sequences:
            head, least = line[0], 0 if not hasattr(rule, "watermark") else int(rule.watermark * total)
            found = pool.found(head)
            start = SIZE * sum(map(len, found))
            left = head.target - start
            if isinstance(rule, PrefillFirst):
                sizes = [chunk for _, chunk, _ in prompts] + [left]
                over = len(sizes) * max(sizes) > rule.max_tokens and (prompts or not head.got)
                chunk, blocks = left, need(head.target)
            else:
                over = budget <= 0 or (lost and not whole)
                chunk = min(left, budget)
                blocks = need(head.target if whole else start + chunk)
            held = sum(block.users > 0 for block in found[0])
            if over or len(pool.free) - (blocks - held) < least:
                break
            if not isinstance(rule, PrefillFirst):
                budget -= chunk
            prompts.append(enter(found, blocks, chunk))
        if isinstance(rule, PrefillFirst) and not prompts:
            tokens, _ = claim(sorted(running, key=lambda j: (j.arrival, j.number)), 1)
        if not prompts and not tokens:
            continue
        square = sum(chunk * (job.computed + chunk / 2) for job, chunk, _ in prompts)
        context = sum(job.prompt + job.got for job in tokens)
        now += times.seconds(sum(chunk for _, chunk, _ in prompts), square, len(tokens), context)
        now += sum(seconds for _, _, seconds in prompts)
        for job, chunk, _ in prompts:
            job.computed += chunk
        fresh = [job for job, _, _ in prompts if job.computed == job.target]
        for job in tokens:
            # The token it got last is processed now.
            job.computed = job.target = job.prompt + job.got
        for job in sorted(tokens, key=lambda j: j.number) + fresh:
            job.got += 1
            job.moments.append(now)
            if job.got == job.output:
                leave(job, job.computed)
        check(pool, running, total)
    assert len(pool.free) == total
    return pool


def check(pool, running, total):
    """No block is lost, none is used by more or fewer than it says."""
    held = [block for job in running for block in job.blocks]
    assert len(pool.free) + len({id(block) for block in held}) == total
    assert all(block.users == held.count(block) for block in held)
