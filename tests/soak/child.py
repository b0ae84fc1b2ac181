"""One of the services: a flow until a signal ends it, which says every second how it is."""

from __future__ import annotations


def main() -> None:
    """Serve the flow that the command line names."""
    # Here, since worker processes import this module, and need nothing of it.
    import asyncio
    import json
    import logging
    import os
    import sys
    import threading

    from asyncdataflow.errors import ShutdownTimeoutError
    from tests.chaos.delivery.routes import ROUTES, Place
    from tests.soak.allocated import allocated, give_back
    from tests.soak.flows import flow_of

    name, place, every, leak = json.loads(sys.argv[1])
    counts = ("received", "sent", "filtered", "skipped", "dead_lettered", "failed", "retried")
    standing = ("in_flight", "queued", "dropped", "unacked")
    kept = set()

    def told(run) -> str:
        stats = run.stats()
        return json.dumps(
            {
                "state": stats.state,
                "tasks": len(asyncio.all_tasks()),
                "threads": threading.active_count(),
                "blocks": sys.getallocatedblocks(),
                "allocated": allocated(),
                "stages": {
                    stage: {each: getattr(of, each) for each in counts + standing}
                    for stage, of in stats.stages.items()
                },
            }
        )

    async def tell(run) -> None:
        while True:
            give_back()
            os.write(1, told(run).encode() + b"\n")
            await asyncio.sleep(every)

    def begin(run) -> None:
        kept.add(asyncio.get_running_loop().create_task(tell(run)))

    async def serve() -> int:
        return (await flow_of(ROUTES[name], Place(**place), leak).serve(on_start=begin)).exit_code

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        sys.exit(asyncio.run(serve()))
    except ShutdownTimeoutError as error:
        os.write(2, f"{error}\n".encode())
        sys.exit(3)


if __name__ == "__main__":
    main()
