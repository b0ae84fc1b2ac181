"""The engine: a graph becomes channels and workers.

Bottom up, imports going down only: ``clock``; ``store`` and ``channel``; ``bridge`` (janus between
loop and threads); ``lane`` (a stage's own threads); ``process`` and ``child`` (worker
processes); ``routing`` (where results go); ``call`` (any callable as one kind of call);
``supervise`` (retries and error policies); ``order`` and ``keyed`` (what leaves when);
``worker`` (the loops); ``resources``; ``build`` (graph to all of these); ``execution``
(start, failure, drain, stop); ``run`` (the handle a consumer holds).
"""

__all__: tuple[str, ...] = ()
