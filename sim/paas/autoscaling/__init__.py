"""Rules of real autoscalers as plain functions and small state machines, free of the simulation.

Each file follows one upstream project, which its docstring names with the version read. Times are
seconds, given by the caller; nothing here keeps a clock or draws random numbers.
"""
