# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Part of hack/cluster: the node: containerd, kubelet, kube-proxy, and the image of the pods'
# first process.

pause_image=localhost/dispatch-pause:1
runtime_socket=$dir/containerd/socket

# Overlays can't be stacked on everything, for instance not on a container's own.
snapshotter() {
    local probe=$dir/containerd/probe
    mkdir -p "$probe"/{lower,upper,work,merged}
    if mount -t overlay overlay "$probe/merged" 2>/dev/null \
        -o "lowerdir=$probe/lower,upperdir=$probe/upper,workdir=$probe/work"; then
        umount "$probe/merged"
        echo overlayfs
    else
        echo native
    fi
    rm -rf "$probe"
}

# restrict_oom_score_adj: where this machine's processes may not lower theirs, runc would fail.
runtime_configuration() {
    mkdir -p "$dir/containerd" "$dir/cni"
    cat >"$dir/etc/containerd.toml" <<TOML
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "$runtime_socket"
[plugins."io.containerd.internal.v1.opt"]
path = "$dir/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$pause_image"
restrict_oom_score_adj = true
disable_apparmor = true
tolerate_missing_hugetlb_controller = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$cni_plugins"
conf_dir = "$dir/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "$(snapshotter)"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "$(command -v runc)"
Root = "$dir/containerd/runc"
SystemdCgroup = false
TOML
    cat >"$dir/cni/pods.conflist" <<JSON
{
    "cniVersion": "0.4.0", "name": "dispatch-pods",
    "plugins": [{
        "type": "bridge", "bridge": "$bridge", "isGateway": true, "hairpinMode": true,
        "mtu": $(mtu),
        "ipam": {
            "type": "host-local", "dataDir": "$dir/cni/addresses",
            "ranges": [[{"subnet": "$net.0.0/17", "gateway": "$address"}]],
            "routes": [{"dst": "0.0.0.0/0"}]
        }
    }]
}
JSON
}

start_containerd() {
    [ -e "$dir/etc/containerd.toml" ] || runtime_configuration
    start containerd containerd --config "$dir/etc/containerd.toml"
}

runtime() {
    ctr --address "$runtime_socket" --namespace k8s.io "$@"
}

containerd_ready() {
    runtime version
}

# What keeps a container's pipes: one for each pod, known by the socket it was told. With its
# containers gone it is of no more use, and outlives containerd.
end_shims() {
    local found pid
    found=$(grep -lzxF -e "$runtime_socket" /proc/[0-9]*/cmdline 2>/dev/null || true)
    for pid in $found; do
        pid=${pid#/proc/}
        kill -KILL "${pid%/cmdline}" 2>/dev/null || true
    done
}

# A docker archive is a few files, written here without any builder.
import_pause_image() {
    local scratch=$dir/pause layer
    runtime images ls -q | grep -qxF "$pause_image" && return
    mkdir -p "$scratch/root"
    "${CC:-cc}" -static -Os -s -o "$scratch/root/pause" "$components/pause.c"
    tar -C "$scratch/root" --owner=0 --group=0 --numeric-owner -cf "$scratch/layer.tar" pause
    layer=$(sha256sum "$scratch/layer.tar" | cut -d ' ' -f 1)
    cat >"$scratch/config.json" <<JSON
{"architecture": "$(dpkg --print-architecture)", "os": "linux",
 "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}}
JSON
    cat >"$scratch/manifest.json" <<JSON
[{"Config": "config.json", "RepoTags": ["$pause_image"], "Layers": ["layer.tar"]}]
JSON
    tar -C "$scratch" -cf "$scratch/image.tar" manifest.json config.json layer.tar
    runtime images import "$scratch/image.tar" >/dev/null
    rm -rf "$scratch"
}

# The machine's name servers, without those that only the machine itself can reach.
resolver_configuration() {
    local file
    for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
        if grep -Eq '^nameserver +[^1]|^nameserver +1([^2]|2[^7])' "$file" 2>/dev/null; then
            grep -Ev '^nameserver +(127\.|::1)' "$file"
            return
        fi
    done
    echo "# this machine has no name server that a pod could ask"
}

# A node for tests is not to empty itself because the disk it shares is nearly full, nor to throw
# away images that come from no registry.
kubelet_configuration() {
    resolver_configuration >"$dir/etc/resolv.conf"
    cat >"$dir/etc/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $address
healthzBindAddress: $address
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: $pki/cluster.crt
authorization:
  mode: Webhook
tlsCertFile: $pki/kubelet-server.crt
tlsPrivateKeyFile: $pki/kubelet-server.key
containerRuntimeEndpoint: unix://$runtime_socket
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
makeIPTablesUtilChains: false
clusterDomain: cluster.local
clusterDNS: [$net.128.10]
resolvConf: $dir/etc/resolv.conf
podLogsDir: $dir/pod-logs
volumePluginDir: $dir/volume-plugins
maxPods: 500
kubeAPIQPS: 200
kubeAPIBurst: 400
eventRecordQPS: 200
eventBurst: 400
evictionHard:
  memory.available: 50Mi
  nodefs.available: 1%
  nodefs.inodesFree: 1%
  imagefs.available: 1%
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
YAML
}

start_kubelet() {
    [ -e "$dir/etc/kubelet.yaml" ] || kubelet_configuration
    start kubelet "$bin/kubelet" --config="$dir/etc/kubelet.yaml" --root-dir="$dir/kubelet" \
        --kubeconfig="$dir/etc/kubelet.kubeconfig" --cert-dir="$dir/kubelet/pki" \
        --hostname-override="$node" --node-ip="$address"
}

kubelet_ready() {
    answers "http://$address:10248/healthz"
}

# What passes between two ports of a bridge is seen by the packet filter only with br_netfilter;
# without it, answers find back to a Service only by way of the machine's own address.
proxy_configuration() {
    local detour=false
    [ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)" = 1 ] || detour=true
    cat >"$dir/etc/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: $node
bindAddress: $address
healthzBindAddress: $address:10256
metricsBindAddress: $address:10249
clusterCIDR: $net.0.0/17
detectLocalMode: ClusterCIDR
oomScoreAdj: 0
clientConnection:
  kubeconfig: $dir/etc/proxy.kubeconfig
iptables:
  localhostNodePorts: false
  masqueradeAll: $detour
  minSyncPeriod: 100ms
conntrack:
  maxPerCore: 0
  tcpEstablishedTimeout: 0s
  tcpCloseWaitTimeout: 0s
YAML
}

start_proxy() {
    [ -e "$dir/etc/proxy.yaml" ] || proxy_configuration
    start proxy "$bin/kube-proxy" --config="$dir/etc/proxy.yaml"
}

proxy_ready() {
    answers "http://$address:10256/healthz"
}
