"""Rules about a deployment that several packages need: scheduler limits, memory, placement, simulated engines.

Pure: recipes, SKUs, LLMs and timing documents in, figures and documents out. It imports ``schema`` and ``errors`` only.
"""
