"""How many replicas and classes one database carries: measured figures, and a simulation of what follows from them.

Discrete events (simpy), a seed, no clock and no network: the same plan gives the same figures anywhere.
"""
