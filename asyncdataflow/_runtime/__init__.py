"""The engine: a graph becomes channels and workers.

Bottom up, imports going down only: ``clock``; ``store``, ``edge``, ``sending`` and
``channel``, the ``baton`` that a worker holds while nobody looks (several: ``relay``), ``fan`` (several
edges at once) and ``forks`` (one of several); ``bridge`` (janus between loop and threads); ``messages``,
``wire``, ``child``, ``entry``, ``series``, ``spawned`` and ``process`` (worker processes);
``workshop`` (where threads and processes come from); ``job``, ``chunk`` and ``lane`` (a
stage's own threads); ``call`` (any callable as one kind of call); ``routing`` (where
results go); ``supervise`` (retries and error policies); ``order``, ``keyed`` and
``leaving`` (what leaves when); ``making`` (one item); ``plain``, ``crew``, ``ordered``,
``by_key``, ``routed``, ``pull``, ``chunked`` and ``worker`` (the loops); ``parts`` (what makes
these); ``resources``; ``build`` (graph to all of them); ``execution`` (start, failure,
drain, stop); ``run`` (the handle a consumer holds).
"""

__all__: tuple[str, ...] = ()
