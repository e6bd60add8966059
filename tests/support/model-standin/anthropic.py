# SPDX-License-Identifier: Apache-2.0
"""POST /v1/messages, streamed or whole."""
import json

from script import usage_of

ERRORS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
          404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


def error(status, message):
    kind = ERRORS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message},
            "request_id": "req_standin"}


def blocks(turn, number):
    if turn.get("text"):
        yield {"type": "text", "text": turn["text"]}
    for i, tool in enumerate(turn.get("tools", [])):
        yield {"type": "tool_use", "id": f"toolu_{number}_{i}", "name": tool["name"],
               "input": tool["input"]}


def message(turn, request, number, content):
    usage = usage_of(turn)
    return {"id": f"msg_{number}", "type": "message", "role": "assistant",
            "model": request.get("model", "standin"), "content": content,
            "stop_reason": "tool_use" if turn.get("tools") else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": usage["input_tokens"],
                      "cache_creation_input_tokens": usage.get("cache_write_tokens", 0),
                      "cache_read_input_tokens": usage.get("cache_read_tokens", 0),
                      "output_tokens": usage["output_tokens"]}}


def whole(turn, request, number):
    return message(turn, request, number, list(blocks(turn, number)))


def stream(turn, request, number):
    """The events, each as the bytes of one SSE message."""
    last = message(turn, request, number, [])
    first = {**last, "stop_reason": None, "usage": {**last["usage"], "output_tokens": 1}}
    yield event({"type": "message_start", "message": first})
    for i, block in enumerate(blocks(turn, number)):
        yield from block_events(i, block)
    yield event({"type": "message_delta",
                 "delta": {"stop_reason": last["stop_reason"], "stop_sequence": None},
                 "usage": {"output_tokens": last["usage"]["output_tokens"]}})
    yield event({"type": "message_stop"})


def block_events(i, block):
    if block["type"] == "text":
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta",
                                                      "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield event({"type": "content_block_start", "index": i, "content_block": empty})
    yield event({"type": "content_block_delta", "index": i, "delta": delta})
    yield event({"type": "content_block_stop", "index": i})


def event(document):
    return f"event: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()
