# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Part of hack/cluster: etcd, the API server, the controllers and the scheduler.

# A cluster for tests may lose its data with the machine, so etcd needn't wait for the disk.
start_etcd() {
    start etcd "$bin/etcd" --name=etcd --data-dir="$dir/etcd" --unsafe-no-fsync \
        --log-level=warn --snapshot-count=10000 --quota-backend-bytes=4294967296 \
        --listen-client-urls="https://$address:2379" \
        --advertise-client-urls="https://$address:2379" \
        --listen-peer-urls="https://$address:2380" \
        --initial-advertise-peer-urls="https://$address:2380" \
        --initial-cluster="etcd=https://$address:2380" \
        --client-cert-auth --trusted-ca-file="$pki/etcd.crt" \
        --cert-file="$pki/etcd-server.crt" --key-file="$pki/etcd-server.key" \
        --peer-client-cert-auth --peer-trusted-ca-file="$pki/etcd.crt" \
        --peer-cert-file="$pki/etcd-server.crt" --peer-key-file="$pki/etcd-server.key"
}

etcd_ready() {
    answers "https://$address:2379/health" --cacert "$pki/etcd.crt" \
        --cert "$pki/etcd-client.crt" --key "$pki/etcd-client.key"
}

start_apiserver() {
    local flags=()
    # An address of the loopback network is nothing to tell pods, of which there are none.
    [ "$mode" = control-plane ] && flags+=(--endpoint-reconciler-type=none)
    start apiserver "$bin/kube-apiserver" "${flags[@]}" \
        --bind-address="$address" --advertise-address="$address" --secure-port=6443 \
        --cert-dir="$pki" --client-ca-file="$pki/cluster.crt" \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --etcd-servers="https://$address:2379" --etcd-cafile="$pki/etcd.crt" \
        --etcd-certfile="$pki/etcd-client.crt" --etcd-keyfile="$pki/etcd-client.key" \
        --kubelet-certificate-authority="$pki/cluster.crt" \
        --kubelet-client-certificate="$pki/apiserver-kubelet.crt" \
        --kubelet-client-key="$pki/apiserver-kubelet.key" \
        --kubelet-preferred-address-types=InternalIP \
        --proxy-client-cert-file="$pki/front-client.crt" \
        --proxy-client-key-file="$pki/front-client.key" \
        --requestheader-client-ca-file="$pki/front.crt" \
        --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User \
        --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$pki/service-accounts.pub" \
        --service-account-signing-key-file="$pki/service-accounts.key" \
        --service-cluster-ip-range="$net.128.0/17" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --allow-privileged
}

apiserver_ready() {
    answers "https://$address:6443/readyz" --cacert "$pki/cluster.crt"
}

# The controllers' own limits of 20 requests a second would be what a test of many Jobs measures.
start_controller-manager() {
    start controller-manager "$bin/kube-controller-manager" \
        --kubeconfig="$dir/etc/controller-manager.kubeconfig" \
        --authentication-kubeconfig="$dir/etc/controller-manager.kubeconfig" \
        --authorization-kubeconfig="$dir/etc/controller-manager.kubeconfig" \
        --bind-address="$address" --cert-dir="$pki" --leader-elect=false \
        --service-account-private-key-file="$pki/service-accounts.key" \
        --root-ca-file="$pki/cluster.crt" --use-service-account-credentials \
        --requestheader-client-ca-file="$pki/front.crt" \
        --flex-volume-plugin-dir="$dir/volume-plugins" \
        --kube-api-qps=200 --kube-api-burst=400
}

controller-manager_ready() {
    answers "https://$address:10257/healthz" --insecure
}

start_scheduler() {
    start scheduler "$bin/kube-scheduler" --kubeconfig="$dir/etc/scheduler.kubeconfig" \
        --authentication-kubeconfig="$dir/etc/scheduler.kubeconfig" \
        --authorization-kubeconfig="$dir/etc/scheduler.kubeconfig" \
        --bind-address="$address" --cert-dir="$pki" --leader-elect=false \
        --kube-api-qps=200 --kube-api-burst=400
}

scheduler_ready() {
    answers "https://$address:10259/healthz" --insecure
}
