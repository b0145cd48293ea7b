"""Every policy of the platform layer, one idea a file; `sim.registry.load_builtin` finds them all."""
