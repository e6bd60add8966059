# SPDX-License-Identifier: Apache-2.0
"""What the model says next: conversations of turns, as the script has them."""
import threading

DEFAULT_USAGE = {"input_tokens": 11, "output_tokens": 7}
TURN_KEYS = {"text", "tools", "usage", "status", "headers", "message", "never_ends", "delay_ms",
             "reset"}


class Script:
    """Thread-safe. A conversation's turns are said one after the other; the last is repeated."""

    def __init__(self, document):
        self.lock = threading.Lock()
        self.replace(document)

    def replace(self, document):
        conversations = document.get("conversations")
        if conversations is None:
            conversations = [{"turns": document.get("turns", [{"text": "Done."}])}]
        for conversation in conversations:
            if not conversation.get("turns"):
                raise ValueError("turns: at least one")
            for turn in conversation["turns"]:
                unknown = set(turn) - TURN_KEYS
                if unknown:
                    raise ValueError(f"a turn has no {', '.join(sorted(unknown))}")
        with self.lock:
            self.conversations = conversations
            self.said = [0] * len(conversations)
            self.without_tools = document.get("without_tools", {"text": "A title"})

    def next_turn(self, text, has_tools):
        """The turn for a request whose whole body is `text`. Requests that bring no tools are
        asides, a title or a summary, and get the turn of their own."""
        with self.lock:
            if not has_tools and self.without_tools is not None:
                return self.without_tools
            for i, conversation in enumerate(self.conversations):
                if conversation.get("when", "") in text:
                    turns = conversation["turns"]
                    turn = turns[min(self.said[i], len(turns) - 1)]
                    self.said[i] += 1
                    return turn
        return {"text": "Nothing is left to say."}


def usage_of(turn):
    return {**DEFAULT_USAGE, **turn.get("usage", {})}
