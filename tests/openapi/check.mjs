// SPDX-License-Identifier: Apache-2.0
// node check.mjs MODULES LOG...
//
// Reads request logs of tests/support/github-standin and holds each request body that was sent
// and each answer that was given to GitHub's OpenAPI document. A status that GitHub doesn't
// document for a route is a failure, save those in EVERYWHERE. Requests that a test made wrong
// on purpose are known by the 4xx that they got: only the answer counts then.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, ...logs] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const Ajv = require("ajv").default;
const addFormats = require("ajv-formats").default;
const github = require("@octokit/openapi/generated/api.github.com.json");

const METHODS = ["get", "post", "put", "patch", "delete"];
// Any route may answer these; GitHub's document names them only here and there.
const EVERYWHERE = {
    400: "#/components/schemas/basic-error",
    401: "#/components/schemas/basic-error",
    403: "#/components/schemas/basic-error",
    404: "#/components/schemas/basic-error",
    429: "#/components/schemas/basic-error",
    500: "#/components/schemas/basic-error",
    503: "#/components/schemas/basic-error",
};

// OpenAPI 3.0 allows "nullable" beside anyOf and friends; ajv knows it only beside "type".
function spellOutNullable(at) {
    for (const [key, value] of Object.entries(at)) {
        if (typeof value !== "object" || value === null) continue;
        spellOutNullable(value);
        if (value.nullable !== true || value.type) continue;
        const { nullable: _, ...rest } = value;
        at[key] = { anyOf: [rest, { type: "null" }] };
    }
}
spellOutNullable(github.paths);
spellOutNullable(github.components);

const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
addFormats(ajv);
ajv.addFormat("repo.nwo", /^[^/]+\/[^/]+$/);
ajv.addSchema(github, "gh");

const escape = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");
const pointer = (...keys) => "#/" + keys.map(escape).join("/");
const compiled = new Map();

function validator(ref) {
    if (!compiled.has(ref)) compiled.set(ref, ajv.compile({ $ref: "gh" + encodeURI(ref) }));
    return compiled.get(ref);
}

// What is wrong with a value, as sentences.
function complaints(ref, value) {
    const valid = validator(ref);
    if (valid(value)) return [];
    return valid.errors.slice(0, 5).map((e) => `${e.instancePath || "/"} ${e.message}`);
}

// The document's paths with fewer parameters come first: /repos/{o}/{r}/pulls/comments wins
// over /repos/{o}/{r}/pulls/{pull_number}.
const routes = Object.keys(github.paths)
    .map((path) => ({ path, parts: path.split("/") }))
    .sort((a, b) => a.path.split("{").length - b.path.split("{").length);

function findRoute(path) {
    const parts = path.split("/");
    const fits = (route) =>
        route.parts.length === parts.length &&
        route.parts.every((part, i) => part === parts[i] || (part.startsWith("{") && parts[i]));
    return routes.find(fits)?.path;
}

// The schema's place in the document behind `content`, or undefined. Follows a $ref once.
function contentSchema(holder, keys, type) {
    if (holder?.$ref) {
        keys = holder.$ref.slice(2).split("/");
        holder = keys.reduce((at, key) => at[key], github);
    }
    return holder?.content?.[type]?.schema && pointer(...keys, "content", type, "schema");
}

function checkRequest(entry, route, method, operation) {
    if (entry.status >= 400 || !entry.body) return [];
    if (!operation.requestBody) return ["a body where GitHub's document has none"];
    const keys = ["paths", route, method, "requestBody"];
    const ref = contentSchema(operation.requestBody, keys, "application/json");
    let body;
    try {
        body = JSON.parse(entry.body);
    } catch {
        return ["the request's body isn't JSON"];
    }
    // The document lets unknown members pass; what we send, we mean.
    const known = operation.requestBody.content["application/json"].schema.properties ?? {};
    const unknown = Object.keys(body).filter((name) => !(name in known));
    return [
        ...complaints(ref, body).map((c) => `request ${c}`),
        ...unknown.map((name) => `request has a member that GitHub doesn't know: ${name}`),
    ];
}

function checkAnswer(entry, route, method, operation) {
    const type = (entry.response_headers["Content-Type"] ?? "").split(";")[0];
    if (type.endsWith("diff")) return entry.response_body.startsWith("diff ") ? [] : ["no diff"];
    if (type !== "application/json") return [`answer has the type ${type}`];
    const keys = ["paths", route, method, "responses", String(entry.status)];
    const ref =
        contentSchema(operation.responses[entry.status], keys, type) ?? EVERYWHERE[entry.status];
    if (!ref) return [`GitHub's document has no ${entry.status} here`];
    return complaints(ref, JSON.parse(entry.response_body)).map((c) => `answer ${c}`);
}

const table = new Map();
let passed = 0;
let failed = 0;

function count(name, problems) {
    const row = table.get(name) ?? { passed: 0, failed: 0 };
    row[problems.length ? "failed" : "passed"]++;
    table.set(name, row);
    if (problems.length) failed++;
    else passed++;
    for (const problem of problems) console.log(`${name}: ${problem}`);
}

function checkEntry(entry) {
    // git's requests and those that were dropped have no answer in the log.
    if (entry.response_body === undefined || entry.response_truncated) return;
    const path = entry.path.split("?")[0].replace(/^\/api\/v3/, "");
    if (/\/(info\/refs|git-(upload|receive)-pack)$/.test(path)) return;
    const method = entry.method.toLowerCase();
    const route = findRoute(path);
    const operation = METHODS.includes(method) && route && github.paths[route][method];
    if (!operation) {
        const unknown = entry.status === 404 ? [] : ["GitHub's document doesn't have this route"];
        count(`${entry.method} ${path}`, unknown);
        return;
    }
    count(`${entry.method} ${route} ${entry.status}`, [
        ...checkRequest(entry, route, method, operation),
        ...checkAnswer(entry, route, method, operation),
    ]);
}

for (const log of logs)
    for (const line of readFileSync(log, "utf8").split("\n")) if (line) checkEntry(JSON.parse(line));

for (const name of [...table.keys()].sort()) {
    const row = table.get(name);
    console.log(`${row.failed ? "FAIL" : "ok  "} ${String(row.passed + row.failed).padStart(5)}  ${name}`);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed || !passed ? 1 : 0);
