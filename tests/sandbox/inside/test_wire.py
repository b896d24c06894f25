from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codingspot.sandbox.inside.wire import receive, send

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=50)
@given(st.lists(JSON, min_size=1, max_size=4))
def test_messages_arrive_whole_and_in_order(messages: list[object]) -> None:
    reader, writer = os.pipe()
    try:
        for message in messages:
            send(writer, message)
        assert [receive(reader) for _ in messages] == messages
    finally:
        os.close(reader)
        os.close(writer)


def test_message_larger_than_a_pipe() -> None:
    reader, writer = os.pipe()
    message = {"source": "\ud800" + "x" * 1_000_000}
    sender = threading.Thread(target=send, args=(writer, message))
    sender.start()
    try:
        assert receive(reader, time.monotonic() + 60) == message
    finally:
        sender.join()
        os.close(reader)
        os.close(writer)


def test_silence_is_a_timeout_and_a_closed_pipe_an_end() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(TimeoutError):
            receive(reader, time.monotonic())
        os.write(writer, b"\0\0\0\x09{")
        os.close(writer)
        with pytest.raises(EOFError):
            receive(reader)
    finally:
        os.close(reader)
