"""The platforms that policies are tried in, and where a policy of each kind goes."""

from __future__ import annotations

import json
from typing import Any

from sim import registry
from sim.scenario.load import loads
from sim.scenario.spec import Scenario

#: Requests at two sites, replicas that come and go, jobs that wait; over within a moment.
_PLATFORM = """
name: trial
seed: 3
duration: 1min
warmup: 0
infrastructure:
  instances:
    box: {cpu: 16, memory: 64Gi, device: t4, accelerators: 4, price: 2 USD/h, power: {0%: 100W, 100%: 400W}}
  sites:
    city: {kind: device}
    plant: {kind: edge, pools: {boxes: {instance: box, nodes: 1}}}
    hall:
      kind: cloud
      grid: DE
      pools: {boxes: {instance: box, nodes: {initial: 2, min: 1, max: 4}, boot: 10s, idle_timeout: 1min}}
  network:
    links:
      near: {between: [city, plant], latency: 2ms, bandwidth: 1Gbps}
      far: {between: [plant, hall], latency: 10ms, bandwidth: 1Gbps}
platform:
  scheduler:
    cohorts: {all: {}}
    queues:
      vision: {cohort: all, nominal: {accelerators: 6}, preemption: {reclaim: any}}
      speech: {cohort: all, nominal: {accelerators: 4}, preemption: {reclaim: any}}
  services:
    near:
      site: plant
      time: {policy: constant, value: 300ms}
      resources: {cpu: 1}
      queue: 5
      timeout: 2s
      replicas: 2
    far:
      site: hall
      model: yolo11n
      time: {policy: constant, value: 300ms}
      resources: {cpu: 1, accelerators: 1}
      replicas: {initial: 1, min: 1, max: 6}
      image: 100MB
      weights: 100MB
      timeout: 10s
  jobs:
    short: &job
      arrivals: {process: poisson, rate: 300/h}
      workers: {dist: choice, values: [1, 2, 3], weights: [3, 2, 1]}
      resources: {cpu: 1, accelerators: 1}
      duration: {dist: lognormal, mean: 1min, cv: 1}
      estimate: {factor: {dist: uniform, low: 1, high: 2}}
      tenant: vision
      checkpoint: 10s
      restart: 1s
      deadline: 5min
      elastic: {min: 1, max: 4}
    urgent: {<<: *job, tenant: speech, priority: 5}
applications:
  cameras:
    users: {city: 1}
    arrivals: {process: poisson, rate: 6/s}
    send: 50kB
    work: {dist: exponential, mean: 1}
    calls: {look: {to: [near, far]}}
    slo: {latency: 1s, quantile: 95%}
"""

_SERVICE = "platform.services.far."
_SCHEDULER = "platform.scheduler."

#: Kind -> settings of the trial; "POLICY" stands for the policy.
TRIALS: dict[str, dict[str, Any]] = {
    "admission": {_SERVICE + "admission": "POLICY"},
    "allocation": {_SCHEDULER + "preemption": {"policy": "rounds", "length": "30s", "allocation": "POLICY"}},
    "arrivals": {"applications.cameras.arrivals": "POLICY"},
    "autoscaler": {_SERVICE + "autoscaler": "POLICY"},
    "discipline": {_SCHEDULER + "discipline": "POLICY"},
    "distribution": {"applications.cameras.work": "POLICY"},
    "engine": {_SERVICE + "engine": "POLICY"},
    "filter": {_SCHEDULER + "filters": ["ready", "fit", "POLICY"]},
    "forecaster": {_SERVICE + "autoscaler": {"policy": "predictive", "bin": "10s", "forecaster": "POLICY"}},
    "node_scaling": {"platform.node_scaling": "POLICY"},
    "offload": {"applications.cameras.offload": "POLICY"},
    "order": {_SCHEDULER + "order": "POLICY"},
    "preemption": {_SCHEDULER + "preemption": "POLICY", _SCHEDULER + "order": "priority"},
    "recommender": {_SERVICE + "autoscaler": {"policy": "composed", "recommender": "POLICY"}},
    "router": {_SERVICE + "router": "POLICY", _SERVICE + "replicas": 3},
    "score": {_SCHEDULER + "scores": "POLICY"},
    "sharing": {
        "platform.sharing": "POLICY",
        _SERVICE + "resources.accelerators": 0.5,
        _SERVICE + "replicas": {"initial": 2, "min": 2, "max": 6},
    },
    "stabiliser": {_SERVICE + "autoscaler": {"policy": "composed", "stabilisers": ["POLICY"]}},
    "steps": {
        _SERVICE + "engine": {"policy": "continuous-batch", "blocks": 1000, "steps": "POLICY"},
        _SERVICE + "model": "llama-3.1-8b",
        _SERVICE + "accelerator_memory": "8GB",
        _SERVICE + "timeout": None,
    },
    "time": {_SERVICE + "time": "POLICY"},
}


def trial(kind: str, name: str, parameters: dict[str, Any], also: dict[str, Any] | None = None) -> Scenario:
    """The scenario that tries a policy.

    Args:
        kind: of the policy; one of `TRIALS`.
        name: its name.
        parameters: as in a scenario file.
        also: further settings by path that the policy needs.

    Raises:
        ScenarioError: the parameters do not fit.
    """
    written: Any = {registry.tag(kind): name, **parameters}
    if kind == "score":
        written = {name: {"weight": 1, **parameters}}
    settings = {path: _put(value, written) for path, value in TRIALS[kind].items()} | (also or {})
    return loads(_PLATFORM, [f"{path}={json.dumps(value)}" for path, value in settings.items()], file="trial")


def _put(value: Any, policy: Any) -> Any:
    if value == "POLICY":
        return policy
    if isinstance(value, dict):
        return {key: _put(item, policy) for key, item in value.items()}
    if isinstance(value, list):
        return [_put(item, policy) for item in value]
    return value
