#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manifests without a cluster: each says what it is for, belongs to a kustomization and names
the images that `make images` builds. Where there is a kubectl, it builds every overlay."""
import os
import re
import shutil
import subprocess
import sys

from parts import TREE, Failed

FOLDERS = ("manifests", "tests/e2e/kubernetes/overlay")
NOT_APPLIED = ("config.example.yaml", "secret.example.yaml", "kustomization.yaml")
TAG = re.compile(r"(?:localhost|registry\.example\.com)/[\w-]+:(\S+)|newTag: (\S+)")


def files():
    for top in FOLDERS:
        for folder, _, names in sorted(os.walk(os.path.join(TREE, top))):
            for name in sorted(names):
                if name.endswith(".yaml"):
                    yield folder, name


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as text:
        return text.read()


def told():
    count = 0
    for folder, name in files():
        lines = read(folder, name).splitlines()
        if name == "config.example.yaml":
            continue
        if lines[0] != "# SPDX-License-Identifier: Apache-2.0" or not lines[1].startswith("# "):
            raise Failed(f"{folder}/{name} doesn't say what it is for")
        count += 1
    return f"{count} files say what they are for"


def listed():
    count = 0
    for folder, name in files():
        if name in NOT_APPLIED:
            continue
        if not re.search(rf"\b{re.escape(name)}$", read(folder, "kustomization.yaml"), re.M):
            raise Failed(f"{folder}/kustomization.yaml leaves {name} out")
        count += 1
    return f"{count} files are in a kustomization"


def tagged():
    version = read(TREE, "VERSION").strip()
    tags = [(name, tag) for folder, name in files() if name not in NOT_APPLIED[:2]
            for pair in TAG.findall(read(folder, name)) for tag in pair if tag]
    for name, tag in tags:
        if tag != version:
            raise Failed(f"{name} names an image of {tag}, VERSION says {version}")
    if len(tags) < 5:
        raise Failed(f"only {len(tags)} image tags were found")
    return f"{len(tags)} image tags are {version}"


def built():
    kubectl = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        return "not tried: there is no kubectl"
    overlays = [folder for folder, name in files() if name == "kustomization.yaml"
                and "kind: Kustomization" in read(folder, name)]
    for folder in overlays:
        done = subprocess.run([kubectl, "kustomize", folder], check=False, capture_output=True,
                              text=True, timeout=60)
        if done.returncode:
            raise Failed(f"{folder}: {done.stderr}")
    return f"{len(overlays)} overlays build"


def main():
    cases = [told, listed, tagged, built]
    passed = 0
    for case in cases:
        try:
            print(f"  ok    {case.__name__}: {case()}", flush=True)
            passed += 1
        except Failed as failed:
            print(f"  FAIL  {case.__name__}: {failed}", flush=True)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
