"""The JetStream connectors' options, and what is seen of their addresses; no server is needed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from asyncdataflow.connectors.nats import JetStreamSink, JetStreamSource
from asyncdataflow.errors import MissingExtraError
from asyncdataflow.policy import Retry

URL = "nats://me:hunter2@127.0.0.1:1"


def source(**options):
    return JetStreamSource(
        options.pop("servers", URL), options.pop("stream", "S"), **{"durable": "worker", **options}
    )


def sink(**options):
    return JetStreamSink(options.pop("servers", [URL]), options.pop("subject", "a.b"), **options)


REFUSED = [
    (source, {"servers": []}),
    (source, {"servers": ""}),
    (source, {"servers": [7]}),
    (source, {"stream": "a.b"}),
    (source, {"stream": ""}),
    (source, {"durable": "a b"}),
    (source, {"durable": "a\r\nPUB"}),
    (source, {"subject": "a..b"}),
    (source, {"decode": "pickle"}),
    (source, {"bad": "park"}),
    (source, {"fetch": 0}),
    (source, {"max_unacked": 0}),
    (source, {"ack_wait": 0}),
    (source, {"redeliver": 3}),
    (source, {"redeliver": Retry(max_elapsed=1)}),
    (source, {"redeliver": Retry(on=KeyError)}),
    (source, {"reconnect": -1}),
    (source, {"options": {"servers": "x"}}),
    (sink, {"subject": "a.*"}),
    (sink, {"subject": "a.>"}),
    (sink, {"subject": "a\nb"}),
    (sink, {"key": "id"}),
    (sink, {"headers": {"a": "b"}}),
    (sink, {"encode": "yaml"}),
    (sink, {"chunk": 0}),
    (sink, {"full_wait": -1}),
]


@pytest.mark.parametrize(("make", "options"), REFUSED, ids=lambda each: re.sub(r"\W+", "_", str(each))[-40:])
def test_what_has_no_sense_is_refused_at_once(make, options):
    pytest.importorskip("nats")
    make()
    with pytest.raises(ValueError, match=r"^JetStream\w+\(.*\): ") as caught:
        make(**options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("make", [source, sink])
def test_the_password_is_in_no_representation(make):
    pytest.importorskip("nats")
    made = make()
    assert "hunter2" not in f"{made!r} {made} {[repr(each) for each in vars(made).values()]}"


@pytest.mark.parametrize("make", [source, sink])
def test_a_missing_client_says_what_to_install(make, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncdataflow\[nats\]'"):
        make()


def test_without_the_client_the_module_can_be_imported():
    code = "import sys; sys.modules['nats'] = None; import asyncdataflow.connectors.nats"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
