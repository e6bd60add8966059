# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Part of hack/cluster: its processes, by the pids written when they were started. A pid is kept
# together with the time it began, so that another process that got the number later is left alone.

# The time since boot at which a process began, nothing when it is gone or a zombie.
began() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    # shellcheck disable=SC2086  # the fields of a line
    set -- $stat
    [ "$1" = Z ] || [ "$1" = X ] || echo "${20}"
}

running() {
    local pid since
    read -r pid since 2>/dev/null <"$dir/pids/$1" && [ -n "$since" ] &&
        [ "$(began "$pid")" = "$since" ]
}

# start NAME COMMAND...: nothing happens where it runs. Its log is $dir/log/NAME.
start() {
    local name=$1
    shift
    running "$name" && return
    setsid "$@" >>"$dir/log/$name" 2>&1 </dev/null 9<&- &
    echo "$! $(began $!)" >"$dir/pids/$name"
}

signal() {
    local pid
    if running "$1"; then
        read -r pid _ <"$dir/pids/$1"
        kill "-$2" "$pid" 2>/dev/null || true
    fi
}

# The process is asked to end, and after ten seconds made to.
stop() {
    signal "$1" TERM
    if ! within 10 ended "$1"; then
        signal "$1" KILL
        within 10 ended "$1" || die "$1 doesn't end"
    fi
    rm -f "$dir/pids/$1"
}

ended() {
    ! running "$1"
}

# within SECONDS COMMAND...: tries it until it holds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.1
    done
}

# await SECONDS NAME COMMAND...: waits for what a component promises; says why it doesn't come.
await() {
    local seconds=$1 name=$2
    shift 2
    within "$seconds" settled "$name" "$@" && running "$name" && return
    tail -n 15 "$dir/log/$name" >&2
    die "$name ended or isn't ready after $seconds s: see above and $dir/log/$name"
}

# Whether waiting is over: it holds, or can't any more.
settled() {
    local name=$1
    shift
    ! running "$name" || "$@" >/dev/null 2>&1
}
