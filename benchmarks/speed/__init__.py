"""The speed table: the same workloads in asyncdataflow, by hand and in its peers, and what must be reached.

``w1`` and so on have one workload each (or one with its variants): contestants, how their results are
checked, and the floors. ``workload`` says what those are, ``feed`` has the source and the trivial stages.
``child`` measures one contestant once, ``rounds`` has children do so in turn, ``verdict`` compares the
medians with the floors, ``table`` prints them. ``packages`` gives each peer its own environment, pinned.

    PYTHONPATH=benchmarks python -m speed --only W1
"""
