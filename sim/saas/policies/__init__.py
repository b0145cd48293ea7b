"""Arrival processes and offload policies; `sim.registry.load_builtin` finds them all."""
