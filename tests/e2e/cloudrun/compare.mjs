// SPDX-License-Identifier: Apache-2.0
// compare.mjs MODULES REQUESTS SCHEMA: holds what dispatchd sent in a session, what the stand-in
// answered, and the stand-in's table of fields to Google's protos: verb, path, the name and type of
// each field. Prints a row for each method with the fields that were seen.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const [modules, requestsFile, schemaFile] = process.argv.slice(2);
const require = createRequire(path.join(modules, 'package.json'));
const protobuf = require('protobufjs');

// Operations of Cloud Run: the HTTP rule is in the service's configuration, and its client's.
const OPERATIONS = { verb: 'GET', path: '/v2/{name=projects/*/locations/*/operations/*}' };
const PACKAGES = [['@google-cloud/run', 'google.cloud.run.v2'],
    ['@google-cloud/secret-manager', 'google.cloud.secretmanager.v1'],
    ['@google-cloud/logging', 'google.logging.v2']];
const NOT_PROTO = ['/token', '/computeMetadata/'];
const problems = [];

const roots = new Map(PACKAGES.map(([module, name]) => [name, protobuf.Root.fromJSON(
    JSON.parse(fs.readFileSync(path.join(modules, 'node_modules', module,
        'build/protos/protos.json'))))]));

// --- Methods ---

const camel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());

// "/v2/{name=projects/*/jobs/*}:run" as a pattern that knows its variable.
function patternOf(template) {
    const variable = /\{([a-z_.]+)(?:=([^}]*))?\}/.exec(template);
    const source = template.replace(/\{[a-z_.]+(?:=([^}]*))?\}/, (_, shape) => shape || '*')
        .replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*\*/g, '.+')
        .replace(/(?<!\.)\*/g, '[^/:]+');
    return { regexp: new RegExp(`^${source}$`), variable: variable && variable[1] };
}

function bindingsOf(method) {
    const found = [];
    for (const option of method.parsedOptions || []) {
        const rule = option['(google.api.http)'];
        for (const one of rule ? [rule, ...[rule.additionalBindings
            || rule.additional_bindings || []].flat()] : []) {
            for (const verb of ['get', 'post', 'patch', 'delete', 'put']) {
                if (one[verb])
                    found.push({ verb: verb.toUpperCase(), body: one.body,
                        ...patternOf(one[verb]) });
            }
        }
    }
    return found;
}

function methodsOf(root, namespace) {
    const found = [];
    for (const service of root.lookup(namespace).nestedArray) {
        if (!(service instanceof protobuf.Service))
            continue;
        for (const method of service.methodsArray) {
            method.resolve();
            for (const binding of bindingsOf(method))
                found.push({ name: `${service.name}.${method.name}`, method, ...binding,
                    request: method.resolvedRequestType, answer: method.resolvedResponseType });
        }
    }
    return found;
}

const methods = [...roots].flatMap(([namespace, root]) => methodsOf(root, namespace));
const runRoot = roots.get('google.cloud.run.v2');
methods.push({ name: 'Operations.GetOperation', verb: OPERATIONS.verb,
    ...patternOf(OPERATIONS.path),
    request: runRoot.lookupType('google.longrunning.GetOperationRequest'),
    answer: runRoot.lookupType('google.longrunning.Operation') });

// --- Values ---

const NUMBERS = { int32: 'number', uint32: 'number', double: 'number', float: 'number' };
const WIDE = ['int64', 'uint64', 'fixed64', 'sint64'];

// What is wrong with `value` as the JSON of this type; null.
function scalarProblem(type, value) {
    if (type === 'string')
        return typeof value === 'string' ? null : 'a string';
    if (type === 'bool')
        return typeof value === 'boolean' ? null : 'true or false';
    if (type === 'bytes')
        return typeof value === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(value) ? null : 'base64';
    if (NUMBERS[type])
        return typeof value === 'number' ? null : 'a number';
    if (WIDE.includes(type))
        return typeof value === 'string' && /^-?\d+$/.test(value) ? null : 'a number in a string';
    return `a ${type}, which nobody checks`;
}

const KNOWN = {
    '.google.protobuf.Duration': (value) => /^-?\d+(\.\d{1,9})?s$/.test(value),
    '.google.protobuf.Timestamp': (value) =>
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value),
    '.google.protobuf.Struct': (value) => typeof value === 'object' && value !== null,
    '.google.protobuf.Value': () => true,
    '.google.protobuf.Empty': (value) => Object.keys(value).length === 0,
};

function checkOne(field, value, where, seen) {
    const type = field.resolvedType;
    if (type instanceof protobuf.Enum) {
        if (!(value in type.values))
            problems.push(`${where}: ${JSON.stringify(value)} is none of ${type.name}`);
    } else if (type) {
        checkMessage(type, value, where, seen);
    } else {
        const problem = scalarProblem(field.type, value);
        if (problem)
            problems.push(`${where}: expected ${problem}, not ${JSON.stringify(value)}`);
    }
}

function checkField(field, value, where, seen) {
    if (field.map) {
        for (const [key, item] of Object.entries(value))
            checkOne(field, item, `${where}[${key}]`, null);
    } else if (field.repeated) {
        if (!Array.isArray(value))
            problems.push(`${where}: expected a list`);
        else
            value.forEach((item) => checkOne(field, item, where, seen));
    } else {
        checkOne(field, value, where, seen);
    }
}

function checkAny(value, where) {
    const typeName = String(value['@type']).replace('type.googleapis.com/', '');
    const { '@type': _, ...rest } = value;
    const type = runRoot.lookup(typeName);
    if (type instanceof protobuf.Type)
        checkMessage(type, rest, `${where}(${type.name})`, null);
    else
        problems.push(`${where}: there is no ${typeName}`);
}

function checkMessage(type, value, where, seen) {
    if (KNOWN[type.fullName]) {
        if (!KNOWN[type.fullName](value))
            problems.push(`${where}: ${JSON.stringify(value)} is no ${type.name}`);
        return;
    }
    if (type.fullName === '.google.protobuf.Any') {
        checkAny(value, where);
        return;
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        problems.push(`${where}: expected an object`);
        return;
    }
    const fields = new Map(type.fieldsArray.map((field) => [camel(field.name), field.resolve()]));
    for (const [key, item] of Object.entries(value)) {
        const field = fields.get(key);
        const here = where ? `${where}.${key}` : key;
        if (!field) {
            problems.push(`${here}: ${type.name} has no such field`);
            continue;
        }
        if (seen && !(field.resolvedType instanceof protobuf.Type
                      && !KNOWN[field.resolvedType.fullName]))
            seen.add(here);
        checkField(field, item, here, seen);
    }
}

// --- Requests ---

function methodOf(request) {
    return methods.find((one) => one.verb === request.method && one.regexp.test(request.path));
}

function checkQuery(method, request, seen) {
    const fields = new Map(method.request.fieldsArray.map((f) => [camel(f.name), f]));
    for (const [key, value] of Object.entries(request.query)) {
        const field = fields.get(key);
        if (!field)
            problems.push(`${method.name}?${key}: ${method.request.name} has no such field`);
        else if (field.type === 'int32' && !/^\d+$/.test(value))
            problems.push(`${method.name}?${key}: expected a number`);
        seen.add(`?${key}`);
    }
}

function checkBody(method, request, seen) {
    const body = request.body;
    if (!method.body) {
        if (body !== null)
            problems.push(`${method.name}: has no body`);
        return;
    }
    if (body === null) {
        problems.push(`${method.name}: a body is missing`);
        return;
    }
    const type = method.body === '*' ? method.request
        : method.request.fields[method.body].resolve().resolvedType;
    checkMessage(type, body, '', seen);
}

function checkVariable(method) {
    let type = method.request;
    for (const part of (method.variable || '').split('.').filter(Boolean)) {
        const field = type && type.fields[part];
        if (!field)
            problems.push(`${method.name}: ${type && type.name} has no ${part}`);
        type = field && field.resolve().resolvedType;
    }
}

function checkRequests(requests) {
    const rows = new Map();
    for (const request of requests) {
        if (NOT_PROTO.some((start) => request.path.startsWith(start)))
            continue;
        const method = methodOf(request);
        if (!method) {
            problems.push(`${request.method} ${request.path}: there is no such method`);
            continue;
        }
        const row = rows.get(method.name) || { method, times: 0, seen: new Set() };
        rows.set(method.name, row);
        row.times += 1;
        checkVariable(method);
        checkQuery(method, request, row.seen);
        checkBody(method, request, row.seen);
        if (request.answer && request.answer.error === undefined)
            checkMessage(method.answer, request.answer, `${method.name} answers`, null);
    }
    return rows;
}

// --- The stand-in's own table ---

function kindOf(field) {
    const type = field.resolve().resolvedType;
    let kind = field.type;
    if (type instanceof protobuf.Enum)
        kind = 'enum';
    else if (type)
        kind = type.fullName.replace(/^\.google\.(cloud\.run\.v2|cloud\.secretmanager\.v1|logging\.v2|protobuf)\./, '');
    return JSON.stringify(field.map ? { '': kind } : field.repeated ? [kind] : kind);
}

function typeNamed(name) {
    for (const [namespace, root] of roots) {
        const type = root.lookup(`${namespace}.${name}`);
        if (type instanceof protobuf.Type)
            return type;
    }
    return null;
}

function checkSchema(schema) {
    let count = 0;
    for (const [name, fields] of Object.entries(schema)) {
        const type = typeNamed(name);
        if (!type) {
            problems.push(`schema.py: there is no message ${name}`);
            continue;
        }
        const known = new Map(type.fieldsArray.map((field) => [camel(field.name), field]));
        for (const [key, kind] of Object.entries(fields)) {
            count += 1;
            if (!known.has(key))
                problems.push(`schema.py: ${name} has no ${key}`);
            else if (kindOf(known.get(key)) !== JSON.stringify(kind))
                problems.push(`schema.py: ${name}.${key} is ${kindOf(known.get(key))}`);
        }
    }
    return count;
}

// --- The table ---

function print(rows) {
    let fields = 0;
    console.log('  method                                 times  verb and fields');
    for (const [name, row] of [...rows].sort()) {
        fields += row.seen.size;
        const words = [row.method.verb, ...[...row.seen].sort()];
        let line = '';
        const lines = [];
        for (const word of words) {
            if (line.length + word.length > 70) {
                lines.push(line);
                line = '';
            }
            line += (line ? ' ' : '') + word;
        }
        lines.push(line);
        console.log(`  ${name.padEnd(38)} ${String(row.times).padStart(5)}  ${lines[0]}`);
        lines.slice(1).forEach((more) => console.log(`${' '.repeat(50)}${more}`));
    }
    return fields;
}

const rows = checkRequests(JSON.parse(fs.readFileSync(requestsFile)));
const ofTable = checkSchema(JSON.parse(fs.readFileSync(schemaFile)));
const fields = print(rows);
for (const problem of new Set(problems))
    console.log(`  DIFFERS  ${problem}`);
console.log(`dispatchd's calls: ${rows.size} methods, ${fields} fields held to the protos; the `
    + `stand-in: ${ofTable} fields, and its answers; ${new Set(problems).size} differ`);
process.exit(problems.length ? 1 : 0);
