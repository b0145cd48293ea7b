"""Autoscalers: how many replicas a service should have, from what was observed of it."""

from sim.paas.policies.autoscalers import composed, keda, knative, lepton, ray_serve, simple
from sim.paas.policies.autoscalers.base import Autoscaler, History, Observation
from sim.paas.policies.autoscalers.fixed import Fixed
from sim.paas.policies.autoscalers.kubernetes import Hpa
from sim.paas.policies.autoscalers.predictive import Predictive

__all__ = [
    "Autoscaler",
    "Fixed",
    "History",
    "Hpa",
    "Observation",
    "Predictive",
    "composed",
    "keda",
    "knative",
    "lepton",
    "ray_serve",
    "simple",
]
