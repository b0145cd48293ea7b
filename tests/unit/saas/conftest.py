from types import SimpleNamespace

import pytest

from sim.iaas.network import Link, Network
from sim.iaas.nodes import Cluster, NodeState, NodeType
from sim.iaas.resources import Resources
from sim.kernel.context import Context
from sim.kernel.kernel import Kernel
from sim.kernel.recorder import Recorder
from sim.kernel.streams import RandomStreams
from sim.paas.policies.discipline import Skip
from sim.paas.policies.engines import Concurrent
from sim.paas.policies.filters import AtSite, NodeReady, ResourcesFit
from sim.paas.policies.order import Fifo
from sim.paas.policies.routers import LeastLoad
from sim.paas.policies.times import ConstantTime
from sim.paas.replicaset import ReplicaBounds
from sim.paas.scheduler import Scheduler
from sim.paas.service import Service
from sim.saas.application import Application


class World:
    """A platform in small: sites with roomy nodes, links between them, services, applications."""

    def __init__(self, sites=("plant", "region"), links=(), seed=1):
        self.kernel = Kernel()
        self.ctx = Context(self.kernel, RandomStreams(seed), Recorder(self.kernel))
        self.network = Network(self.ctx, list(sites), list(links))
        self.cluster = Cluster(self.ctx)
        for site in sites:
            node = self.cluster.add(NodeType("box", Resources(cpu=64.0)), site, f"{site}/boxes")
            self.cluster.set_state(node, NodeState.READY)
        self.scheduler = Scheduler(
            self.ctx,
            self.cluster,
            order=Fifo(),
            discipline=Skip(),
            filters=[NodeReady(), AtSite(), ResourcesFit()],
            scores=[],
        )
        self.services, self.apps = [], []
        self.kinds = {site: "cloud" if site == "region" else "edge" for site in sites}

    def service(self, name, site, seconds=0.1, servers=1, replicas=1, **options):
        options = {"time": ConstantTime(seconds), "engine": Concurrent(servers), **options}
        service = Service(
            self.ctx,
            name,
            site,
            scheduler=self.scheduler,
            router=LeastLoad(),
            bounds=ReplicaBounds(replicas, replicas, replicas),
            resources=Resources(cpu=1.0),
            **options,
        )
        self.services.append(service)
        return service

    def app(self, name="cameras", **options):
        options = {"users": {"plant": 1}, "until": 10.0, "site_kinds": self.kinds, **options}
        app = Application(self.ctx, self.network, name, **options)
        self.apps.append(app)
        return app

    def run(self, until=None):
        """Run, close and return the rows of `requests` and `calls` by column, as lists."""
        for service in self.services:
            service.start()
        self.kernel.run(until)
        for part in (*self.services, *self.apps):
            part.close()
        tables = self.ctx.recorder.finish(self.kernel.now).tables
        plain = lambda column: column.texts() if hasattr(column, "texts") else column.tolist()  # noqa: E731
        return SimpleNamespace(
            **{
                name: SimpleNamespace(**{key: plain(column) for key, column in tables[name].items()})
                for name in ("requests", "calls")
            }
        )


@pytest.fixture
def world():
    """Two sites 10 ms and 1 MB/s apart."""
    return World(links=[Link("wan", "plant", "region", 0.01, 1e6)])


@pytest.fixture
def new_world():
    return World
