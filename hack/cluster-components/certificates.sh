# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Part of hack/cluster: certificates and kubeconfigs. Three authorities, as each lets in to
# something else: the API server and kubelet, what stands behind the API server, and etcd.

openssl_quiet() {
    local output
    output=$(openssl "$@" 2>&1) || {
        echo "$output" >&2
        die "openssl failed"
    }
}

# What each certificate may be used for is said by the caller, nothing comes from the system's
# openssl.cnf.
issue() {
    local name=$1
    shift
    openssl_quiet req -x509 -config <(printf '[req]\ndistinguished_name = dn\n[dn]\n') \
        -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -keyout "$pki/$name.key" -out "$pki/$name.crt" "$@"
}

authority() {
    issue "$1" -subj "/CN=$1" -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign
}

# certificate AUTHORITY NAME USE SUBJECT [ALTERNATIVE NAMES]
certificate() {
    issue "$2" -CA "$pki/$1.crt" -CAkey "$pki/$1.key" -subj "$4" \
        -addext basicConstraints=CA:FALSE -addext keyUsage=critical,digitalSignature \
        -addext "extendedKeyUsage=$3" ${5:+-addext "subjectAltName=$5"}
}

certificates() {
    [ -e "$pki/complete" ] && return
    local kubernetes=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc
    kubernetes+=,DNS:kubernetes.default.svc.cluster.local,DNS:localhost
    authority cluster
    authority front
    authority etcd
    certificate etcd etcd-server serverAuth,clientAuth /CN=etcd "IP:$address"
    certificate etcd etcd-client clientAuth /CN=kube-apiserver
    certificate front front-client clientAuth /CN=front-proxy-client
    certificate cluster apiserver serverAuth /CN=kube-apiserver \
        "$kubernetes,IP:$address,IP:$net.128.1"
    certificate cluster apiserver-kubelet clientAuth /O=system:masters/CN=kube-apiserver
    certificate cluster admin clientAuth /O=system:masters/CN=admin
    certificate cluster controller-manager clientAuth /CN=system:kube-controller-manager
    certificate cluster scheduler clientAuth /CN=system:kube-scheduler
    certificate cluster proxy clientAuth /CN=system:kube-proxy
    certificate cluster kubelet clientAuth "/O=system:nodes/CN=system:node:$node"
    certificate cluster kubelet-server serverAuth "/CN=$node" "DNS:$node,IP:$address"
    openssl_quiet genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 \
        -out "$pki/service-accounts.key"
    openssl_quiet pkey -in "$pki/service-accounts.key" -pubout -out "$pki/service-accounts.pub"
    touch "$pki/complete"
}

# kubeconfig CERTIFICATE FILE
kubeconfig() {
    (umask 077 && cat >"$2") <<YAML
apiVersion: v1
kind: Config
current-context: dispatch-cluster
contexts:
- name: dispatch-cluster
  context:
    cluster: dispatch-cluster
    user: $1
clusters:
- name: dispatch-cluster
  cluster:
    server: https://$address:6443
    certificate-authority-data: $(base64 -w 0 "$pki/cluster.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w 0 "$pki/$1.crt")
    client-key-data: $(base64 -w 0 "$pki/$1.key")
YAML
}

kubeconfigs() {
    local user
    for user in controller-manager scheduler proxy kubelet; do
        kubeconfig $user "$dir/etc/$user.kubeconfig"
    done
    kubeconfig admin "$dir/kubeconfig"
}
