# SPDX-License-Identifier: Apache-2.0
"""The model stand-in as a part, and what each agent calls the tools that its model uses."""
import os
import subprocess

from parts import TREE, call, end, wait_for

STANDIN = os.path.join(TREE, "tests/support/model-standin/model-standin")
KEY = "sk-model-canary-5d1e0a77-the-providers-own"


class Model:
    """Says what its script has; every request is kept."""

    def __init__(self, place):
        port_file = os.path.join(place, "model.port")
        self.log = os.path.join(place, "model.log")
        self.process = subprocess.Popen(
            [STANDIN, "--port-file", port_file, "--log", self.log, "--key", KEY,
             "--exit-with-parent"])
        wait_for("the model stand-in listens",
                 lambda: os.path.exists(port_file) or self.process.poll() is not None)
        with open(port_file, encoding="utf-8") as text:
            self.url = f"http://127.0.0.1:{int(text.read())}"

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        end(self.process)

    def settings(self):
        """What an operator sets so that every provider is this one."""
        return {
            "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": f"{self.url}/anthropic",
            "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{self.url}/openai/v1",
            "GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": f"{self.url}/gemini",
        }

    def says(self, *turns, subagent=None):
        """From now on; `subagent`: (what its requests are known by, its turns)."""
        conversations = [{"turns": list(turns)}]
        if subagent:
            conversations.insert(0, {"when": subagent[0], "turns": list(subagent[1])})
        status, answer = call(f"{self.url}/_standin/script", "PUT",
                              {"conversations": conversations})
        assert status == 200, answer
        call(f"{self.url}/_standin/requests", "DELETE")

    def requests(self):
        """Those for an answer; newest last."""
        return [request for request in call(f"{self.url}/_standin/requests")[1]
                if request["method"] == "POST" and "turn" in request]


def says(text, *tools, **more):
    turn = {"text": text, **more}
    if tools:
        turn["tools"] = [{"name": name, "input": arguments} for name, arguments in tools]
    return turn


class ClaudeCode:
    name = "claude-code"
    face = "/v1/messages"

    def write(self, path, content):
        return "Write", {"file_path": path, "content": content}

    def shell(self, command):
        return "Bash", {"command": command, "description": "a command"}

    def external(self, name, arguments):
        return f"mcp__dispatch__{name}", arguments

    def subagent(self, name, prompt):
        return "Agent", {"subagent_type": name, "description": "a look", "prompt": prompt}

    def subagent_ends(self, text):
        return says(text)


class GeminiCode:
    name = "gemini-code"
    face = ":streamGenerateContent"

    def write(self, path, content):
        return "write_file", {"file_path": path, "content": content}

    def shell(self, command):
        return "run_shell_command", {"command": command}

    def external(self, name, arguments):
        return f"mcp_dispatch_{name}", arguments

    def subagent(self, name, prompt):
        return "invoke_agent", {"agent_name": name, "prompt": prompt}

    def subagent_ends(self, text):
        return says("", ("complete_task", {"result": text}))


class Opencode:
    name = "opencode"
    face = "/v1/messages"

    def write(self, path, content):
        return "write", {"filePath": path, "content": content}

    def shell(self, command):
        return "bash", {"command": command, "description": "a command"}

    def external(self, name, arguments):
        return f"dispatch_{name}", arguments

    def subagent(self, name, prompt):
        return "task", {"subagent_type": name, "description": "a look", "prompt": prompt}

    def subagent_ends(self, text):
        return says(text)


AGENTS = [ClaudeCode(), GeminiCode(), Opencode()]
