#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Greets whoever is named, or the world.
set -eu

name=${1:-world}
greeting="Hello, $name!"

echo "$greeting"
