// SPDX-License-Identifier: Apache-2.0
// client.mjs MODULES PORT TOKEN: Google's own clients drive the stand-in over REST, through all
// that dispatchd uses of it. Whatever they can't read, or read otherwise than it was meant, is a
// fault of the stand-in.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, port, token] = process.argv.slice(2);
const require = createRequire(path.join(modules, 'package.json'));
const { ExecutionsClient, JobsClient, TasksClient } = require('@google-cloud/run').v2;
const { SecretManagerServiceClient } = require('@google-cloud/secret-manager').v1;
const { LoggingServiceV2Client } = require('@google-cloud/logging').v2;

// Each client brings a google-gax, and with it the kind of authClient it takes.
function made(Client, module) {
    const near = createRequire(require.resolve(module));
    const { OAuth2Client } = createRequire(near.resolve('google-gax'))('google-auth-library');
    const authClient = new OAuth2Client();
    authClient.setCredentials({ access_token: token, expiry_date: Date.now() + 3600000 });
    return new Client({ authClient, fallback: true, protocol: 'http', projectId: 'acme',
        apiEndpoint: '127.0.0.1', port: Number(port) });
}

const jobs = made(JobsClient, '@google-cloud/run');
const executions = made(ExecutionsClient, '@google-cloud/run');
const tasks = made(TasksClient, '@google-cloud/run');
const secrets = made(SecretManagerServiceClient, '@google-cloud/secret-manager');
const logging = made(LoggingServiceV2Client, '@google-cloud/logging');

const parent = 'projects/acme/locations/europe-west1';
const name = `${parent}/jobs/google`;
let steps = 0;

function step(what, condition = true) {
    assert.ok(condition, what);
    steps += 1;
    console.log(`  ${what}`);
}

// The transport throws before the client reads the google.rpc.Status: it is in the cause.
async function refusedAs(status, what, promise) {
    const error = await promise.then(() => null, (failed) => failed);
    const said = JSON.parse(error?.cause?.message || '{}').error;
    step(`${what}: ${status}`, said && said.status === status && said.code === error.code);
}

async function finished([operation]) {
    const [result] = await operation.promise();
    return result;
}

const script = (words) => ({ name: 'STANDIN_SCRIPT', value: JSON.stringify(words) });
const overrides = (words, env = []) => ({ taskCount: 1, timeout: { seconds: 60 },
    containerOverrides: [{ env: [script(words), ...env] }] });

async function aboutTheJob() {
    const job = { template: { taskCount: 1, template: { retries: 'maxRetries', maxRetries: 0,
        timeout: { seconds: 600 }, containers: [{ image: 'example.com/runner:1' }] } } };
    const created = await finished(await jobs.createJob({ parent, job, jobId: 'google' }));
    step('jobs.create: the operation ends with the Job', created.name === name);
    const [got] = await jobs.getJob({ name });
    step('jobs.get: maxRetries is 0', got.template.template.maxRetries === 0);
    step('jobs.get: the timeout is a Duration', Number(got.template.template.timeout.seconds) === 600);
    job.template.template.timeout = { seconds: 700 };
    const updated = await finished(await jobs.updateJob({ job: { name, etag: got.etag, ...job } }));
    step('jobs.patch: what was changed has changed',
        Number(updated.template.template.timeout.seconds) === 700);
    await refusedAs('NOT_FOUND', 'jobs.get of one that isn\'t there',
        jobs.getJob({ name: `${parent}/jobs/none` }));
    await refusedAs('ALREADY_EXISTS', 'jobs.create of one that is there',
        jobs.createJob({ parent, job, jobId: 'google' }));
}

async function aboutExecutions() {
    const [operation] = await jobs.runJob({ name, overrides: overrides({ run_ms: 300 },
        [{ name: 'DISPATCH_RUN_ID', value: 'x' }]) });
    step('jobs.run: the operation names the execution at once', operation.metadata.name);
    const [done] = await operation.promise();
    step('jobs.run: the operation ends with it', done.succeededCount === 1);
    const env = done.template.containers[0].env;
    step('an execution shows the environment of its override',
        env.some((one) => one.name === 'DISPATCH_RUN_ID' && one.value === 'x'));
    const completed = done.conditions.find((one) => one.type === 'Completed');
    step('its condition Completed has succeeded', String(completed.state) === 'CONDITION_SUCCEEDED'
        || completed.state === 4);
    step('it has times', Number(done.completionTime.seconds) >= Number(done.startTime.seconds));

    const failed = await finished(await jobs.runJob({ name, overrides: overrides({ exit: 3 }) }));
    step('one that fails says so', failed.failedCount === 1);
    const [its] = await tasks.listTasks({ parent: failed.name });
    step('tasks.list: the exit code is there', its[0].lastAttemptResult.exitCode === 3);

    const [listed] = await executions.listExecutions({ parent: name, pageSize: 1 });
    step('executions.list: page by page, the newest first',
        listed.length === 2 && listed[0].name === failed.name && listed[1].name === done.name);
    const [one] = await executions.getExecution({ name: done.name });
    step('executions.get', one.uid === done.uid);
    return done;
}

async function aboutEnds(done) {
    const [running] = await jobs.runJob({ name, overrides: overrides({ run_ms: 600000 }) });
    await refusedAs('FAILED_PRECONDITION', 'executions.delete of one that runs',
        executions.deleteExecution({ name: running.metadata.name }));
    const cancelled = await finished(
        await executions.cancelExecution({ name: running.metadata.name }));
    step('executions.cancel: it ends cancelled', cancelled.cancelledCount === 1);
    await refusedAs('FAILED_PRECONDITION', 'executions.cancel of one that has ended',
        executions.cancelExecution({ name: done.name }));
    await finished(await executions.deleteExecution({ name: done.name }));
    await refusedAs('NOT_FOUND', 'executions.get of one that was deleted',
        executions.getExecution({ name: done.name }));
    const [left] = await executions.listExecutions({ parent: name });
    step('executions.list is without it', left.length === 2);
    return left[1];
}

async function aboutLogs(execution) {
    const [entries] = await logging.listLogEntries({ resourceNames: ['projects/acme'],
        orderBy: 'timestamp desc', filter: 'resource.type="cloud_run_job" AND '
            + `labels."run.googleapis.com/execution_name"="${execution.name.split('/').pop()}"` },
    { autoPaginate: false });
    step('entries.list: what it wrote', entries[0].textPayload === 'started');
    await refusedAs('INVALID_ARGUMENT', 'entries.list by half a filter',
        logging.listLogEntries({ resourceNames: ['projects/acme'], filter: 'a=' }));
}

async function aboutSecrets() {
    const secret = 'projects/acme/secrets/google';
    const [created] = await secrets.createSecret({ parent: 'projects/acme', secretId: 'google',
        secret: { replication: { automatic: {} }, ttl: { seconds: 600 } } });
    step('secrets.create', created.name === secret);
    await secrets.addSecretVersion({ parent: secret, payload: { data: Buffer.from('hush') } });
    const [version] = await secrets.accessSecretVersion({ name: `${secret}/versions/latest` });
    step('versions.access: the value comes back', Buffer.from(version.payload.data).toString() === 'hush');
    await secrets.deleteSecret({ name: secret });
    await refusedAs('NOT_FOUND', 'versions.access of a secret that was deleted',
        secrets.accessSecretVersion({ name: `${secret}/versions/latest` }));
}

await aboutTheJob();
const kept = await aboutEnds(await aboutExecutions());
await aboutLogs(kept);
await aboutSecrets();
await finished(await jobs.deleteJob({ name }));
await refusedAs('NOT_FOUND', 'jobs.get of one that was deleted', jobs.getJob({ name }));
console.log(`Google's clients against the stand-in: ${steps} steps`);
