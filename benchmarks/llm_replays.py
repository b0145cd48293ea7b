"""Measured load tests, replayed by the engine: rows of docs/llm-accuracy.md, made by llm_accuracy.py.

Not predicted by a formula: the calls of each measured point go through the engine with the profile of the
catalog, and what it gives is held against what was measured.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median

import numpy as np

from sim import catalog
from sim.paas.llm import ChunkedPrefill, Engine, PrefillFirst, Sequence, StepTimes, simulate
from sim.paas.policies.steps import FromProfile

Row = list[str]

#: Blocks of a cache that never fills.
ENOUGH = 10**6
#: Tokens of prompts in an iteration: what vLLM, TensorRT-LLM and SGLang take on such GPUs unless told.
BUDGET = 8192
#: Calls per place of a load test, and how many of them come before one is counted.
CALLS, UNCOUNTED = 6, 2

#: Answers of more tokens than this ended early in the measurements of Splitwise, where their totals say so.
FULL = 512

MODELS = {
    "meta-llama/Llama-3.1-70B": "llama-3.1-70b",
    "meta-llama/Llama-3.1-8B-Instruct": "llama-3.1-8b",
    "Qwen/Qwen3-32B": "qwen3-32b",
}


def splitwise(data: Path) -> Iterator[Row]:
    """Every measured point: so many equal prompts at once, then so many tokens; one that batches prompts."""
    points: dict[tuple[str, str, int], dict[tuple[int, int, int], list[tuple[float, ...]]]] = {}
    with (data / "splitwise_perf" / "perf_model.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["hardware"].endswith("pcap"):
                continue  # not measured
            key = (row["model"], row["hardware"], int(row["tensor_parallel"]))
            at = (int(row["prompt_size"]), int(row["batch_size"]), int(row["token_size"]))
            times = tuple(float(row[name]) / 1e3 for name in ("prompt_time", "token_time", "e2e_time"))
            points.setdefault(key, {}).setdefault(at, []).append(times)
    for (model, hardware, number), found in sorted(points.items()):
        card = "llama-2-70b" if model == "llama2-70b" else model
        device = {"a100-80gb": "a100-sxm-80", "h100-80gb": "h100-sxm"}[hardware]
        times = _profile(f"{card}/{device}/tp{number}/fp16/vllm-2023")
        off: dict[str, list[float]] = defaultdict(list)
        for (prompt, batch, made), measured in sorted(found.items()):
            first, pace, whole = (median(column) for column in zip(*measured, strict=True))
            calls = [Sequence(i, 0.0, prompt, made) for i in range(batch)]
            simulate(Engine(PrefillFirst(512, 10**7, padded=False), times, ENOUGH), calls)
            ours = fmean(call.first for call in calls), fmean(call.finish for call in calls)
            off["one" if batch == 1 else "many"].append(ours[0] / first - 1)
            off["pace"].append((ours[1] - ours[0]) / (made - 1) / pace - 1)
            if made <= FULL:
                off["whole"].append(ours[1] / whole - 1)
        yield [card, device, str(number), str(len(found)), *map(_spread, map(off.get, _SPLITWISE))]


_SPLITWISE = ("one", "many", "pace", "whole")


def silicon(data: Path) -> Iterator[Row]:
    """Load tests at fixed concurrency, by model, device, precision and engine; all degrees of parallelism."""
    file = data / "aiconfigurator" / "silicon_sample.csv"
    if not file.exists():
        return
    off: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            model = MODELS.get(row["model_path"])
            at_once = re.search(r"concurrency=(\d+)", row["silicon_data_source"])
            if model is None or at_once is None or row["mode"] != "agg" or int(row["pp_size"] or 1) != 1:
                continue
            key = (model, row["system"].replace("_", "-"), row["precision"] or "bf16", row["backend"])
            name = f"{model}/{key[1]}/tp{row['tp_size']}/{key[2]}/{key[3]}"
            if name not in catalog.names("profile"):
                continue
            first, pace = _load(_profile(name), int(row["isl"]), int(row["osl"]), int(at_once[1]))
            measured = float(row["silicon_ttft_ms"]), float(row["silicon_tpot_ms"])
            off[key].append((1e3 * first / measured[0] - 1, 1e3 * pace / measured[1] - 1))
    for key, errors in sorted(off.items()):
        yield [*key, str(len(errors)), *(_spread([error[place] for error in errors]) for place in (1, 0))]


def _load(times: StepTimes, prompt: int, output: int, at_once: int) -> tuple[float, float]:
    """Mean TTFT and TPOT (s) of so many conversations at a time, each followed by the next.

    Lengths lie evenly within 10 % of the stated ones, or all would march in step.
    """
    draws = np.random.default_rng(1).uniform(0.9, 1.1, (CALLS * at_once, 2))
    sizes = [(round(prompt * a), max(2, round(output * b))) for a, b in draws.tolist()]
    calls = [Sequence(number, 0.0, *size) for number, size in enumerate(sizes)]
    engine = Engine(ChunkedPrefill(4096, BUDGET), times, ENOUGH)
    line = iter(calls)
    for _ in range(at_once):
        engine.offer(next(line), 0.0)
    done = 0
    while done < len(calls):
        now = engine.until
        for _ in engine.proceed(now):
            done += 1
            call = next(line, None)
            if call is not None:
                call.arrival = now
                engine.offer(call, now)
    counted = calls[UNCOUNTED * at_once :]
    first = fmean(call.first - call.arrival for call in counted)
    return first, fmean((call.finish - call.first) / (call.output - 1) for call in counted)


def _profile(name: str) -> StepTimes:
    return FromProfile(name).build(None, "", None, 1)


def _spread(errors: list[float] | None) -> str:
    """Mean of the absolute errors, and the mean error."""
    if not errors:
        return "-"
    return f"{100 * fmean(map(abs, errors)):.1f} % ({100 * fmean(errors):+.0f} %)"
