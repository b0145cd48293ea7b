"""Placement policies on the trace of Weng et al. (ATC 2023), against the results they published.

Alibaba's openb cluster: pods come in random order until they have asked for as many GPUs as there
are; published is the share of GPUs that are allocated then, the mean of ten orders. Ours are other
orders, and shares go to the tightest device (their Random picks devices at random too), so the
figures agree to 2.5 percentage points; the order of the policies must be the same.
"""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from sim.iaas import room
from sim.iaas.resources import Resources
from sim.registry import load_builtin, lookup

load_builtin()

STRATUS_DATA = os.environ.get("STRATUS_DATA")
FOLDER = Path(STRATUS_DATA or "") / "alibaba_gpu_v2023"
pytestmark = pytest.mark.skipif(
    not STRATUS_DATA or not FOLDER.is_dir(), reason="STRATUS_DATA names no folder with alibaba_gpu_v2023"
)


class Nodes:
    """The cluster of the trace as scorers see it."""

    def __init__(self):
        rows = list(csv.DictReader((FOLDER / "openb_node_list_all_node.csv").read_text().splitlines()))
        kinds = [Resources(int(r["cpu_milli"]) / 1000, int(r["memory_mib"]), int(r["gpu"])) for r in rows]
        self.models = np.array([row["model"] for row in rows])
        self.total = np.array(kinds)
        self.room = room.table(len(kinds), max(map(room.width, kinds)))
        self.free = self.room[:, : room.WHOLE]
        for at, kind in enumerate(kinds):
            room.fill(self.room, at, kind)


class Pod:
    """What one pod asks for."""

    def __init__(self, row):
        count, share = int(row["num_gpu"]), int(row["gpu_milli"]) / 1000
        gpus = share if count == 1 and share < 1 else count
        self.resources = Resources(int(row["cpu_milli"]) / 1000, int(row["memory_mib"]), gpus)
        self.models = row["gpu_spec"].split("|") if row["gpu_spec"] else None


def allocated(score, seed):
    """Per cent of the GPUs in use once the demand that came equals the capacity."""
    nodes = Nodes()
    pods = [
        Pod(row) for row in csv.DictReader((FOLDER / "openb_pod_list_default.csv").read_text().splitlines())
    ]
    rng = np.random.default_rng(seed)
    gpus, demand = nodes.total[:, 2].sum(), 0.0
    for number in np.concatenate([rng.permutation(len(pods)), rng.integers(0, len(pods), len(pods))]):
        pod = pods[number]
        demand += pod.resources.accelerators
        if demand > gpus:
            break
        ok = ~room.lacks(nodes.room, pod.resources)
        if pod.models:
            ok &= np.isin(nodes.models, pod.models)
        candidates = np.flatnonzero(ok)
        if len(candidates):
            best = score(pod, nodes, candidates).argmax()
            room.take(nodes.room, int(candidates[best]), pod.resources)
    return 100 * (1 - nodes.free[:, 2].sum() / gpus)


def published(policy):
    """Mean over the seeds of the share allocated at a demand of 100 %."""
    with gzip.open(FOLDER / "fgd_expected_allo_default.csv.gz", "rt") as text:
        return np.mean([float(row["100"]) for row in csv.DictReader(text) if row["sc_policy"] == policy])


def test_allocation_at_full_demand_is_near_the_published():
    rng = np.random.default_rng(1)
    ours = {
        "01-Random": allocated(lambda pod, nodes, candidates: rng.random(len(candidates)), 42),
        "02-DotProd": allocated(lookup("score", "dot-product")(prefer="small").score, 42),
        "05-BestFit": allocated(lookup("score", "best-fit")(memory=0.0).score, 42),
    }
    for policy, value in ours.items():
        assert value == pytest.approx(published(policy), abs=2.5), policy
    assert list(ours.values()) == sorted(ours.values())
