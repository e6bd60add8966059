#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each line: what greet.sh shall print, then its arguments.
set -eu
cd "$(dirname "$0")"

expect() {
    wanted=$1
    shift
    got=$(./greet.sh "$@")
    if [ "$got" != "$wanted" ]; then
        echo "greet.sh $*: got '$got', wanted '$wanted'" >&2
        exit 1
    fi
}

expect "Hello, world!"
expect "Hello, Ada!" Ada

echo "all well"
