from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sim.iaas.network import Network
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.iaas.storage import ObjectStore
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.calls import Call
from sim.paas.policies.discipline import Skip
from sim.paas.policies.engines import Concurrent
from sim.paas.policies.filters import DEFAULT
from sim.paas.policies.order import Fifo
from sim.paas.policies.routers import LeastLoad
from sim.paas.policies.scores import LeastAllocated
from sim.paas.policies.times import ConstantTime
from sim.paas.replicaset import ReplicaBounds
from sim.paas.scheduler import Scheduler
from sim.paas.service import Service
from sim.registry import lookup


@dataclass
class Asker:
    """What a call belongs to."""

    id: int


class Bench:
    """A cluster of equal nodes at one site, a store, and one service under test."""

    def __init__(self, nodes: int = 4, seed: int = 1, bandwidth: float = 1e9) -> None:
        self.kernel = Kernel()
        self.recorder = Recorder(self.kernel)
        self.ctx = Context(self.kernel, RandomStreams(seed), self.recorder)
        self.cluster = Cluster(self.ctx)
        self.type = NodeType("box", Resources(8.0, 32e9, 2.0, 0.0))
        for _ in range(nodes):
            self.add_node()
        self.network = Network(self.ctx, ["plant"], [])
        self.store = ObjectStore(self.ctx, self.network, "plant", bandwidth)
        self.scheduler = Scheduler(
            self.ctx,
            self.cluster,
            order=Fifo(),
            discipline=Skip(),
            filters=[lookup("filter", name)() for name in DEFAULT],
            scores=[(LeastAllocated(), 1.0)],
        )
        self.done: list[Call] = []
        self.log: list[tuple[str, float]] = []

    def add_node(self) -> Any:
        node = self.cluster.add(self.type, "plant", "boxes")
        self.cluster.set_state(node, NodeState.READY)
        return node

    def serve(self, replicas: int | tuple[int, int, int] = 1, **options: Any) -> Service:
        bounds = (replicas, replicas, replicas) if isinstance(replicas, int) else replicas
        options.setdefault("time", ConstantTime(1.0))
        options.setdefault("engine", Concurrent())
        options.setdefault("router", LeastLoad())
        options.setdefault("resources", Resources(1.0, 1e9, 1.0, 0.0))
        self.service = Service(
            self.ctx,
            "detector",
            "plant",
            scheduler=self.scheduler,
            store=self.store,
            bounds=ReplicaBounds(*bounds),
            **options,
        )
        self.service.start()
        return self.service

    def call_at(self, time: float, work: float = 1.0, **tokens: int) -> Call:
        number = len(self.log)
        self.log.append(("call", time))
        call = Call(number, Asker(number), self.done.append, work, **tokens)
        self.kernel.call_at(time, self.service.submit, call)
        return call

    def finish(self, until: float | None = None) -> dict[str, list[dict[str, Any]]]:
        self.kernel.run(until)
        self.service.close()
        self.recorded = self.recorder.finish(self.kernel.now)
        return {name: rows(columns) for name, columns in self.recorded.tables.items()}


def rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    plain = {
        name: column.texts() if hasattr(column, "texts") else column.tolist()
        for name, column in columns.items()
    }
    return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def make_bench() -> type[Bench]:
    return Bench
