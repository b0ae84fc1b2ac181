"""One module per package: ``run(case)`` runs the package's flow over the case's source and stages.

Every one is the same pipeline: the source, a coroutine stage, a stage in threads, where the case
asks for it a stage in processes, and a consumer that takes what comes. What makes six flows of it
is in the case.
"""
