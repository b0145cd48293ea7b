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

    def __init__(self, number, arrival, prompt, output):
        self.number, self.arrival = number, arrival
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


def v1(jobs, total, size, places, budget, times, whole=False, anew=False):
    """vLLM V1: one pass over the running in order, then over the line if nobody lost a place."""
    todo, line, running = sorted(jobs, key=lambda job: (job.arrival, job.number)), [], []
    used, now = 0, 0.0
    while todo or line or running:
        if not line and not running:
            now = max(now, todo[0].arrival)
        while todo and todo[0].arrival <= now:
            line.append(todo.pop(0))
        left, batch, lost, place = budget, [], False, 0
        while place < len(running) and left > 0:
            job = running[place]
            tokens = min(1 if job.ready else job.prefill - job.done, left)
            # The token generated last is among `done` and gets its slot now.
            reach = job.done if job.ready else job.done + tokens
            more = max(0, needs(reach, size) - job.blocks)
            while total - used < more:
                victim = running.pop()
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
        while line and left > 0 and len(running) < places and not lost:
            tokens = min(line[0].prefill, left)
            if needs(line[0].prefill if whole else tokens, size) > total - used:
                break
            job = line.pop(0)
            job.blocks = needs(tokens, size)
            used += job.blocks
            left -= tokens
            running.append(job)
            batch.append((job, tokens))
        if batch:
            now += seconds(batch, times)
            for job, tokens in batch:
                job.process(tokens, now)
                if job.finish is not None:
                    used -= job.blocks
                    running.remove(job)
    assert used == 0
    return jobs
