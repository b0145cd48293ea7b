"""Every policy that ships keeps the rules that `stratus check` asks of anybody's."""

import pytest

from sim import registry
from sim.study.conformance import TRIALS, examine

registry.load_builtin()

#: Parameters of those that have none by default.
EXAMPLES = {
    "arrivals/batches": {"rate": "9/s", "on": "10s", "period": "30s", "idle": "1/s"},
    "arrivals/diurnal": {"rate": "6/s"},
    "arrivals/flash-crowd": {"rate": "3/s", "at": "30s", "factor": 3},
    "arrivals/mmpp": {"rates": ["2/s", "9/s"], "dwell": ["10s", "5s"]},
    "arrivals/on-off": {"rate": "8/s", "on": "10s", "off": "5s"},
    "arrivals/periodic": {"period": "200ms"},
    "arrivals/poisson": {"rate": "6/s"},
    "arrivals/preset": {"name": "azure-llm-conv", "rate": "6/s"},
    "arrivals/random-jumps": {"low": "1/s", "high": "9/s", "stay": "10s"},
    "arrivals/ramp": {"start": "2/s", "end": "9/s", "over": "1min"},
    "arrivals/trace": {"preset": "azure-llm-conv"},
    "arrivals/weekly": {"rate": "6/s", "hours": [1, 5, 3], "day": "1min"},
    "autoscaler/keda": {"utilisation": "60%"},
    "autoscaler/scheduled": {"windows": [{"start": "0s", "end": "18h", "min": 2}]},
    "autoscaler/steps": {"steps": [{"lower": 0.5, "by": 1}], "period": "15s"},
    "distribution/choice": {"values": [1, 2]},
    "distribution/constant": {"value": 1},
    "distribution/empirical": {"quantiles": {"p0": 0.5, "p50": 1, "p100": 3}},
    "distribution/erlang": {"k": 2, "mean": 1},
    "distribution/exponential": {"mean": 1},
    "distribution/gamma": {"mean": 1, "cv": 0.5},
    "distribution/hyperexponential": {"mean": 1, "cv": 2},
    "distribution/lognormal": {"mean": 1, "cv": 1},
    "distribution/normal": {"mean": 1, "cv": 0.1},
    "distribution/pareto": {"mean": 1, "shape": 3},
    "distribution/preset": {"name": "azure-llm-conv", "of": "tokens_in", "scale": 0.001},
    "distribution/uniform": {"low": 0.5, "high": 1.5},
    "distribution/weibull": {"mean": 1, "shape": 2},
    "engine/continuous-batch": {"blocks": 1000, "steps": {"policy": "linear", "base": "10ms"}},
    "order/gittins": {"service": {"dist": "exponential", "mean": 3000}},
    "sharing/contention": {"demands": {"far": {"compute": 0.7, "bandwidth": 0.3}}},
    "sharing/interference": {"slowdown": {"far": {"far": 1.3}}},
    "steps/linear": {"base": "10ms"},
    "steps/profile": {"name": "llama-3.1-8b/l40s/tp1/bf16/vllm-kernels"},
    "steps/table": {"prompts": {"100": "10ms"}, "generation": {"1": {"100": "10ms"}}},
    "time/constant": {"value": "300ms"},
    "time/encoder-decoder": {"tokens": 50},
    "time/linear": {"base": "100ms", "per_item": "200ms"},
    "time/table": {"points": {"1": "300ms", "4": "500ms"}},
    "time/tokens": {"base": "100ms", "per_output": "10ms"},
}

#: What else has to be set for some of them.
ALSO = {
    "engine/continuous-batch": {"platform.services.far.timeout": None},
    "time/encoder-decoder": {"platform.services.far.model": "whisper-tiny"},
}

#: They bring jobs, or need a file: tried by the tests of traces.
ELSEWHERE = {
    "arrivals/azure-functions",
    "autoscaler/learned",
    "arrivals/job-preset",
    "arrivals/job-trace",
    "arrivals/rate-trace",
    "arrivals/servegen",
}

ALL = [f"{kind}/{name}" for kind in registry.kinds() for name in registry.names(kind)]


def test_every_kind_has_a_trial():
    assert set(registry.kinds()) <= set(TRIALS)


@pytest.mark.parametrize("policy", [policy for policy in ALL if policy not in ELSEWHERE])
def test_it_keeps_the_rules(policy):
    kind, name = policy.split("/")
    findings = examine(kind, name, EXAMPLES.get(policy, {}), ALSO.get(policy, {}))
    assert [finding for finding in findings if not finding.passed] == []
    assert len(findings) == 7
