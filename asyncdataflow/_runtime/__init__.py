"""The engine: a graph becomes channels and workers.

Bottom up, imports going down only: ``clock``; ``store`` and ``channel``; ``bridge``
(janus between loop and threads); ``job`` and ``lane`` (a stage's own threads); ``child``
and ``process`` (worker processes); ``call`` (any callable as one kind of call);
``routing`` (where results go); ``supervise`` (retries and error policies); ``order``,
``keyed`` and ``leaving`` (what leaves when); ``worker`` (the loops); ``resources``;
``build`` (graph to all of these); ``execution`` (start, failure, drain, stop); ``run``
(the handle a consumer holds).
"""

__all__: tuple[str, ...] = ()
