# SPDX-License-Identifier: Apache-2.0
"""POST /v1/chat/completions and /v1/responses, streamed or whole."""
import json

from script import usage_of


def error(status, message):
    return {"error": {"message": message, "type": "standin_error", "param": None,
                      "code": "invalid_api_key" if status == 401 else None}}


def data(document):
    return f"data: {json.dumps(document)}\n\n".encode()


# --- Chat completions ---


def calls_of(turn, number):
    return [{"index": i, "id": f"call_{number}_{i}", "type": "function",
             "function": {"name": tool["name"], "arguments": json.dumps(tool["input"])}}
            for i, tool in enumerate(turn.get("tools", []))]


def chat_usage(turn):
    usage = usage_of(turn)
    return {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["input_tokens"] + usage["output_tokens"],
            "prompt_tokens_details": {"cached_tokens": usage.get("cache_read_tokens", 0)}}


def chat_head(request, number, kind):
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1700000000,
            "model": request.get("model", "standin")}


def chat_whole(turn, request, number):
    calls = [{key: call[key] for key in ("id", "type", "function")}
             for call in calls_of(turn, number)]
    said = {"role": "assistant", "content": turn.get("text")}
    if calls:
        said["tool_calls"] = calls
    return {**chat_head(request, number, "chat.completion"),
            "choices": [{"index": 0, "message": said,
                         "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": chat_usage(turn)}


def chat_stream(turn, request, number):
    def chunk(delta, finish=None):
        return data({**chat_head(request, number, "chat.completion.chunk"),
                     "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    if turn.get("text"):
        yield chunk({"content": turn["text"]})
    calls = calls_of(turn, number)
    for call in calls:
        yield chunk({"tool_calls": [call]})
    yield chunk({}, "tool_calls" if calls else "stop")
    if request.get("stream_options", {}).get("include_usage"):
        yield data({**chat_head(request, number, "chat.completion.chunk"), "choices": [],
                    "usage": chat_usage(turn)})
    yield b"data: [DONE]\n\n"


# --- Responses ---


def items_of(turn, number):
    if turn.get("text"):
        yield {"id": f"msg_{number}", "type": "message", "status": "completed",
               "role": "assistant",
               "content": [{"type": "output_text", "text": turn["text"], "annotations": []}]}
    for i, tool in enumerate(turn.get("tools", [])):
        yield {"id": f"fc_{number}_{i}", "type": "function_call", "status": "completed",
               "call_id": f"call_{number}_{i}", "name": tool["name"],
               "arguments": json.dumps(tool["input"])}


def response_whole(turn, request, number):
    usage = usage_of(turn)
    return {"id": f"resp_{number}", "object": "response", "created_at": 1700000000,
            "status": "completed", "model": request.get("model", "standin"), "error": None,
            "incomplete_details": None, "parallel_tool_calls": True,
            "output": list(items_of(turn, number)),
            "usage": {"input_tokens": usage["input_tokens"],
                      "input_tokens_details": {"cached_tokens":
                                               usage.get("cache_read_tokens", 0)},
                      "output_tokens": usage["output_tokens"],
                      "output_tokens_details": {"reasoning_tokens": 0},
                      "total_tokens": usage["input_tokens"] + usage["output_tokens"]}}


def response_stream(turn, request, number):
    done = response_whole(turn, request, number)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    events = [{"type": "response.created", "response": begun},
              {"type": "response.in_progress", "response": begun}]
    for i, item in enumerate(done["output"]):
        events += item_events(i, item)
    events.append({"type": "response.completed", "response": done})
    for sequence, event in enumerate(events):
        document = {**event, "sequence_number": sequence}
        yield f"event: {event['type']}\ndata: {json.dumps(document)}\n\n".encode()


def item_events(i, item):
    at = {"item_id": item["id"], "output_index": i}
    if item["type"] == "message":
        part = item["content"][0]
        empty = {**item, "status": "in_progress", "content": []}
        inner = [
            {"type": "response.content_part.added", **at, "content_index": 0,
             "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", **at, "content_index": 0,
             "delta": part["text"]},
            {"type": "response.output_text.done", **at, "content_index": 0,
             "text": part["text"]},
            {"type": "response.content_part.done", **at, "content_index": 0, "part": part}]
    else:
        empty = {**item, "status": "in_progress", "arguments": ""}
        inner = [
            {"type": "response.function_call_arguments.delta", **at,
             "delta": item["arguments"]},
            {"type": "response.function_call_arguments.done", **at,
             "arguments": item["arguments"]}]
    return [{"type": "response.output_item.added", "output_index": i, "item": empty}, *inner,
            {"type": "response.output_item.done", "output_index": i, "item": item}]
