"""Policies of the application layer: arrival processes and offload policies."""

from __future__ import annotations

from sim.saas.policies import arrivals, jobs, offload, recorded, varying

__all__ = ["arrivals", "jobs", "offload", "recorded", "varying"]
