"""Worker processes: what one does, how it begins, and what it and its parent say to each other.

Nothing in here knows of items, channels or stages: calls go in, answers come out. Who owns a
process, and what becomes of calls that are lost with one, is a matter of the runtime.
"""
