"""How far step times are from measured serving runs: makes the tables of docs/llm-accuracy.md.

    STRATUS_DATA=<folder of public data sets> python benchmarks/llm_accuracy.py [--write]

Nothing is fitted to the runs that test. The only number fitted to a run at all is the time a request spends
outside of the engine (`OUTSIDE`): on one H100 run, and then held fixed for the others.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

import llm_replays
import numpy as np

from sim import catalog
from sim.paas.llm import ChunkedPrefill, Engine, LinearSteps, PrefixCache, RooflineSteps, StepTimes, simulate
from sim.paas.llm import Sequence as Prompt
from sim.paas.policies.steps import FromProfile
from sim.stats.stepfit import Measured, fit

PAGE = Path(__file__).parents[1] / "docs" / "llm-accuracy.md"
BEGIN, END = "<!-- made by benchmarks/llm_accuracy.py -->\n", "<!-- end -->\n"

#: Measured H100 runs -> our name of the model. None: the catalog does not know its layers.
H100 = {
    "20260217-155451": "llama-2-7b",
    "60": "llama-3.1-70b",
    "62": "mistral-nemo-12b",
    "64": "qwen2.5-7b",
    "48": None,
}
#: The run that the time outside of the engine is fitted on.
FITTED = "20260217-155451"
#: Tokens of the shared system prompt that the prefix cache holds: whole blocks of 16.
BLOCK = 16

Row = list[str]


def main() -> None:
    """Print the tables; with --write put them into the page."""
    data = Path(os.environ.get("STRATUS_DATA", "data"))
    text = "\n".join(_tables(data))
    print(text)
    if "--write" in sys.argv:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(before + BEGIN + text + "\n" + END + rest.split(END)[1], encoding="utf-8")


def _tables(data: Path) -> Iterator[str]:
    yield "### One RTX 4090, 300 requests at 10 per second (overload)\n"
    yield from _table(["step times", "", "measured", "simulated", "error"], rtx4090(data))
    yield "### H100 servers under steady load\n"
    yield from _table(
        ["model", "TP", "requests/s", "step times", "TTFT", "error", "ITL", "error", "E2E", "error"],
        h100(data),
    )
    yield "### Splitwise: prompts and generation of Llama 2 70B and BLOOM 176B\n"
    yield from _table(
        ["model", "device", "TP", "points", "linear, held out", "worst", "roofline"], splitwise(data)
    )
    yield "### Splitwise, point by point: the engine with the profile of the catalog\n"
    yield from _table(
        ["model", "device", "TP", "points", "TTFT of one", "of several", "TPOT", "E2E up to 512 tokens"],
        list(llm_replays.splitwise(data)),
    )
    yield "### Load tests on real servers, point by point: the engine with the profile of the catalog\n"
    yield from _table(
        ["model", "device", "precision", "engine", "points", "TPOT", "TTFT"], list(llm_replays.silicon(data))
    )
    yield "### The roofline against the profiles of the catalog\n"
    yield from _table(["model", "device", "TP", "precision", "engine", "prompts", "generation"], roofline())


def _table(header: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def error(value: float, truth: float) -> str:
    """A signed relative error."""
    return f"{100 * (value / truth - 1):+.1f} %"


def rtx4090(data: Path) -> list[Row]:
    """Llama 3.1 8B under vLLM 0.19, replayed request by request."""
    file = data / "vllm_measured" / "RTX4090__Llama-3.1-8B__vllm__requests.jsonl"
    runs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    zero = min(run["queued_ts"] for run in runs)
    first = np.array([run["first_token_ts"] - run["queued_ts"] for run in runs])
    whole = np.array([run["last_token_ts"] - run["queued_ts"] for run in runs])
    gap = (whole - first) / np.array([run["output_toks"] - 1 for run in runs])
    profile = FromProfile("llama-3.1-8b/rtx-4090/tp1/bf16/vllm-0.19").build(None, "", None, 1)
    known = {
        "profile": (profile, True),
        "profile, no prefix cache": (profile, False),
        "roofline": (RooflineSteps(catalog.model("llama-3.1-8b"), catalog.device("rtx-4090")), True),
    }
    rows = []
    for name, (times, caches) in known.items():
        prompts = [
            Prompt(i, run["queued_ts"] - zero, run["input_toks"], run["output_toks"])
            for i, run in enumerate(runs)
        ]
        # The blocks, sequences, tokens per iteration and prefix cache that the engine itself reported.
        cache = PrefixCache(BLOCK) if caches else None
        simulate(Engine(ChunkedPrefill(256, 2048), times, 2588, cache=cache), prompts)
        ours = np.array([p.first - p.arrival for p in prompts])
        ended = np.array([p.finish - p.arrival for p in prompts])
        gaps = (ended - ours) / np.array([p.output - 1 for p in prompts])
        for label, mine, theirs in (("TTFT", ours, first), ("TPOT", gaps, gap), ("E2E", ended, whole)):
            for word, of in (("mean", np.mean), ("p50", np.median), ("p99", lambda x: np.quantile(x, 0.99))):
                truth, got = float(of(theirs)), float(of(mine))
                scale, unit = (1e3, "ms") if label == "TPOT" else (1.0, "s")
                rows.append(
                    [
                        name,
                        f"{label} {word}",
                        f"{truth * scale:.1f} {unit}",
                        f"{got * scale:.1f} {unit}",
                        error(got, truth),
                    ]
                )
    return rows


def h100(data: Path) -> list[Row]:
    """Five servers of the BLIS validation; the time outside of the engine is fitted on the first."""
    file = data / "vllm_measured" / "h100_experiments.json"
    runs = {run["id"]: run for run in json.loads(file.read_text(encoding="utf-8"))["experiments"]}
    outside = 0.0
    rows = []
    for name, model in H100.items():
        run = runs[name]
        if model is None:
            rows.append(
                [run["model"].split("/")[1], str(run["tp"]), "", "none: its layers are not known", *[""] * 6]
            )
            continue
        for label, times in _steps(model, run["tp"]):
            for stage, (rate, ttft, itl, e2e) in enumerate(_serve(run, times)):
                truth = run["actual_ms"][f"stage{stage}"]
                if name == FITTED and stage == 0:
                    outside = truth["ttft_mean"] - ttft
                note = " (fit)" if name == FITTED and stage == 0 else ""
                got = (ttft + outside, itl, e2e + outside)
                cells = [model, str(run["tp"]), f"{rate:g}", label]
                for value, key in zip(got, ("ttft_mean", "itl_mean", "e2e_mean"), strict=True):
                    cells += [
                        f"{truth[key]:.1f} ms",
                        error(value, truth[key]) + (note if key == "ttft_mean" else ""),
                    ]
                rows.append(cells)
    return rows


def _steps(model: str, number: int) -> Iterator[tuple[str, StepTimes]]:
    card, device = catalog.model(model), catalog.device("h100-sxm")
    yield "roofline", RooflineSteps(card, device, accelerators=number)
    rows = [
        name for name in catalog.names("profile") if name.startswith(f"{model}/h100-sxm/tp{number}/bf16/vllm")
    ]
    for name in rows:
        yield name.rsplit("/", 1)[1], FromProfile(name).build(None, "", None, 1)


def _serve(run: dict, times: StepTimes) -> Iterator[tuple[float, float, float, float]]:
    """(rate, mean TTFT, mean gap, mean E2E) of each stage, in ms, arrivals evenly spaced."""
    shape = run["workload"]["shared_prefix"]
    cached = shape["system_prompt_len"] // BLOCK * BLOCK
    prompt = shape["system_prompt_len"] + shape["question_len"] - cached
    sequences, now, stages = [], 0.0, []
    for number, stage in enumerate(run["workload"]["stages"]):
        for _ in range(round(stage["rate"] * stage["duration"])):
            sequences.append(Prompt(len(sequences), now, prompt, shape["output_len"]))
            stages.append(number)
            now += 1 / stage["rate"]
    rule = ChunkedPrefill(run["max_num_seqs"], run["max_num_batched_tokens"])
    simulate(Engine(rule, times, run["total_kv_blocks"]), sequences)
    for number, stage in enumerate(run["workload"]["stages"]):
        mine = [s for s, at in zip(sequences, stages, strict=True) if at == number]
        ttft = 1e3 * fmean(s.first - s.arrival for s in mine)
        e2e = 1e3 * fmean(s.finish - s.arrival for s in mine)
        yield stage["rate"], ttft, (e2e - ttft) / (shape["output_len"] - 1), e2e


def splitwise(data: Path) -> list[Row]:
    """Medians of the measured points of an engine of 2023; each fifth predicted from the others."""
    points: dict[tuple[str, str, int], dict[tuple[int, int, int], list[tuple[float, float]]]] = {}
    with (data / "splitwise_perf" / "perf_model.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["hardware"].endswith("pcap"):
                continue  # not measured: the prompt times are 1.3 times those of the other rows
            key = (row["model"], row["hardware"], int(row["tensor_parallel"]))
            at = (int(row["prompt_size"]), int(row["batch_size"]), int(row["token_size"]))
            times = (float(row["prompt_time"]) / 1e3, float(row["token_time"]) / 1e3)
            points.setdefault(key, {}).setdefault(at, []).append(times)
    devices = {"a100-80gb": "a100-sxm-80", "h100-80gb": "h100-sxm"}
    rows = []
    for (model, hardware, number), found in sorted(points.items()):
        features, seconds = [], []
        for (prompt, batch, made), times in sorted(found.items()):
            if batch == 1:
                features.append([1.0, prompt, prompt**2 / 2, 0.0, 0.0])
                seconds.append(float(np.median([time for time, _ in times])))
            features.append([1.0, 0.0, 0.0, batch, batch * (prompt + made / 2)])
            seconds.append(float(np.median([time for _, time in times])))
        measured = Measured("iterations", np.array(features), np.array(seconds), range(len(seconds)))
        held = np.abs(fit(measured).held_out)
        card = "llama-2-70b" if model == "llama2-70b" else None
        words = "layers not known"
        if card is not None:
            steps = RooflineSteps(catalog.model(card), catalog.device(devices[hardware]), "fp16", number)
            off = [
                steps.seconds(int(f[1]), f[2], int(f[3]), int(f[4])) / s - 1
                for f, s in zip(features, seconds, strict=True)
            ]
            words = f"{100 * fmean(map(abs, off)):.0f} % ({100 * fmean(off):+.0f} %)"
        rows.append(
            [
                model,
                devices[hardware],
                str(number),
                str(len(seconds)),
                f"{100 * held.mean():.1f} %",
                f"{100 * held.max():.0f} %",
                words,
            ]
        )
    return rows


def roofline() -> list[Row]:
    """Mean signed error of the roofline where the catalog has a profile and the model's layers."""
    rows = []
    for name in catalog.names("profile"):
        row = catalog.profile(name)
        if (
            row.model not in catalog.names("model")
            or not catalog.has_device(row.device)
            or row.engine == "vllm-2023"
        ):
            continue
        try:
            steps = RooflineSteps(
                catalog.model(row.model), catalog.device(row.device), row.precision, row.accelerators
            )
        except Exception:  # the catalog lacks a figure
            continue
        line = FromProfile(name).build(None, "", None, 1)
        prompts = [_off(steps, line, tokens, 0, 0) for tokens in (512, 1024, 2048, 4096)]
        made = [_off(steps, line, 0, count, count * 1536) for count in (1, 8, 32, 64)]
        rows.append(
            [
                row.model,
                row.device,
                str(row.accelerators),
                row.precision,
                row.engine,
                f"{fmean(prompts):+.0%}",
                f"{fmean(made):+.0%}",
            ]
        )
    return rows


def _off(steps: StepTimes, line: LinearSteps, tokens: int, count: int, context: int) -> float:
    square = tokens * tokens / 2
    return steps.seconds(tokens, square, count, context) / line.seconds(tokens, square, count, context) - 1


if __name__ == "__main__":
    main()
