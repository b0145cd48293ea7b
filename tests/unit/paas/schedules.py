"""Schedules of other simulators, written down anew from what their schedulers do, one job at a time.

Nothing is shared with the engines they are compared with, and nothing is clever: lists, whole counts.

- `vidur`: Vidur (MLSys 2024, github.com/microsoft/vidur) with its schedulers `vllm` and `sarathi` on any
  number of pipeline stages.
- `system`: the scheduler of the system Sarathi-Serve (github.com/microsoft/sarathi-serve).
- `v1`: vLLM's V1 engine, as LLMServingSim 2 and BLIS state it too (`whole`: the first of these two,
  `anew`: the second).
"""

from __future__ import annotations

import heapq


class Job:
    """A request: `done` of `prefill` + `decode` tokens are processed or generated."""

    def __init__(self, number, arrival, prompt, output, adapter=None, priority=0):
        self.number, self.arrival, self.adapter, self.priority = number, arrival, adapter, priority
        self.prefill, self.decode, self.done = prompt, output, 0
        self.prompt, self.ready, self.blocks = prompt, False, 0
        self.start = self.first = self.finish = None
        self.restarts = 0

    def back(self, prefill):
        """Begin again with so many tokens as the prompt; the sum stays."""
        self.prefill, self.decode = prefill, self.prefill + self.decode - prefill
        self.done, self.ready, self.blocks = 0, False, 0
        self.restarts += 1

    def process(self, tokens, now):
        """Note tokens that were processed; the end of the prompt gives one more."""
        self.done += tokens
        if self.done == self.prefill:
            self.ready = True
            self.done += 1
            if self.first is None:
                self.first = now
        if self.done == self.prefill + self.decode:
            self.finish = now


def needs(tokens, size):
    return (tokens + size - 1) // size


def rank(job):
    """First come first served within a priority."""
    return (-job.priority, job.arrival, job.number)


def seconds(batch, times):
    """Duration of an iteration of (job, tokens)."""
    chunks = [(tokens, job.done) for job, tokens in batch if not job.ready]
    contexts = [job.done for job, _ in batch if job.ready]
    square = sum(tokens * (before + tokens / 2) for tokens, before in chunks)
    return times.seconds(sum(tokens for tokens, _ in chunks), square, len(contexts), sum(contexts))


def vidur(jobs, scheduler, total, size, places, most, watermark, stages):
    """Serve jobs; `most` tokens are the bound of a padded batch of prompts or the chunk.

    `stages` are functions of a batch, the seconds each stage of the pipeline takes for it.
    """
    line, resting, flying, free_at = [], [], 0, [0.0] * len(stages)
    used, least, micro = 0, int(watermark * total), places // len(stages)
    events = [(job.arrival, 0, job.number, job) for job in jobs]
    heapq.heapify(events)
    having = set()

    def give(job):
        """Blocks for the whole prompt, or one more if its tokens have outgrown those it has."""
        nonlocal used
        more = needs(job.prefill, size) if job not in having else int(job.done > job.blocks * size)
        having.add(job)
        job.blocks += more
        used += more

    def fits(job):
        if job in having:
            return total - used >= 1
        return total - used - needs(job.prefill, size) >= least

    def drop(job):
        nonlocal used
        used -= job.blocks
        having.discard(job)
        job.back(job.done)
        line.insert(0, job)

    def generate(batch, candidates, counted):
        """Those whose turn it is, each with a free block, at the cost of the last."""
        while candidates and len(batch) < micro:
            job = candidates.pop(0)
            if counted is not None and not job.ready:
                counted.append(job)
                continue
            while not fits(job):
                if candidates:
                    drop(candidates.pop())
                else:
                    drop(job)
                    break
            else:
                give(job)
                batch.append((job, 1))

    def vllm():
        batch = []
        while line and fits(line[0]) and len(having) < places and len(batch) < micro:
            longest = max([line[0].prefill] + [tokens for _, tokens in batch])
            if (len(batch) + 1) * longest > most:
                break
            batch.append((line[0], line[0].prefill))
            give(line.pop(0))
        if not batch:
            resting.sort(key=lambda job: job.arrival)
            generate(batch, resting, None)
        return batch

    def sarathi():
        batch, begun, skipped = [], [], []
        generate(batch, resting, begun)
        for job in begun:
            chunk = min(job.prefill - job.done, most - sum(tokens for _, tokens in batch))
            if chunk > 0:
                batch.append((job, chunk))
            else:
                skipped.append(job)
        resting[:] = sorted(skipped + resting, key=lambda job: job.arrival)
        while line and len(having) < places and len(batch) < micro and fits(line[0]):
            chunk = min(line[0].prefill, most - sum(tokens for _, tokens in batch))
            if chunk <= 0:
                break
            batch.append((line[0], chunk))
            give(line.pop(0))
        return batch

    form = vllm if scheduler == "vllm" else sarathi
    while events:
        now = events[0][0]
        while events and events[0][0] == now:
            _, kind, _, what = heapq.heappop(events)
            if kind == 0:
                line.append(what)
                continue
            flying -= 1
            for job, tokens in what:
                job.process(tokens, now)
                if job.finish is not None:
                    used -= job.blocks
                    having.discard(job)
                else:
                    resting.append(job)
        while flying < len(stages):
            batch = form()
            if not batch:
                break
            flying += 1
            moment = now
            for place, stage in enumerate(stages):
                moment = max(moment, free_at[place]) + stage(batch)
                free_at[place] = moment
            for job, _ in batch:
                job.start = now if job.start is None else job.start
            heapq.heappush(events, (moment, 1, len(events), batch))
    assert used == 0
    return jobs


def system(jobs, total, size, places, chunk, watermark, times):
    """Sarathi-Serve: running jobs sorted by arrival; who loses its place comes back with all it has."""
    todo, line, running = sorted(jobs, key=lambda job: (job.arrival, job.number)), [], []
    used, now = 0, 0.0

    def drop(job):
        nonlocal used
        used -= job.blocks
        job.back(job.done if job.ready else job.prefill)
        line.insert(0, job)

    while todo or line or running:
        if not line and not running:
            now = max(now, todo[0].arrival)
        while todo and todo[0].arrival <= now:
            line.append(todo.pop(0))
        left, kept, begun, batch = sorted(running, key=lambda job: job.arrival), [], [], []
        while left:
            job = left.pop(0)
            if not job.ready:
                begun.append(job)
                continue
            while total - used < 1:
                victim = left.pop() if left else job
                drop(victim)
                if victim is job:
                    break
            else:
                more = int(job.done > job.blocks * size)
                job.blocks += more
                used += more
                kept.append(job)
                batch.append((job, 1))
        for job in begun:
            kept.append(job)
            tokens = min(job.prefill - job.done, chunk - sum(n for _, n in batch))
            if tokens > 0:
                batch.append((job, tokens))
        while line and len(kept) < places:
            job = line[0]
            tokens = min(job.prefill, chunk - sum(n for _, n in batch))
            if total - used - needs(job.prefill, size) < int(watermark * total) or tokens <= 0:
                break
            job.blocks = needs(line.pop(0).prefill, size)
            used += job.blocks
            kept.append(job)
            batch.append((job, tokens))
        running = kept
        if batch:
            now += seconds(batch, times)
            for job, tokens in batch:
                job.process(tokens, now)
                if job.finish is not None:
                    used -= job.blocks
                    running.remove(job)
    assert used == 0
    return jobs


def v1(
    jobs,
    total,
    size,
    places,
    budget,
    times,
    whole=False,
    anew=False,
    adapters=None,
    longest=10**9,
    ranked=False,
    chunks=True,
):
    """vLLM V1: one pass over the running in order, then over the line if nobody lost a place.

    `adapters` are (slots, seconds to load one, share that each makes an iteration longer): who needs
    one more than fit beside those running is passed by. `longest` bounds the chunks. Where jobs are `ranked`
    by priority, the one of the lowest loses its place, and what it was to do in the iteration is undone.
    """
    todo, line, running = sorted(jobs, key=lambda job: (job.arrival, job.number)), [], []
    used, now, there = 0, 0.0, []
    while todo or line or running:
        if not line and not running:
            now = max(now, todo[0].arrival)
        while todo and todo[0].arrival <= now:
            line.append(todo.pop(0))
        if ranked:
            line.sort(key=rank)
        left, batch, lost, place = budget, [], False, 0
        while place < len(running) and left > 0:
            job = running[place]
            tokens = min(1 if job.ready else job.prefill - job.done, left, longest)
            # The token generated last is among `done` and gets its slot now.
            reach = job.done if job.ready else job.done + tokens
            more = max(0, needs(reach, size) - job.blocks)
            while total - used < more:
                victim = max(running, key=rank) if ranked else running[-1]
                if running.index(victim) < place:
                    place -= 1
                running.remove(victim)
                left += sum(n for other, n in batch if other is victim)
                batch = [(other, n) for other, n in batch if other is not victim]
                lost = True
                used -= victim.blocks
                if anew:
                    victim.back(victim.prompt)
                else:
                    victim.back(victim.done if victim.ready else victim.prefill)
                line.insert(0, victim)
                if victim is job:
                    break
            if job not in running:
                break
            job.blocks += more
            used += more
            left -= tokens
            batch.append((job, tokens))
            place += 1
        for job in list(line):
            if left <= 0 or len(running) >= places or lost:
                break
            named = {other.adapter for other in running} - {None}
            if adapters and job.adapter not in named | {None} and len(named) >= adapters[0]:
                continue
            if not chunks and min(job.prefill, longest) > left != budget:
                break
            tokens = min(job.prefill, left, longest)
            if needs(job.prefill if whole else tokens, size) > total - used:
                break
            line.remove(job)
            job.blocks = needs(tokens, size)
            used += job.blocks
            left -= tokens
            running.append(job)
            batch.append((job, tokens))
        if batch:
            took = seconds(batch, times)
            if adapters:
                # In the order in which they generate or begin; those of running ones stay.
                order = [job for job, _ in batch if job.ready] + [job for job, _ in batch if not job.ready]
                named = list(dict.fromkeys(job.adapter for job in order if job.adapter is not None))
                took = took * (1 + adapters[2] * len(named)) + adapters[1] * len(set(named) - set(there))
                kept = {job.adapter for job in running}
                for adapter in named:
                    if adapter in there:
                        there.remove(adapter)
                    elif len(there) == adapters[0]:
                        there.remove(next(old for old in there if old not in kept))
                    there.append(adapter)
            now += took
            for job, tokens in batch:
                job.process(tokens, now)
                if job.finish is not None:
                    used -= job.blocks
                    running.remove(job)
    assert used == 0
    return jobs


def v1_pipeline(jobs, places, budget, stages):
    """vLLM V1 with as many iterations under way as there are stages, and blocks for all."""
    todo, line, running = sorted(jobs, key=lambda job: (job.arrival, job.number)), [], []
    flights, free_at, given, away = [], [0.0] * len(stages), {}, set()
    while todo or line or running:
        now = min([batch[0] for batch in flights[:1]] + [job.arrival for job in todo[:1]])
        while todo and todo[0].arrival <= now:
            line.append(todo.pop(0))
        while flights and flights[0][0] <= now:
            for job, tokens in flights.pop(0)[1]:
                away.discard(job.number)
                job.process(tokens, now)
                if job.finish is not None:
                    running.remove(job)
        while len(flights) < len(stages):
            left, batch = budget, []
            for job in running + line:
                if left <= 0:
                    break
                if job in line and len(running) == places:
                    break
                # Tokens of the prompt are given out ahead of their processing, generated ones are not.
                owed = job.prefill - given.get(job.number, 0)
                if job.ready:
                    owed = 0 if job.number in away else 1
                tokens = min(owed, left)
                if not tokens:
                    continue
                if job in line:
                    line.remove(job)
                    running.append(job)
                before = job.done if job.ready else given.get(job.number, 0)
                given[job.number] = given.get(job.number, 0) + tokens
                if job.ready:
                    away.add(job.number)
                left -= tokens
                batch.append((job, tokens, before))
            if not batch:
                break
            moment = now
            for place, times in enumerate(stages):
                chunks = [(tokens, before) for job, tokens, before in batch if not job.ready]
                contexts = [before for job, _, before in batch if job.ready]
                took = times.seconds(
                    sum(tokens for tokens, _ in chunks),
                    sum(tokens * (before + tokens / 2) for tokens, before in chunks),
                    len(contexts),
                    sum(contexts),
                )
                moment = free_at[place] = max(moment, free_at[place]) + took
            flights.append((moment, [(job, tokens) for job, tokens, _ in batch]))
    return jobs
