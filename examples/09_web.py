"""A web service around a flow: each request is one ``call``, and a model is asked for many at once.

The handler knows nothing of other requests. In the flow ``map_batches`` puts those that come within
five milliseconds of each other into one call of the model, and each request gets its own answer;
one that cannot be read is that request's error, and what is over the limit waits its turn.

``python 09_web.py`` asks itself, without a network; with uvicorn installed,
``uvicorn --app-dir examples 09_web:app`` serves it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from asyncdataflow import DataFlow
from asyncdataflow.errors import RunEndedError
from asyncdataflow.operators import map_batches

sizes: Counter[int] = Counter()
"""How many texts the model was asked for at once, and how often."""


async def normalize(text: str) -> str:
    """Refuses what the model has no answer for."""
    if not text.strip():
        raise ValueError("an empty text")
    return text.strip().lower()


def embed(texts: list[str]) -> list[list[float]]:
    """Stands for a model: a call takes its time, however many texts it is for; in a thread of its own."""
    sizes[len(texts)] += 1
    time.sleep(0.01)
    return [[len(text) / 10, text.count("e") / 10] for text in texts]


flow: DataFlow[str, list[float]] = DataFlow((normalize, map_batches(embed, 32, within=0.005)), name="embed")


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """The flow runs as long as the application does."""
    async with flow.open(limit=256) as app.state.run:
        yield
        # Requests that are being served get their answers.
        app.state.run.drain(timeout=10)
        await app.state.run.wait()


async def embedded(request: Request) -> JSONResponse:
    """One request, one item: what fails with it is its own answer."""
    text = (await request.json())["text"]
    try:
        async with asyncio.timeout(5):
            return JSONResponse({"vector": await request.app.state.run.call(text)})
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    except (RunEndedError, TimeoutError):
        return JSONResponse({"error": "try again later"}, status_code=503)


app = Starlette(routes=[Route("/embed", embedded, methods=["POST"])], lifespan=lifespan)


async def main() -> None:
    """Two hundred requests at once, one of which is no good."""
    texts = [f"Text number {number}" for number in range(199)] + ["  "]
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://service")
    async with lifespan(app), client:
        answers = await asyncio.gather(*(client.post("/embed", json={"text": text}) for text in texts))
    print("status:", dict(Counter(each.status_code for each in answers)))
    print("the first:", answers[0].json())
    print("the last:", answers[-1].json())
    print("texts:", sum(size * times for size, times in sizes.items()))
    print("calls of the model:", sum(sizes.values()))


if __name__ == "__main__":
    asyncio.run(main())
