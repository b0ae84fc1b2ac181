"""Threads beside the loop: queues to and from them, and what they do there, one thing after another.

A thread that owns a worker process sends its calls on, and takes the answers.
"""
