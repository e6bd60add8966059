# SPDX-License-Identifier: Apache-2.0
"""Installing: the overlays, what dispatchd may do, what a run's pod may."""
import json

from installation import DEV, OVERLAY, PRODUCTION, check
from kubectl import OUTSIDE, RUNS, SYSTEM, attempt, find, get, kubectl
from parts import wait_for
from restarts import dispatchd_pod

# Stands for the Prometheus operator's, so that the production overlay can be shown to the API
# server as a whole.
SERVICE_MONITORS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: servicemonitors.monitoring.coreos.com
  labels: {app.kubernetes.io/part-of: dispatch-e2e}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: ServiceMonitor, plural: servicemonitors}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


def dev_overlay(installation):
    """One command is the whole installation, without any Secret."""
    kubectl("apply", "-k", DEV)
    installation.wait_ready()
    ready = get("deployment", "dispatchd", namespace=SYSTEM)["status"]["readyReplicas"]
    check(ready == 1, f"{ready} replicas are ready")
    kubectl("apply", "-k", DEV)
    differs = attempt("diff", "-k", DEV)
    check(differs.code == 0, f"applied twice, and still differs: {differs.out}{differs.err}")
    return "ready after `kubectl apply -k`, and unchanged by a second one"


def with_settings(installation):
    """An operator's own overlay on top of it."""
    installation.apply(OVERLAY)
    installation.ready_github()
    installation.make_token()
    status, health = installation.client.call("http://dispatchd.dispatch.svc/health")
    check(status == 200 and health["status"] == "healthy", f"health: {status} {health}")
    return "healthy, reached through the Service"


def hardened(installation):
    """Both namespaces enforce `restricted`, and dispatchd writes nothing but its disk."""
    for name in (SYSTEM, RUNS):
        labels = get("namespace", name)["metadata"]["labels"]
        check(labels.get("pod-security.kubernetes.io/enforce") == "restricted", f"{labels}")
    pod = dispatchd_pod()
    container = pod["spec"]["containers"][0]
    check(container["securityContext"]["readOnlyRootFilesystem"], f"{container}")
    check(pod["status"]["containerStatuses"][0]["restartCount"] == 0, f"restarted: {pod['status']}")
    refused = attempt("-n", RUNS, "run", "root", "--image=x", "--dry-run=server")
    check("violates PodSecurity" in refused.err, f"an unconfined pod: {refused.out}{refused.err}")
    return "an unconfined pod is refused, dispatchd's root is read-only"


def production_overlay(_):
    """The API server takes it as a whole."""
    mine = not find("crd", "servicemonitors.monitoring.coreos.com")
    if mine:
        kubectl("apply", "-f", "-", text=SERVICE_MONITORS)
        kubectl("wait", "--for=condition=Established", "crd",
                "servicemonitors.monitoring.coreos.com", "--timeout=120s")
    try:
        taken = wait_for("the API server knows ServiceMonitors", lambda: (
            lambda done: None if "no matches for kind" in done.err else done)(
                attempt("apply", "--dry-run=server", "-k", PRODUCTION)), every_s=1)
    finally:
        if mine:
            kubectl("delete", "-f", "-", text=SERVICE_MONITORS)
    check(taken.code == 0, taken.err)
    check("violate" not in taken.err, taken.err)
    for kind in ("ingress", "servicemonitor", "networkpolicy", "poddisruptionbudget"):
        check(kind in taken.out, f"no {kind} in it: {taken.out}")
    return f"{len(taken.out.splitlines())} objects are accepted"


def rules_of(account):
    """What an account may do in the namespace of runs, as a set of (verb, group/resource)."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
              "spec": {"namespace": RUNS}}
    answer = json.loads(kubectl("create", "-f", "-", "-o", "json", f"--as={account}",
                                "--validate=false", text=json.dumps(review)))["status"]
    return {(verb, f"{group}/{resource}") for rule in answer["resourceRules"]
            for verb in rule["verbs"] for group in rule.get("apiGroups", [""])
            for resource in rule["resources"]}


def rights(_):
    """What the ServiceAccount may beyond what any account may: the Role, and no more."""
    account = f"system:serviceaccount:{SYSTEM}:dispatchd"
    nobody = f"system:serviceaccount:{RUNS}:dispatch-runner"
    listed = kubectl("auth", "can-i", "--list", f"--as={account}", "-n", RUNS)
    print("\n".join(f"        {line}" for line in listed.splitlines() if "[]  " in line
                    and not line.startswith(" ")))
    more = rules_of(account) - rules_of(nobody)
    role = get("role", "dispatchd", namespace=RUNS)
    allowed = {(verb, f"{group}/{resource}") for rule in role["rules"] for verb in rule["verbs"]
               for group in rule["apiGroups"] for resource in rule["resources"]}
    check(more == allowed, f"beyond the Role: {more - allowed}; not granted: {allowed - more}")
    for verb in ("get", "list", "watch", "update", "patch", "delete"):
        for where in (RUNS, SYSTEM):
            answer = attempt("auth", "can-i", verb, "secrets", f"--as={account}", "-n", where)
            check(answer.out.strip() == "no", f"may {verb} secrets in {where}")
    for verb, what in (("create", "pods"), ("delete", "pods"), ("create", "pods/exec"),
                       ("get", "nodes"), ("create", "serviceaccounts/token")):
        answer = attempt("auth", "can-i", verb, what, f"--as={account}", "-n", RUNS)
        check(answer.out.strip() == "no", f"may {verb} {what}")
    return f"{len(more)} rights, each in the Role; secrets can't be read"


PROBE = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": RUNS},
         "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False,
                  "securityContext": {"runAsNonRoot": True, "runAsUser": 65532,
                                      "seccompProfile": {"type": "RuntimeDefault"}},
                  "containers": [{
                      "name": "probe", "image": "localhost/dispatch-e2e-runner:0.1.0",
                      "command": ["sleep", "600"],
                      "securityContext": {"allowPrivilegeEscalation": False,
                                          "capabilities": {"drop": ["ALL"]}}}]}}


def network(_):
    """What a run's pod reaches. Whether policies are enforced is the cluster's business: said."""
    kubectl("apply", "-f", "-", text=json.dumps(PROBE))
    try:
        kubectl("-n", RUNS, "wait", "--for=condition=Ready", "pod/probe", "--timeout=180s")
        server = get("service", "kubernetes", namespace="default")["spec"]["clusterIP"]
        for name, port in (("dispatchd.dispatch.svc", 80), ("github.dispatch-e2e.svc", 80)):
            wait_for(f"a run's pod reaches {name}", lambda n=name, p=port: reaches(n, p), every_s=1)
        open_ones = [name for name, port in ((server, 443), ("169.254.169.254", 80))
                     if reaches(name, port)]
    finally:
        kubectl("-n", RUNS, "delete", "pod", "probe", "--now", "--wait=false")
    policies = len(get("networkpolicies", namespace=RUNS))
    if server in open_ones:
        return (f"{policies} policies are there and NOT ENFORCED: this cluster's network lets a "
                f"run's pod reach {', '.join(open_ones)}")
    check(not open_ones, f"a run's pod reaches {open_ones}")
    return f"{policies} policies, ENFORCED: no API server, no metadata for a run's pod"


def reaches(host, port):
    return attempt("-n", RUNS, "exec", "probe", "--", "timeout", "3", "bash", "-c",
                   f"</dev/tcp/{host}/{port}").code == 0


def removed(installation):
    """`kubectl delete -k` leaves nothing behind."""
    installation.client.stop()
    kubectl("delete", "-k", OVERLAY, "--wait", "--ignore-not-found", timeout_s=300)
    left = [name for name in (SYSTEM, RUNS, OUTSIDE) if find("namespace", name)]
    left += [each["metadata"]["name"] for kind in ("priorityclasses", "clusterroles")
             for each in get(kind) if each["metadata"]["name"].startswith("dispatch")]
    check(not left, f"left: {left}")
    return "no namespace, no priority class"


FIRST = [dev_overlay, with_settings, hardened, production_overlay, rights, network]
LAST = [removed]
