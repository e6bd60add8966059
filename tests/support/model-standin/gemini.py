# SPDX-License-Identifier: Apache-2.0
"""POST /v1beta/models/NAME:generateContent, :streamGenerateContent and :countTokens."""
import json

from script import usage_of

STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
            404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


def error(status, message):
    return {"error": {"code": status, "message": message,
                      "status": STATUSES.get(status, "INTERNAL")}}


def whole(turn, request, number):
    parts = [{"text": turn["text"]}] if turn.get("text") else []
    parts += [{"functionCall": {"name": tool["name"], "args": tool["input"]}}
              for tool in turn.get("tools", [])]
    usage = usage_of(turn)
    return {"candidates": [{"content": {"role": "model", "parts": parts},
                            "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": usage["input_tokens"],
                              "candidatesTokenCount": usage["output_tokens"],
                              "cachedContentTokenCount": usage.get("cache_read_tokens", 0),
                              "totalTokenCount": usage["input_tokens"]
                              + usage["output_tokens"]},
            "modelVersion": request.get("model", "standin"), "responseId": f"resp-{number}"}


def stream(turn, request, number):
    document = whole(turn, request, number)
    yield f"data: {json.dumps(document)}\r\n\r\n".encode()
