"""What a service of a language model expects of itself, against engines that are kept full."""

import pytest

from sim import catalog
from sim.paas.calls import Batch
from sim.paas.llm import Sequence, simulate
from sim.paas.pace import EnginePace
from sim.paas.policies.continuous import ContinuousBatch
from sim.paas.policies.extras import Pipeline, Speculate
from sim.paas.policies.steps import Linear, Roofline
from tests.platforms import simulate as run

STEPS = Linear(base=5e-3, per_prompt_token=2e-5, per_sequence=3e-5, per_context_token=7e-8, per_square=0.0)


def batch(count, prompt, output):
    made = Batch(count)
    made.tokens_in, made.tokens_out = count * prompt, count * output
    return made


def pace(policy):
    made = EnginePace(policy, 1.0)
    made.start(None, "bf16")
    return made


def test_one_call_alone_takes_what_the_engine_takes():
    policy = ContinuousBatch(STEPS, blocks=1000)
    (done,) = simulate(policy.build(), [Sequence(0, 0.0, 512, 100)])
    assert pace(policy).seconds(batch(1, 512, 100)) == pytest.approx(done.finish, rel=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_sequences": 16},
        {"max_sequences": 64, "blocks": 400},
        {"max_sequences": 32, "scheduling": "prefill-first"},
        {"max_sequences": 32, "overhead": 2e-3},
        {"max_sequences": 32, "pipeline": Pipeline(stages=4)},
        {"max_sequences": 32, "speculation": Speculate(drafts=3, acceptance=0.7, cost=0.05)},
    ],
    ids=str,
)
def test_a_full_engine_keeps_the_pace(settings):
    """400 calls of mean lengths that are all there; the beginning and the end are less than full."""
    policy = ContinuousBatch(STEPS, **{"blocks": 4000} | settings)
    done = simulate(policy.build(), [Sequence(n, 0.0, 200, 100) for n in range(400)])
    full = policy.max_sequences
    expected = pace(policy).seconds(batch(full, 200, 100)) * 400 / full
    assert expected == pytest.approx(done[-1].finish, rel=0.12)


def test_of_a_device_of_the_catalog():
    policy = ContinuousBatch(Roofline())
    made = EnginePace(policy, 1.0)
    made.start(catalog.model("llama-3.1-8b"), "bf16")
    one, two = batch(1, 500, 100), batch(1, 500, 100)
    one.device, two.device = catalog.device("a100-sxm-80"), catalog.device("h100-sxm")
    assert made.seconds(one) > made.seconds(two) > 0.0


def test_a_scenario_needs_no_time_for_a_language_model():
    outcome = run(
        """
name: llm
duration: 100s
infrastructure:
  instances: {box: {cpu: 8, memory: 64Gi}}
  sites: {here: {kind: cloud, pools: {boxes: {instance: box}}}}
platform:
  services:
    llm: {site: here, engine: {policy: continuous-batch, blocks: 1000, steps: {policy: linear, base: 10ms}}}
applications:
  users:
    users: {here: 1}
    arrivals: {process: periodic, period: 10s, phase: aligned}
    tokens_in: 100
    tokens_out: 10
    calls: {ask: {to: llm}}
"""
    )
    assert outcome.facts["ended"]["time"] == 100.0
