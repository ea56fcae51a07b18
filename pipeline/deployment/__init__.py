"""Rules for deployments that several packages need: scheduler limits, memory, layout, simulated engines.

Pure functions of recipes, SKUs, LLMs and timing documents. It imports ``schema`` and ``errors`` only.
"""
