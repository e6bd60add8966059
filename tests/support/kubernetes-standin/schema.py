# SPDX-License-Identifier: Apache-2.0
"""Which fields the API server knows of the kinds served here, defaults, and the validation
that a launcher may run into. Unknown fields are dropped with a warning, as it does."""
import re

import status

ANY = None  # not looked into


class Scalar:
    """One of these, or a map of them: anything else can't be read."""

    def __init__(self, name, *kinds, of_map=False):
        self.name, self.kinds, self.of_map = name, kinds, of_map

    def check(self, value, path):
        if self.of_map and isinstance(value, dict):
            for inner in value.values():
                Scalar(self.name, *self.kinds).check(inner, path)
        elif self.of_map or type(value) not in self.kinds:
            found = {str: "string", int: "number", float: "number", bool: "bool",
                     list: "array"}.get(type(value), "object")
            raise WrongType(f"json: cannot unmarshal {found} into Go struct field {path} of "
                            f"type {self.name}")


class WrongType(Exception):
    pass


TEXT = Scalar("string", str)
INTEGER = Scalar("int64", int)
YES_OR_NO = Scalar("bool", bool)
TEXTS = Scalar("string", str, of_map=True)

META = dict.fromkeys("name generateName namespace uid resourceVersion creationTimestamp "
                     "generation labels annotations ownerReferences finalizers managedFields "
                     "deletionTimestamp deletionGracePeriodSeconds selfLink".split(), ANY)
META.update(name=TEXT, namespace=TEXT, uid=TEXT, labels=TEXTS, annotations=TEXTS)
META["ownerReferences"] = [dict.fromkeys("apiVersion kind name uid controller "
                                         "blockOwnerDeletion".split(), ANY)]
KEY_REF = {"name": ANY, "key": ANY, "optional": ANY}
ENV = {"name": TEXT, "value": TEXT,
       "valueFrom": {"secretKeyRef": KEY_REF, "configMapKeyRef": KEY_REF,
                     "fieldRef": {"apiVersion": ANY, "fieldPath": ANY},
                     "resourceFieldRef": {"containerName": ANY, "resource": ANY,
                                          "divisor": ANY}, "fileKeyRef": ANY}}
SECURITY = dict.fromkeys("allowPrivilegeEscalation appArmorProfile privileged procMount "
                         "readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser "
                         "seLinuxOptions windowsOptions".split(), ANY)
SECURITY["capabilities"] = {"add": ANY, "drop": ANY}
SECURITY["seccompProfile"] = {"type": ANY, "localhostProfile": ANY}
CONTAINER = dict.fromkeys("name image command args workingDir ports envFrom resizePolicy "
                          "restartPolicy restartPolicyRules livenessProbe readinessProbe "
                          "startupProbe lifecycle volumeDevices terminationMessagePath "
                          "terminationMessagePolicy imagePullPolicy stdin stdinOnce "
                          "tty".split(), ANY)
CONTAINER.update(
    name=TEXT, image=TEXT, env=[ENV], securityContext=SECURITY,
    resources={"limits": ANY, "requests": ANY, "claims": ANY},
    volumeMounts=[dict.fromkeys("name readOnly recursiveReadOnly mountPath subPath "
                                "mountPropagation subPathExpr".split(), ANY)])
POD_SECURITY = dict.fromkeys("appArmorProfile fsGroup fsGroupChangePolicy runAsGroup "
                             "runAsNonRoot runAsUser seLinuxChangePolicy seLinuxOptions "
                             "supplementalGroups supplementalGroupsPolicy sysctls "
                             "windowsOptions".split(), ANY)
POD_SECURITY["seccompProfile"] = {"type": ANY, "localhostProfile": ANY}
VOLUME = dict.fromkeys("name hostPath gcePersistentDisk awsElasticBlockStore gitRepo secret "
                       "nfs iscsi glusterfs persistentVolumeClaim rbd flexVolume cinder cephfs "
                       "flocker downwardAPI fc azureFile configMap vsphereVolume quobyte "
                       "azureDisk photonPersistentDisk projected portworxVolume scaleIO "
                       "storageos csi ephemeral image".split(), ANY)
VOLUME["emptyDir"] = {"medium": ANY, "sizeLimit": ANY}
POD_SPEC = dict.fromkeys("restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds "
                         "dnsPolicy nodeSelector serviceAccountName serviceAccount "
                         "automountServiceAccountToken nodeName hostNetwork hostPID hostIPC "
                         "shareProcessNamespace imagePullSecrets hostname subdomain affinity "
                         "schedulerName tolerations hostAliases priorityClassName priority "
                         "dnsConfig readinessGates runtimeClassName enableServiceLinks "
                         "preemptionPolicy overhead topologySpreadConstraints setHostnameAsFQDN "
                         "os hostUsers schedulingGates resourceClaims resources "
                         "ephemeralContainers hostnameOverride workloadRef".split(), ANY)
POD_SPEC.update(activeDeadlineSeconds=INTEGER, terminationGracePeriodSeconds=INTEGER,
                restartPolicy=TEXT, nodeSelector=TEXTS)
POD_SPEC.update(containers=[CONTAINER], initContainers=[CONTAINER], volumes=[VOLUME],
                securityContext=POD_SECURITY)
JOB_SPEC = dict.fromkeys("parallelism completions activeDeadlineSeconds podFailurePolicy "
                         "successPolicy backoffLimit backoffLimitPerIndex maxFailedIndexes "
                         "manualSelector ttlSecondsAfterFinished completionMode suspend "
                         "podReplacementPolicy managedBy".split(), ANY)
JOB_SPEC.update(dict.fromkeys("parallelism completions activeDeadlineSeconds backoffLimit "
                              "ttlSecondsAfterFinished".split(), INTEGER), suspend=YES_OR_NO)
JOB_SPEC.update(template={"metadata": META, "spec": POD_SPEC},
                selector={"matchLabels": ANY, "matchExpressions": ANY})
REFERENCE = dict.fromkeys("kind namespace name uid apiVersion resourceVersion "
                          "fieldPath".split(), ANY)
TYPE = {"apiVersion": ANY, "kind": ANY, "metadata": META}
SOURCE = {"component": ANY, "host": ANY}
CORE_EVENT = dict.fromkeys("reason message firstTimestamp lastTimestamp count type eventTime "
                           "action reportingComponent reportingInstance".split(), ANY)
CORE_EVENT.update(TYPE, involvedObject=REFERENCE, related=REFERENCE, source=SOURCE,
                  series={"count": ANY, "lastObservedTime": ANY})
NEW_EVENT = dict.fromkeys("eventTime reportingController reportingInstance action reason note "
                          "type deprecatedFirstTimestamp deprecatedLastTimestamp "
                          "deprecatedCount".split(), ANY)
NEW_EVENT.update(TYPE, regarding=REFERENCE, related=REFERENCE, deprecatedSource=SOURCE,
                 series={"count": ANY, "lastObservedTime": ANY})
FIELDS = {
    ("batch/v1", "Job"): dict(TYPE, spec=JOB_SPEC, status=ANY),
    ("v1", "Pod"): dict(TYPE, spec=POD_SPEC, status=ANY),
    ("v1", "Secret"): dict(TYPE, data=ANY, stringData=ANY, type=ANY, immutable=ANY),
    ("v1", "Event"): CORE_EVENT,
    ("events.k8s.io/v1", "Event"): NEW_EVENT,
}

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}"
                       r"[A-Za-z0-9])?\Z")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([EPTGMk]i?|Ki|m|u|n|e[0-9]+)?\Z")


def prune(fields, value, path, unknown):
    """value without unknown fields, whose paths are added to `unknown`; and without nulls."""
    if isinstance(fields, Scalar):
        fields.check(value, path)
    if isinstance(fields, list) and isinstance(value, list):
        return [prune(fields[0], item, f"{path}[{i}]", unknown)
                for i, item in enumerate(value)]
    if not isinstance(fields, dict) or not isinstance(value, dict):
        return value
    kept = {}
    for name, inner in value.items():
        at = f"{path}.{name}" if path else name
        if name not in fields:
            unknown.append(at)
        elif inner is not None:
            kept[name] = prune(fields[name], inner, at, unknown)
    return kept


def read(api_version, kind, body, validation):
    """(the object, warnings) of a request's body."""
    named = status.KINDS[kind]
    if not isinstance(body, dict):
        raise status.bad_request("the object provided is unrecognized")
    of_kind, of_version = body.get("kind", named), body.get("apiVersion", api_version)
    cannot = f'{of_kind} in version "{of_version.rpartition("/")[2]}" cannot be handled as a ' \
             f"{named}: "
    if of_kind != named or of_version != api_version:
        raise status.bad_request(f'{cannot}no kind "{of_kind}" is registered for version '
                                 f'"{of_version}" in scheme "pkg/runtime/scheme.go:111"')
    unknown = []
    try:
        obj = prune(FIELDS[(api_version, named)], body, "", unknown)
    except WrongType as wrong:
        raise status.bad_request(f"{cannot}{wrong}") from None
    if unknown and validation == "Strict":
        text = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise status.bad_request(f"{cannot}strict decoding error: {text}")
    obj.update(apiVersion=api_version, kind=named)
    obj.setdefault("metadata", {})
    warnings = [] if validation == "Ignore" else [f'unknown field "{at}"' for at in unknown]
    return obj, warnings


# --- Validation ---

def check_meta(meta, causes):
    name = meta.get("name", "")
    if not name:
        causes.append(("FieldValueRequired", "metadata.name",
                       "Required value: name or generateName is required"))
    elif not DNS_NAME.match(name) or len(name) > 253:
        causes.append(("FieldValueInvalid", "metadata.name",
                       f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist '
                       "of lower case alphanumeric characters, '-' or '.', and must start and "
                       "end with an alphanumeric character"))
    check_labels(meta, "metadata.labels", causes)
    for ref in meta.get("ownerReferences") or []:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not ref.get(field):
                causes.append(("FieldValueInvalid", f"metadata.ownerReferences.{field}",
                               'Invalid value: "": must not be empty'))


def check_labels(meta, at, causes):
    rule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end " \
           "with an alphanumeric character"
    for key, value in (meta.get("labels") or {}).items():
        if not LABEL_KEY.match(key):
            causes.append(("FieldValueInvalid", at, f'Invalid value: "{key}": name part {rule}'))
        if len(value) > 63 or not LABEL_VALUE.match(value):
            causes.append(("FieldValueInvalid", at, f'Invalid value: "{value}": a valid label '
                           f"must be an empty string or {rule.removeprefix('must ')}"))


def check_container(container, at, causes):
    for field in ("name", "image"):
        if not container.get(field):
            causes.append(("FieldValueRequired", f"{at}.{field}", "Required value"))
    for i, env in enumerate(container.get("env") or []):
        if not env.get("name"):
            causes.append(("FieldValueRequired", f"{at}.env[{i}].name", "Required value"))
        if env.get("value") and env.get("valueFrom"):
            causes.append(("FieldValueInvalid", f"{at}.env[{i}].valueFrom",
                           'Invalid value: "": may not be specified when `value` is not empty'))
    for section in ("limits", "requests"):
        for name, amount in ((container.get("resources") or {}).get(section) or {}).items():
            if not QUANTITY.match(str(amount)):
                raise status.bad_request(
                    "quantities must match the regular expression "
                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'" + f" ({name})")


def check_job(job, causes):
    template = (job.get("spec") or {}).get("template") or {}
    spec = template.get("spec") or {}
    at = "spec.template.spec"
    check_labels(template.get("metadata") or {}, "spec.template.labels", causes)
    if not spec.get("containers"):
        causes.append(("FieldValueRequired", f"{at}.containers", "Required value"))
    for i, container in enumerate(spec.get("containers") or []):
        check_container(container, f"{at}.containers[{i}]", causes)
    policy = spec.get("restartPolicy")
    if policy not in ("OnFailure", "Never"):
        causes.append(("FieldValueRequired", f"{at}.restartPolicy",
                       'Required value: valid values: "OnFailure", "Never"'))
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for i, container in enumerate(spec.get("containers") or []):
        for j, mount in enumerate(container.get("volumeMounts") or []):
            if mount.get("name") not in volumes:
                causes.append(("FieldValueNotFound",
                               f"{at}.containers[{i}].volumeMounts[{j}].name",
                               f'Not found: "{mount.get("name")}"'))
    for number in ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        value = job.get("spec", {}).get(number, 0)
        if value < 0:
            causes.append(("FieldValueInvalid", f"spec.{number}",
                           f"Invalid value: {value}: must be greater than or equal to 0"))


def check_event(event, causes):
    regarding = event.get("involvedObject", {})
    if regarding.get("namespace", "default") != event["metadata"].get("namespace"):
        causes.append(("FieldValueInvalid", "involvedObject.namespace",
                       f'Invalid value: "{regarding.get("namespace", "")}": does not match '
                       "event.namespace"))
    if not event.get("eventTime"):
        return
    for field, limit in (("reportingComponent", 253), ("reportingInstance", 128),
                         ("action", 128), ("reason", 128)):
        if not event.get(field):
            causes.append(("FieldValueRequired", field, "Required value"))
        elif len(event[field]) > limit:
            causes.append(("FieldValueInvalid", field,
                           f"Invalid value: can have at most {limit} characters"))
    if event.get("type") not in ("Normal", "Warning"):
        causes.append(("FieldValueInvalid", "type",
                       f'Invalid value: "{event.get("type", "")}": has invalid value'))
    if len(event.get("message", "")) > 1024:
        causes.append(("FieldValueInvalid", "message",
                       "Invalid value: can have at most 1024 characters"))


def check(kind, obj):
    causes = []
    check_meta(obj["metadata"], causes)
    if kind == "jobs":
        check_job(obj, causes)
    elif kind == "events":
        check_event(obj, causes)
    if causes:
        raise status.invalid(kind, obj["metadata"].get("name", ""), causes)


MUTABLE_JOB_SPEC = ("parallelism", "activeDeadlineSeconds", "backoffLimit", "suspend",
                    "ttlSecondsAfterFinished", "maxFailedIndexes")


def check_pod_update(name, before, after):
    field = "activeDeadlineSeconds"
    old, new = before.get(field), after.get(field)
    if old is not None and (new is None or new > old):
        raise status.invalid("pods", name, [(
            "FieldValueInvalid", f"spec.{field}",
            f"Invalid value: {new}: must be less than or equal to previous value")])
    if {**before, field: 0} != {**after, field: 0}:
        raise status.invalid("pods", name, [(
            "FieldValueForbidden", "spec",
            "Forbidden: pod updates may not change fields other than "
            "`spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
            "was previously negative)")])


def check_update(kind, before, after):
    name = before["metadata"]["name"]
    for field in ("uid", "creationTimestamp", "namespace", "name"):
        if after["metadata"].get(field) != before["metadata"].get(field):
            raise status.invalid(kind, name, [(
                "FieldValueInvalid", f"metadata.{field}",
                f'Invalid value: "{after["metadata"].get(field)}": field is immutable')])
    if kind == "pods":
        check_pod_update(name, before["spec"], after["spec"])
    if kind != "jobs":
        return
    for field in sorted(set(before["spec"]) | set(after["spec"])):
        changed = before["spec"].get(field) != after["spec"].get(field)
        if not changed or field in MUTABLE_JOB_SPEC:
            continue
        if field == "template" and before["spec"].get("suspend") \
                and "startTime" not in before.get("status", {}):
            continue  # what an admission queue does
        raise status.invalid(kind, name, [("FieldValueInvalid", f"spec.{field}",
                                           "Invalid value: {...}: field is immutable")])


# --- Defaults ---

def default_container(container):
    image = container.get("image", "")
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")


def default_job(job):
    """What is set once the name and uid are known."""
    spec, meta = job["spec"], job["metadata"]
    for field, value in (("manualSelector", False), ("parallelism", 1), ("completions", 1),
                         ("backoffLimit", 6), ("completionMode", "NonIndexed"),
                         ("suspend", False), ("podReplacementPolicy", "TerminatingOrFailed")):
        spec.setdefault(field, value)
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("", "batch.kubernetes.io/"):
        labels[prefix + "controller-uid"] = meta["uid"]
        labels[prefix + "job-name"] = meta["name"]
    if not meta.get("labels"):
        meta["labels"] = dict(labels)
    pod = spec["template"]["spec"]
    for field, value in (("dnsPolicy", "ClusterFirst"), ("schedulerName", "default-scheduler"),
                         ("securityContext", {}), ("terminationGracePeriodSeconds", 30)):
        pod.setdefault(field, value)
    for container in pod["containers"] + pod.get("initContainers", []):
        default_container(container)
    job["status"] = {}
