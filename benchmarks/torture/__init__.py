"""The torture table: the same flows in asyncdataflow and its peers, many times, each in a child process.

``case`` is what one run is given and notes, ``leaks`` looks for what it left, ``oracle`` judges
it, ``child`` does runs in turn, ``parent`` holds them to a deadline, ``table`` prints who hung,
lost, swallowed or leaked. ``peers`` has one file per package: its flow, as its documentation
says to write it. ``environments`` gives each its own environment, pinned.
"""
