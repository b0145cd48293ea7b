"""From the text of a scenario to the node: taints, labels, spreading, company and the Kubernetes profile."""

from __future__ import annotations

from sim.paas.policies.scores.kubernetes import PROFILE
from sim.scenario.build import build
from sim.scenario.load import loads

TEXT = """
name: placed
duration: 1h
infrastructure:
  sites:
    cloud:
      kind: cloud
      pools:
        open: {instance: g4dn.xlarge, nodes: 2, labels: {tier: tin}}
        kept: {instance: g4dn.xlarge, nodes: 4, rack_size: 2, labels: {tier: gold}, taints: [{key: team}]}
platform:
  scheduler: {profile: kubernetes}
  jobs:
    plain: {arrivals: {process: periodic, period: 50min}, duration: 1h}
    picky:
      arrivals: {process: periodic, period: 50min}
      duration: 1h
      workers: 2
      placement:
        tolerations: [{key: team}]
        nodes: {required: [[{key: tier, values: [gold]}]]}
        apart: [{topology: rack}]
"""


def test_units_go_where_taints_labels_and_company_let_them():
    outcome = build(loads(TEXT)).run()
    units = outcome.tables["units"]
    where = dict.fromkeys(("plain", "picky"), ())
    for owner, node in zip(units["owner"].texts(), units["node"].texts(), strict=True):
        where[owner.split("/")[0]] += (node,)
    assert where["plain"] and where["picky"]
    assert all(node.startswith("iaas/cloud/open/") for node in where["plain"])
    # Racks of two: nodes 0 and 1, 2 and 3.
    racks = [int(node.rsplit("/", 1)[1]) // 2 for node in where["picky"]]
    assert all(node.startswith("iaas/cloud/kept/") for node in where["picky"])
    assert sorted(racks[:2]) == [0, 1]


def test_the_profile_brings_scorers_weights_and_ties():
    wanted = loads(TEXT).platform.scheduler
    assert {score.policy: weight for score, weight in wanted.scores} == PROFILE
    assert wanted.ties == "random"


def test_what_is_given_goes_before_the_profile():
    own = "scheduler: {profile: kubernetes, ties: first, scores: {NodeResourcesFit: {weight: 5, cpu: 2}}}"
    wanted = loads(TEXT.replace("scheduler: {profile: kubernetes}", own)).platform.scheduler
    scores = [(score.policy, score.cpu, weight) for score, weight in wanted.scores]
    assert scores == [("NodeResourcesFit", 2, 5.0)]
    assert wanted.ties == "first"
