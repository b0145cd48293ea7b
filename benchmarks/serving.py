"""How fast are the language-model engines? `python benchmarks/serving.py [CONVERSATIONS.csv] [--million]`.

Conversation lengths come from a file in the format of the Azure LLM inference trace (columns
ContextTokens, GeneratedTokens) or, without one, from log-normal laws of similar means (1155 and 211
tokens). Each rule serves them once by jumping, and a part of them by stepping, which the engine does
when told nothing about the next iteration. Both must agree on the mean end-to-end time of that part.
The last column is the whole simulator: arrivals, service, one replica, everything recorded.
Each is the fastest of three. Processor time counts, and the last number is by the clock.

With --million the whole simulator serves ten thousand, a hundred thousand and a million requests, each in a
process of its own: time, and the most memory that was resident.
"""

from __future__ import annotations

import csv
import resource
import sys
import tempfile
import time
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from sim.paas.llm import (
    ChunkedPrefill,
    Engine,
    FunctionSteps,
    LinearSteps,
    PartOfSteps,
    PrefillFirst,
    Sarathi,
    Sequence,
    Speculation,
    StepwiseEngine,
    simulate,
)
from sim.scenario.build import build
from sim.scenario.load import loads

RATE = 10.0
BLOCKS = 27_000
STEPPED = 2_000
#: Llama-3.1-8B in bf16 on one H100, fitted to the kernel times of aiconfigurator 0.12.0 (Apache-2.0).
TIMES = LinearSteps(6.29e-3, 15.13e-6, 12.9e-6, 40.9e-9)
RULES = {
    "chunked-prefill": ChunkedPrefill(256, 8192),
    "prefill-first": PrefillFirst(256, 8192),
    "sarathi": Sarathi(256, 2048),
}

WHOLE = """
name: serving
duration: {end}s
drain: true
limits: {{events: 1000000000, wall: 3h}}
infrastructure:
  instances: {{box: {{cpu: 16, memory: 64GB, device: h100-sxm, accelerators: 1}}}}
  sites: {{dc: {{kind: cloud, pools: {{gpu: {{instance: box, nodes: 1}}}}}}}}
platform:
  services:
    llm:
      site: dc
      time: {{policy: constant, value: 1s}}
      engine:
        policy: continuous-batch
        scheduling: {rule}
        max_sequences: 256
        max_tokens: {tokens}
        blocks: {blocks}
        steps: {{policy: linear, base: 6.29ms, per_prompt_token: 15.13us, per_sequence: 12.9us,
                per_context_token: 40.9ns}}
      resources: {{cpu: 8, memory: 32GB, accelerators: 1}}
applications:
  chat:
    users: {{dc: 1}}
    arrivals: {{process: trace, file: {file}, format: csv}}
    calls: {{answer: {{to: llm}}}}
"""


def lengths(path: str | None) -> list[tuple[int, int]]:
    """(prompt, output) tokens of each conversation."""
    if path is not None:
        with Path(path).open(newline="") as file:
            rows = [(int(r["ContextTokens"]), int(r["GeneratedTokens"])) for r in csv.DictReader(file)]
        return [(max(1, prompt), max(1, output)) for prompt, output in rows]
    rng = np.random.default_rng(1)
    prompts = rng.lognormal(np.log(1155) - 0.5, 1.0, 20_000).clip(1, 8000).astype(int)
    outputs = rng.lognormal(np.log(211) - 0.32, 0.8, 20_000).clip(1, 2000).astype(int)
    return list(zip(prompts.tolist(), outputs.tolist(), strict=True))


def serve(engine: Engine | StepwiseEngine, work: list[tuple[int, int]]) -> tuple[float, float]:
    """(seconds of wall time, mean end-to-end time) with Poisson arrivals."""
    moments = np.cumsum(np.random.default_rng(2).exponential(1 / RATE, len(work))).tolist()
    sequences = [Sequence(i, at, *size) for i, (at, size) in enumerate(zip(moments, work, strict=True))]
    began = time.process_time()
    done = simulate(engine, sequences)
    return time.process_time() - began, float(np.mean([s.finish - s.arrival for s in done]))


def whole(rule: str, tokens: int, work: list[tuple[int, int]], folder: str) -> tuple[float, float, float]:
    """The same of the whole simulator, and the time by the clock."""
    moments = np.cumsum(np.random.default_rng(2).exponential(1 / RATE, len(work)))
    rows = [f"{at!r},{prompt},{output}" for at, (prompt, output) in zip(moments.tolist(), work, strict=True)]
    file = Path(folder) / "requests.csv"
    file.write_text("\n".join(["time_s,tokens_in,tokens_out", *rows, ""]))
    platform = build(
        loads(WHOLE.format(rule=rule, tokens=tokens, blocks=BLOCKS, file=file, end=moments[-1] + 1))
    )
    clock, began = time.perf_counter(), time.process_time()
    tables = platform.run().tables
    took, wall = time.process_time() - began, time.perf_counter() - clock
    finish, enter = (np.asarray(tables["sequences"][name], dtype=float) for name in ("finish", "enter"))
    return took, float(np.mean(finish - enter)), wall


def largest(number: int, work: list[tuple[int, int]]) -> tuple[float, float, float]:
    """(processor time, time by the clock, most resident bytes) of so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        took, _, wall = whole("chunked-prefill", 8192, list(islice(cycle(work), number)), folder)
    return took, wall, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def million(work: list[tuple[int, int]]) -> None:
    """Print a table of rising sizes."""
    print("| requests | processor time, s | by the clock, s | requests/s | resident, MB |")
    print("|---|---|---|---|---|")
    for number in (10_000, 100_000, 1_000_000):
        with get_context("fork").Pool(1) as fresh:
            took, wall, most = fresh.apply(largest, (number, work))
        print(f"| {number:,} | {took:.1f} | {wall:.1f} | {number / took:,.0f} | {most / 1e6:,.0f} |")


def main() -> None:
    """Print a table."""
    files = [item for item in sys.argv[1:] if not item.startswith("--")]
    work = lengths(files[0] if files else None)
    if "--million" in sys.argv:
        million(work)
        return
    print("| rule | jumping, requests/s | stepping | whole simulator | by the clock |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, rule in RULES.items():
            took, mean = min(serve(Engine(rule, TIMES, BLOCKS), work) for _ in range(3))
            _, jumped_mean = serve(Engine(rule, TIMES, BLOCKS), work[:STEPPED])
            stepping = FunctionSteps(TIMES.seconds)
            slow, stepped_mean = min(serve(Engine(rule, stepping, BLOCKS), work[:STEPPED]) for _ in range(3))
            assert abs(jumped_mean / stepped_mean - 1) < 1e-9, (name, jumped_mean, stepped_mean)
            tokens = rule.chunk if isinstance(rule, Sarathi) else rule.max_tokens
            all_of_it, whole_mean, wall = min(whole(name, tokens, work, folder) for _ in range(3))
            assert abs(whole_mean / mean - 1) < 1e-9, (name, whole_mean, mean)
            rates = len(work) / took, STEPPED / slow, len(work) / all_of_it, len(work) / wall
            print(f"| {name} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |")
    for name, stages, drafts in (
        ("one stage", [TIMES], None),
        ("a pipeline of two stages", [PartOfSteps(TIMES, 2)] * 2, None),
        ("four drafts", [TIMES], Speculation(4, 0.7, 0.05)),
    ):
        rule = RULES["chunked-prefill"]
        took, _ = min(
            serve(StepwiseEngine(rule, stages, BLOCKS, speculation=drafts), work[:STEPPED]) for _ in range(3)
        )
        print(f"chunked-prefill, every iteration by itself, {name}: {STEPPED / took:,.0f} requests/s")


if __name__ == "__main__":
    main()
