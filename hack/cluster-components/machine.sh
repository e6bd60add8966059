# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Part of hack/cluster: what a node changes on the machine (sysctls, a bridge, packet filter
# rules, cgroups) and how each of these is undone. All is under a name of its own; KUBE-* chains
# are kube-proxy's, which removes them itself.

bridge=dispatch0
chain=DISPATCH-CLUSTER
cgroup=dispatch-cluster

# name=value: the first two so that packets between pods and Services pass through the packet
# filter, the third as a node full of pods watches many files. The rest is what kubelet sets.
wanted_sysctls="net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
    fs.inotify.max_user_instances=1024"
kubelet_sysctls="vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops
    kernel.keys.root_maxkeys kernel.keys.root_maxbytes"

sysctl_path() {
    echo "/proc/sys/${1//.//}"
}

tune_sysctls() {
    local setting name path
    # A module, or built in; without it Services work as well (see proxy_configuration).
    modprobe -q br_netfilter 2>/dev/null || true
    if [ ! -e "$dir/sysctls" ]; then
        for setting in $wanted_sysctls $kubelet_sysctls; do
            name=${setting%%=*}
            path=$(sysctl_path "$name")
            [ -r "$path" ] && echo "$name=$(cat "$path")"
        done >"$dir/sysctls.new"
        mv "$dir/sysctls.new" "$dir/sysctls"
    fi
    for setting in $wanted_sysctls; do
        path=$(sysctl_path "${setting%%=*}")
        [ ! -e "$path" ] || [ "$(cat "$path")" -ge "${setting#*=}" ] ||
            echo "${setting#*=}" >"$path"
    done
}

restore_sysctls() {
    local name value path
    [ -e "$dir/sysctls" ] || return 0
    while IFS='=' read -r name value; do
        path=$(sysctl_path "$name")
        [ "$(cat "$path")" = "$value" ] || echo "$value" >"$path" || true
    done <"$dir/sysctls"
}

# The size of packets that the machine's way out takes.
mtu() {
    local device
    device=$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
    [ -n "$device" ] && cat "/sys/class/net/$device/mtu" || echo 1500
}

raise_bridge() {
    ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" mtu "$(mtu)" type bridge
    ip address replace "$address/17" broadcast + dev "$bridge"
    ip link set "$bridge" up
}

filter() {
    iptables -w 10 "$@"
}

# Another Kubernetes on this machine has a chain of this name too, and keeps it.
note_firewall() {
    [ -e "$dir/firewall-before" ] || [ -e "$dir/sysctls" ] ||
        ! filter -n -L KUBE-FIREWALL >/dev/null 2>&1 || touch "$dir/firewall-before"
}

# Pods may be reached and reach out, whatever the machine's own rules end with.
raise_rules() {
    filter -t nat -n -L $chain >/dev/null 2>&1 && return
    filter -N $chain 2>/dev/null || filter -F $chain
    # A Service that kube-proxy doesn't know yet: nothing outside may answer in its place.
    filter -A $chain -d "$net.128.0/17" -j REJECT
    filter -A $chain -i $bridge -j ACCEPT
    filter -A $chain -o $bridge -j ACCEPT
    filter -C INPUT -i $bridge -j $chain 2>/dev/null || filter -A INPUT -i $bridge -j $chain
    filter -C FORWARD -j $chain 2>/dev/null || filter -A FORWARD -j $chain
    filter -t nat -N $chain
    filter -t nat -A $chain -s "$net.0.0/17" ! -d "$net.0.0/17" ! -o $bridge -j MASQUERADE
    filter -t nat -A POSTROUTING -j $chain
}

# kube-proxy removes its chains, but one, which it takes for kubelet's.
drop_service_rules() {
    local tables
    "$bin/kube-proxy" --cleanup >/dev/null 2>&1
    [ ! -e "$dir/firewall-before" ] || return 0
    for tables in iptables ip6tables; do
        $tables -w 10 -D INPUT -j KUBE-FIREWALL
        $tables -w 10 -D OUTPUT -j KUBE-FIREWALL
        $tables -w 10 -F KUBE-FIREWALL
        $tables -w 10 -X KUBE-FIREWALL
    done
} 2>/dev/null

drop_rules() {
    filter -D INPUT -i $bridge -j $chain
    filter -D FORWARD -j $chain
    filter -F $chain
    filter -X $chain
    filter -t nat -D POSTROUTING -j $chain
    filter -t nat -F $chain
    filter -t nat -X $chain
} 2>/dev/null

# One hierarchy of version 2, or those of version 1 and, on a hybrid machine, both.
cgroup_mounts() {
    local place fstype
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        echo /sys/fs/cgroup
        return
    fi
    while read -r _ place fstype _; do
        [ "$fstype" != cgroup ] || echo "$place"
        # A hybrid one has no controllers, but runc counts pods' processes there as well.
        [ "$fstype" != cgroup2 ] || echo "$place"
    done </proc/mounts
}

# In a container, whose processes are all in the root of its own hierarchy, controllers can be
# passed on only after these have moved to a leaf.
pass_controllers() {
    local mount=$1 controller controllers pid
    controllers=$(cat "$mount/cgroup.controllers")
    for controller in $controllers; do
        echo "+$controller" >"$mount/cgroup.subtree_control" && continue
        mkdir -p "$mount/$cgroup-rest"
        while read -r pid; do
            echo "$pid" >"$mount/$cgroup-rest/cgroup.procs" || true
        done <"$mount/cgroup.procs"
        echo "+$controller" >"$mount/cgroup.subtree_control" || true
    done 2>/dev/null
}

raise_cgroups() {
    local mount file
    for mount in $(cgroup_mounts); do
        [ ! -e "$mount/cgroup.controllers" ] || pass_controllers "$mount"
        mkdir -p "$mount/$cgroup"
        # A new cpuset of version 1 is empty, and takes no process.
        for file in cpuset.cpus cpuset.mems; do
            if [ -e "$mount/cpuset.sched_load_balance" ]; then
                cat "$mount/$file" >"$mount/$cgroup/$file"
            fi
        done
    done
}

pod_processes() {
    local mount
    for mount in $(cgroup_mounts); do
        find "$mount/$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null
    done | sort -un
}

pods_ended() {
    local pids
    pids=$(pod_processes)
    [ -z "$pids" ] && return
    # shellcheck disable=SC2086  # a list of words
    kill -KILL $pids 2>/dev/null
    return 1
}

drop_cgroups() {
    local mount controller controllers pid
    for mount in $(cgroup_mounts); do
        find "$mount/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
        [ -d "$mount/$cgroup-rest" ] || continue
        controllers=$(cat "$mount/cgroup.controllers")
        for controller in $controllers; do
            echo "-$controller" >"$mount/cgroup.subtree_control"
        done 2>/dev/null
        while read -r pid; do
            echo "$pid" >"$mount/cgroup.procs"
        done <"$mount/$cgroup-rest/cgroup.procs" 2>/dev/null
        rmdir "$mount/$cgroup-rest" 2>/dev/null || true
    done
    return 0
}

# Deepest first. What is in use goes with its last user.
drop_mounts() {
    local place
    awk -v "below=$dir/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r place; do
            umount "$place" 2>/dev/null || umount -l "$place"
        done
}

# Pods' network namespaces: as their containers' specifications have it, and as the bridge has.
pod_networks() {
    {
        grep -oh '/run/netns/cni-[0-9a-f-]*' "$dir"/containerd/state/*/k8s.io/*/config.json
        ip -o link show master $bridge |
            sed -n 's|.* link-netns \(cni-[^ ]*\).*|/run/netns/\1|p' || true # it may be gone
    } 2>/dev/null | sort -u
}

drop_networks() {
    local place note container
    for place in "$@"; do
        umount "$place" 2>/dev/null || true
        rm -f "$place"
    done
    # The CNI library's notes on them: two, under the network's and the loopback's name.
    for note in /var/lib/cni/results/dispatch-pods-*-eth0; do
        container=${note##*/dispatch-pods-}
        rm -f "$note" "/var/lib/cni/results/cni-loopback-${container%-eth0}-lo"
    done
    ip link delete $bridge 2>/dev/null || true
}
