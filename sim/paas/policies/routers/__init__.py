"""Routers: which ready replica gets the next call.

A router is a policy with `pick(call, replicas, now)`. `replicas` is never empty, holds the replicas
that are ready and not draining in order of their unit's number. What a router may know of one is in
`base`. A router does not look at queue limits: a call sent to a full replica is rejected there, as
behind a load balancer that does not know them. One file per way; a new one is found by itself.
"""

from sim.paas.policies.routers.base import Loaded, Router, Signals, cached, kv_use, session_of
from sim.paas.policies.routers.cache import CacheAware
from sim.paas.policies.routers.gateway import Gateway
from sim.paas.policies.routers.hashing import ConsistentHash
from sim.paas.policies.routers.load import FewestTokens, LeastKv, LeastLoad, PowerOfTwo, Vllm
from sim.paas.policies.routers.sessions import SessionAffinity
from sim.paas.policies.routers.simple import RandomRouter, RoundRobin

__all__ = [
    "CacheAware",
    "ConsistentHash",
    "FewestTokens",
    "Gateway",
    "LeastKv",
    "LeastLoad",
    "Loaded",
    "PowerOfTwo",
    "RandomRouter",
    "RoundRobin",
    "Router",
    "SessionAffinity",
    "Signals",
    "Vllm",
    "cached",
    "kv_use",
    "session_of",
]
