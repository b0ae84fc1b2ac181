"""The process that is killed: runs one route until SIGTERM asks it to finish what it has."""

from __future__ import annotations


def main() -> None:
    """Run the route that the command line names."""
    # Here, since worker processes import this module, and need nothing of it.
    import asyncio
    import json
    import os
    import signal
    import sys

    from tests.chaos.delivery.routes import CONTROL, ROUTES, Place, flow_of

    async def live() -> None:
        async with flow.stream() as run:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, run.drain)
            os.write(1, b"open\n")
            await run.wait()

    if "TEST_LOOP" in os.environ:
        from tests import loops

        loops.set_up()
    name, place = json.loads(sys.argv[1])
    flow = flow_of({**ROUTES, CONTROL.name: CONTROL}[name], Place(**place))
    asyncio.run(live())


if __name__ == "__main__":
    main()
