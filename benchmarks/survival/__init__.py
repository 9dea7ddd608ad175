"""What clients notice when vendors break or stall, and what those who leave leave behind.

Run `python -m benchmarks.survival` from the repository root.
"""
