"""Beside Vidur: the same requests, rule and iteration times, who finishes when, and how fast.

    python -m venv side && side/bin/pip install vidur -e .
    side/bin/python -P benchmarks/beside_vidur.py CONVERSATIONS.csv [REQUESTS]

Vidur (MLSys 2024) steps through every iteration and predicts its time from profiles of kernels. Here its
predictor is replaced by the linear times of `serving.py`, so that both have the same work and Vidur needs
no trained models; its own predictor would take longer. Its measurements are once off, and once as they are
by default. Processor time counts.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from vidur._native.entities import ExecutionTime
from vidur.config.config import (
    CacheConfig,
    ClusterConfig,
    MetricsConfig,
    ReplicaConfig,
    SarathiSchedulerConfig,
    SimulationConfig,
    TraceRequestGeneratorConfig,
)
from vidur.entities import Request
from vidur.execution_time_predictor import ExecutionTimePredictorRegistry
from vidur.request_generator import RequestGeneratorRegistry
from vidur.simulator import Simulator

from sim.paas.llm import Engine, LinearSteps, Sarathi, Sequence, simulate

RATE, BLOCKS, CHUNK, PLACES = 10.0, 27_000, 2048, 128
TIMES = LinearSteps(6.29e-3, 15.13e-6, 12.9e-6, 40.9e-9)


class Linear:
    """Stands in for Vidur's predictor."""

    def get_execution_time(self, batch: Any, stage: int) -> Any:
        """The iteration's time (ms), put where it counts once."""
        prompt = batch.num_prefill_tokens
        made = batch.num_decode_tokens
        context = 0
        if made:
            pairs = zip(batch.requests, batch.num_kv_tokens, strict=True)
            context = sum(tokens - 1 for request, tokens in pairs if request.is_prefill_complete)
        return ExecutionTime(1, *[0.0] * 6, TIMES.seconds(prompt, 0.0, made, context) * 1e3, *[0.0] * 7)


class Given:
    """Stands in for Vidur's request generator."""

    def __init__(self, requests: list[Request]) -> None:
        self.generate = lambda: requests


def work(path: str, most: int) -> tuple[list[float], list[tuple[int, int]]]:
    """Arrivals and (prompt, output) tokens; answers of one token apart, of which Vidur makes two."""
    with Path(path).open(newline="") as file:
        rows = [(int(r["ContextTokens"]), int(r["GeneratedTokens"])) for r in csv.DictReader(file)]
    sizes = [(prompt, max(2, output)) for prompt, output in rows[:most]]
    return np.cumsum(np.random.default_rng(2).exponential(1 / RATE, len(sizes))).tolist(), sizes


def theirs(moments: list[float], sizes: list[tuple[int, int]], measured: bool) -> tuple[float, list[float]]:
    """(seconds of processor time, moments at which requests ended) of Vidur."""
    requests = [Request(at, prompt, output) for at, (prompt, output) in zip(moments, sizes, strict=True)]
    ExecutionTimePredictorRegistry.get = lambda *_, **__: Linear()
    RequestGeneratorRegistry.get = lambda *_, **__: Given(requests)
    names = [name for name in MetricsConfig.__dataclass_fields__ if name.startswith(("store_", "write_"))]
    off = dict.fromkeys(names, False) | {"enable_chrome_trace": False}
    config = SimulationConfig(
        log_level="error",
        cluster_config=ClusterConfig(
            replica_config=ReplicaConfig(num_pipeline_stages=1, tensor_parallel_size=1),
            cache_config=CacheConfig(num_blocks=BLOCKS),
            replica_scheduler_config=SarathiSchedulerConfig(batch_size_cap=PLACES, chunk_size=CHUNK),
        ),
        request_generator_config=TraceRequestGeneratorConfig(),
        metrics_config=MetricsConfig(**({"store_plots": False} if measured else off)),
    )
    simulator = Simulator(config)
    began = time.process_time()
    simulator.run()
    return time.process_time() - began, [request.completed_at for request in requests]


def ours(moments: list[float], sizes: list[tuple[int, int]]) -> tuple[float, list[float]]:
    """The same of the engine here."""
    sequences = [Sequence(i, at, *size) for i, (at, size) in enumerate(zip(moments, sizes, strict=True))]
    engine = Engine(Sarathi(PLACES, CHUNK), TIMES, BLOCKS)
    began = time.process_time()
    simulate(engine, sequences)
    return time.process_time() - began, [sequence.finish for sequence in sequences]


def main() -> None:
    """Print what came out."""
    moments, sizes = work(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
    os.chdir(tempfile.mkdtemp())  # Vidur writes where it stands
    mine, ended = ours(moments, sizes)
    print(f"here: {len(sizes) / mine:,.0f} requests/s")
    for measured in (False, True):
        with get_context("fork").Pool(1) as fresh:  # Vidur counts its replicas once per process
            took, other = fresh.apply(theirs, (moments, sizes, measured))
        off = np.abs(np.array(ended) - np.array(other))
        words = "measuring as by default" if measured else "measuring nothing"
        print(
            f"Vidur, {words}: {len(sizes) / took:,.0f} requests/s, {took / mine:,.0f} times as long; "
            f"ends differ by {off.max():.2e} s at most, {np.count_nonzero(off > 1e-6)} by more than 1e-6 s"
        )


if __name__ == "__main__":
    main()
