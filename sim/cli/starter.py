"""The scenario that `stratus init` writes."""

from __future__ import annotations

import re

_TEXT = """\
# A scenario of Stratus. Check it with `stratus validate`, run it with `stratus run`.
# `stratus schema -o schema.json` writes the schema that the next line lets editors use.
# yaml-language-server: $schema=./schema.json

name: {name}
question: How many replicas does a chat service need?
seed: 7             # the same seed gives the same numbers on any machine
duration: 5min      # simulated time
warmup: 30s         # simulated time at the start that is not counted

# What there is ------------------------------------------------------------------------------
infrastructure:
  sites:
    cloud:
      kind: cloud             # device, edge or cloud
      grid: DE                # carbon of the electricity: `stratus list grids`
      pue: 1.15               # power of the whole site / power of its machines
      pools:
        gpu:
          instance: g4dn.xlarge                  # `stratus list instances`
          nodes: 1                               # or {{initial: 1, min: 1, max: 8}}
          provisioning: 60s                      # from the request to the start of the boot
          boot: 30s
    city:
      kind: device            # where the users are; it has no machines
  network:
    links:
      internet: {{between: [city, cloud], latency: 8ms, bandwidth: 1Gbps}}

# What the platform decides ------------------------------------------------------------------
platform:
  services:
    chat:
      site: cloud
      time: {{policy: linear, base: 20ms, per_item: 5ms}}     # how long one batch takes
      engine: {{policy: dynamic-batch, max_batch: 8, max_delay: 10ms}}
      resources: {{cpu: 2, memory: 8Gi, accelerators: 1}}     # what one replica occupies
      replicas: 1                                           # or {{initial: 1, min: 1, max: 4}}
      router: least-load                                    # `stratus list routers`
      timeout: 2s                                           # longest wait of a request

# Who asks for what --------------------------------------------------------------------------
applications:
  assistant:
    users: {{city: 600}}
    arrivals: {{process: poisson, rate: 12/min}}     # per user: `stratus list arrivals`
    send: 4kB
    reply: 2kB
    work: {{dist: lognormal, mean: 1, cv: 0.5}}      # factor on the service time, per request
    calls:
      answer: {{to: chat}}
    slo: {{latency: 200ms, quantile: 99%}}

# What is compared ---------------------------------------------------------------------------
study:
  replications: 3         # runs of each arm, for the confidence intervals
  baseline: one
  arms:
    one: {{}}                # as written above
    two:
      infrastructure.sites.cloud.pools.gpu.nodes: 2
      platform.services.chat.replicas: 2
    three:
      infrastructure.sites.cloud.pools.gpu.nodes: 3
      platform.services.chat.replicas: 3
  answer:                 # the cheapest arm that keeps the promise
    metric: total.cost_per_1000
    goal: min
    subject_to: {{apps.assistant.slo_met: ">= 99%"}}
  show: [apps.assistant.latency.p99, apps.assistant.slo_met, services.chat.utilisation]
"""


def starter(name: str) -> str:
    """A commented scenario; what a name cannot have is replaced."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:64] or "scenario"
    # A name that YAML would read as a number is put in quotes.
    quoted = (
        safe if re.match(r"[A-Za-z]", safe) and safe.lower() not in ("null", "true", "false") else f'"{safe}"'
    )
    return _TEXT.format(name=quoted)
