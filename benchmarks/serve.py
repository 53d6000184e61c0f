"""The other end of `peers.Peer`: tasks as JSON lines on stdin, replies on stdout. Needs only Python."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

State = dict[str, Any]


def serve(tasks: dict[str, Callable[[State, State], State]]) -> None:
    """Answer tasks until stdin ends; whatever libraries print goes to stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    state: State = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = tasks[request["task"]](state, request)
        except Exception as error:  # noqa: BLE001  the other side decides what to do about it
            reply = {"error": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
