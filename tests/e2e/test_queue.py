#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who goes next, with real runners: no more runs of a repository at once than its limit, no two of
a named branch, higher priorities first; also when dispatchd is killed in the middle."""
import os
import sys

from parts import API_KEY, Dispatchd, Failed, Place, Standin, agent_script, call, wait_for

# Says when it begins and ends, and ends when it may.
AGENT = r"""
prompt=$(cat)
here=$(dirname "$0")
echo "begin $prompt" >> "$here/story"
until [ -e "$here/go-$prompt" ] || [ -e "$here/go-all" ]; do sleep 0.05; done
echo "end $prompt" >> "$here/story"
echo "$prompt" > "$prompt.txt"
"""
CONFIG = """
max_workers: 4
repositories:
  octo/hello: {max_in_flight: 2}
"""


def check(condition, sentence):
    if not condition:
        raise Failed(sentence)


class Queue:
    def __init__(self, place, dispatchd, standin):
        self.place = place
        self.dispatchd = dispatchd
        self.standin = standin
        self.story_file = os.path.join(place, "story")

    def submit(self, name, **fields):
        status, answer = call(
            f"{self.dispatchd.url}/api/tasks", "POST",
            {"repository_url": f"{self.standin.url}/octo/hello.git", "description": name,
             **fields}, {"Authorization": f"Bearer {API_KEY}"})
        check(status == 202, f"{status} {answer}")
        return answer["task_id"]

    def story(self):
        try:
            with open(self.story_file, encoding="utf-8") as story:
                return story.read().splitlines()
        except FileNotFoundError:
            return []

    def begun(self):
        return [line.split()[1] for line in self.story() if line.startswith("begin")]

    def let_go(self, name):
        with open(os.path.join(self.place, f"go-{name}"), "w", encoding="utf-8"):
            pass

    def most_at_once(self):
        now = most = 0
        for line in self.story():
            now += 1 if line.startswith("begin") else -1
            most = max(most, now)
        return most


def limits_and_priorities(queue):
    first = [queue.submit("a"), queue.submit("b")]
    wait_for("two at once", lambda: sorted(queue.begun()) == ["a", "b"])
    runs = first + [queue.submit("low", priority=100), queue.submit("usual"),
                    queue.submit("high", priority=900)]
    wait_for("what it waits for is said", lambda: "2 runs of this repository are in flight"
             in queue.dispatchd.task(runs[2]).get("reason", ""))
    check(queue.dispatchd.task(runs[2])["status"] == "pending", "a third one went")
    queue.let_go("a")
    wait_for("the high one", lambda: "high" in queue.begun())
    check("usual" not in queue.begun(), "one too many began")
    queue.dispatchd.kill()
    queue.dispatchd.start()
    queue.let_go("b")
    wait_for("the usual one after a restart", lambda: "usual" in queue.begun())
    check("low" not in queue.begun(), "the low one went before its turn")
    queue.let_go("all")
    for run in runs:
        check(queue.dispatchd.wait_ended(run)["status"] == "completed", f"{run} isn't completed")
    check(queue.most_at_once() == 2, f"{queue.most_at_once()} at once:\n{queue.story()}")


def main():
    with Place() as place, Standin(place) as standin:
        agent = agent_script(place, "agent", AGENT)
        config = os.path.join(place, "queue.yaml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(CONFIG)
        with Dispatchd(place, standin, agent, config=config) as dispatchd:
            dispatchd.start()
            limits_and_priorities(Queue(place, dispatchd, standin))
    print("test_queue: passed")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"test_queue: {failure}")
