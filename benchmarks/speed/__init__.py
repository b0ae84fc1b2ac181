"""The speed table: the same workloads in asyncdataflow, by hand and in its peers, and what must be reached.

``w1`` and so on have one workload each (or one with its variants): contestants, how their results are
checked, and the floors. ``workload`` says what those are, ``feed`` has the source and the trivial stages;
``by_hand``, ``chains``, ``engines``, ``thread_peers`` and ``fan_peers`` have what several workloads share.
``child`` measures one contestant once, ``memory`` its peak, ``rounds`` has children do so in turn,
``verdict`` compares the medians with the floors, ``table`` prints them, ``plot`` draws them. ``packages``
gives each peer its own environment, pinned. ``check`` measures ``pairs`` of ours, now and at the last
``release``.

    PYTHONPATH=benchmarks python -m speed --only W1
    PYTHONPATH=benchmarks python -m speed.check --only W1
"""
