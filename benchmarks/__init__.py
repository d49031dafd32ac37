"""What the node costs and how fast it is, as ratios from one run: `python -m benchmarks`.

docs/benchmarks.md says what each figure means and what bounds it.
"""
