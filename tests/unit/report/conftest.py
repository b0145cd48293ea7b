"""One small study with awkward names, run once for all tests of the report."""

import pytest

from sim.report import render
from sim.scenario.load import loads
from sim.study.execute import run_study

SCENARIO = """
name: small
question: Is <script>alert(1)</script> $x^2$ [bold]faster[/bold] & "better"?
notice: ["<img src=x onerror=alert(1)>"]
try: ["--set a='b'"]
duration: 60s
warmup: 5s
infrastructure:
  sites:
    home: {kind: device}
    region:
      kind: cloud
      grid: DE
      pools: {gpu: {instance: g4dn.xlarge, nodes: {initial: 1, min: 1, max: 3}}}
  network: {links: {wan: {between: [home, region], latency: 5ms, bandwidth: 1Gbps}}}
platform:
  services:
    model:
      site: region
      time: {policy: constant, value: 50ms}
      resources: {accelerators: 1}
      replicas: {initial: 1, min: 1, max: 3}
      queue: 10
      timeout: 2s
applications:
  users:
    users: {home: 1}
    arrivals: {process: poisson, rate: 15/s}
    work: {dist: exponential, mean: 1}
    send: 10kB
    reply: 1kB
    calls: {ask: {to: model}}
    slo: {latency: 300ms, quantile: 95%}
study:
  replications: 3
  baseline: one
  arms:
    one: {}
    busy: {applications.users.arrivals.rate: 30/s}
    scaled: {platform.services.model.autoscaler: {policy: hpa, utilisation: 50%}}
  answer: {metric: apps.users.latency.p99, goal: min, subject_to: {apps.users.slo_met: ">= 50%"}}
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return run_study(loads(SCENARIO), out=tmp_path_factory.mktemp("reports"), finish=render)
