// Replay one recorded request of a Node.js service: hold the seams, load the service, ask once, tell what came of it.
// The contract (files, environment, the outcome on descriptor 3) is in docs/runners.md.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { syncBuiltinESMExports } = require('node:module');
const { pathToFileURL } = require('node:url');
const { Chance } = require('./chance.js');
const { Clock } = require('./clock.js');
const { Host } = require('./host.js');
const { Tape, content, pair } = require('./tape.js');

const environment = process.env;
const tree = environment.SHADOWLAB_TREE;
const places = [[environment.SHADOWLAB_WORK, '<work>'], [tree, '<tree>']];
const outcome = Number(environment.SHADOWLAB_OUTCOME_FD);
const entrypoint = environment.SHADOWLAB_ENTRYPOINT;
const recording = JSON.parse(fs.readFileSync(environment.SHADOWLAB_RECORDING, 'utf8'));
const atNs = BigInt(environment.SHADOWLAB_TIME_NS);
const seed = environment.SHADOWLAB_SEED;
const realCpu = process.cpuUsage.bind(process);
const realExit = process.reallyExit.bind(process);
for (const name of Object.keys(environment).filter((one) => one.startsWith('SHADOWLAB_'))) delete environment[name];

const clock = new Clock();
const chance = new Chance();
const tape = new Tape(clock);
const host = new Host();
const answer = { status: null, headers: [], parts: [], error: null, ended: false };

function text(value) {
  const known = places.reduce((text, [place, name]) => text.replaceAll(place, name), String(value));
  return known.slice(0, 20000);
}

function frames(error) {
  const found = String(error?.stack ?? '').split('\n').flatMap((line) => {
    const [, name, file, at] = /^\s+at (?:async )?(?:(.+?) \()?(?:file:\/\/)?(\/.+?):(\d+):\d+\)?$/.exec(line) ?? [];
    if (!file?.startsWith(`${tree}/`) || file.includes('/node_modules/')) return [];
    return [{ file: file.slice(tree.length + 1), function: name ?? '<anonymous>', line: Number(at) }];
  });
  return found.reverse();
}

function failure(thrown) {
  const error = thrown instanceof Error ? thrown : Object.assign(new Error(String(thrown)), { stack: '' });
  const causes = [];
  for (let cause = error.cause; cause instanceof Error && causes.length < 10; cause = cause.cause) {
    causes.push({ type: cause.name, message: text(cause.message) });
  }
  return { type: error.name, message: text(error.message), frames: frames(error), causes };
}

async function found() {
  const [file, name] = entrypoint.split(':');
  const base = path.join(tree, file);
  const place = [base, `${base}.js`, `${base}.cjs`, `${base}.mjs`, path.join(base, 'index.js')]
    .find((one) => fs.statSync(one, { throwIfNoEntry: false })?.isFile());
  if (!place) throw new Error(`entrypoint ${entrypoint}: there is no module ${file}`);
  const module = await import(pathToFileURL(place));
  const app = [module[name], module.default?.[name], name === 'default' ? undefined : module.default]
    .find((one) => one !== undefined && one !== null);
  if (!app) throw new Error(`entrypoint ${entrypoint}: ${file} exports no ${name}`);
  return app;
}

// What a Node.js service exports, as a listener of requests: an Express app, a Koa or Fastify one, a server, a function.
async function listener(app) {
  if (app instanceof http.Server) return (request, response) => app.emit('request', request, response);
  if (typeof app.ready === 'function' && app.routing) {
    await app.ready();
    return app.routing;
  }
  if (typeof app.callback === 'function') return app.callback();
  if (typeof app !== 'function') throw new Error(`entrypoint ${entrypoint} is nothing that can be asked`);
  if (typeof app.use === 'function') {
    // Express calls it for an error that no handler of the service has answered.
    app.use((error, request, response, next) => { answer.error = error; next(error); });
  }
  return app;
}

function heard(app) {
  return (request, response) => {
    const keep = (chunk, encoding) => {
      if (chunk && typeof chunk !== 'function') {
        answer.parts.push(Buffer.from(chunk, typeof encoding === 'string' ? encoding : undefined));
      }
    };
    const { write, end } = response;
    response.write = function wrote(...words) { keep(...words); return write.apply(this, words); };
    response.end = function ended(...words) { keep(...words); return end.apply(this, words); };
    const close = () => {
      if (answer.ended) return;
      answer.ended = true;
      answer.status = response.statusCode;
      answer.headers = Object.entries(response.getHeaders()).flatMap(([name, value]) =>
        (Array.isArray(value) ? value : [value]).map((one) => [name.toLowerCase(), text(one)]));
    };
    response.on('finish', close);
    response.on('close', close);
    // A listener that is no framework's may throw, or return a promise that does.
    Promise.resolve().then(() => app(request, response)).catch((error) => thrown(error, response));
  };
}

function thrown(error, response) {
  answer.error ??= error;
  if (response && !response.headersSent) response.writeHead(500);
  if (response && !response.writableEnded) response.end();
  answer.ended ||= !response;
}

function raw({ method, path: asked, query, headers = [], ...rest }) {
  const body = content(rest);
  const kept = headers.filter(([name]) => !/^(content-length|transfer-encoding|connection|expect)$/i.test(name));
  if (!kept.some(([name]) => name.toLowerCase() === 'host')) kept.unshift(['host', '127.0.0.1']);
  if (body.length) kept.push(['content-length', String(body.length)]);
  const head = [`${method.toUpperCase()} ${asked}${query ? `?${query}` : ''} HTTP/1.1`, ...kept.map(([name, value]) => `${name}: ${value}`),
    'connection: close', '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

function tell(document) {
  const bytes = Buffer.from(JSON.stringify(document));
  for (let at = 0; at < bytes.length;) at += fs.writeSync(outcome, bytes, at);
  realExit(0);
}

const SEAMS = [
  ['clock', 'controlled', 'Date stands at the recorded time; timers pass in virtual time; Intl without a date asks the machine'],
  ['randomness', 'controlled', 'seeded from rand_seed: Math.random, crypto.randomBytes, randomUUID, randomInt, getRandomValues'],
  ['network', 'controlled', 'http, https and fetch answered from the request\'s own tape; sockets and look-ups refused'],
  ['files', 'unknown', 'the sandbox lets the tree and its packages be read; times of files are the machine\'s'],
  ['threads', 'controlled', 'one thread for the service, one for its files; workers of its own are named'],
  ['processes', 'controlled', 'none can be started'],
  ['tasks', 'controlled', 'the event loop\'s own order; other orders are not looked for'],
  ['native code', 'unknown', 'clocks and randomness that addons read by themselves are not seen'],
];

async function main() {
  Error.stackTraceLimit = 200;
  clock.install();
  chance.install();
  host.install();
  tape.install();
  syncBuiltinESMExports();
  process.on('uncaughtException', (error) => thrown(error, answer.response));
  process.on('unhandledRejection', (error) => thrown(error, answer.response));
  let app;
  let loaded = false;
  let failed = null;
  found().then(listener).then((one) => { app = one; }, (error) => { failed = error; }).finally(() => { loaded = true; });
  await clock.run(() => loaded);
  if (failed) return tell({ failed: text(failed.stack ?? failed), seams: [] });
  clock.set(atNs, recording.monotonic_ns === null || recording.monotonic_ns === undefined ? 10n ** 12n : BigInt(recording.monotonic_ns));
  chance.seed(seed);
  tape.insert(recording.outbound ?? []);
  const before = realCpu();
  const server = http.createServer(heard(app));
  server.on('request', (request, response) => { answer.response = response; });
  const [near, far] = pair();
  server.emit('connection', far);
  near.resume();
  near.write(raw(recording.request));
  try {
    await clock.run(() => answer.ended);
    // What the service does after its answer belongs to the request: a second of virtual time.
    await clock.run(() => false, { withinNs: 10n ** 9n });
  } catch (error) {
    failed = error;
  }
  const cpu = realCpu(before);
  return tell({
    failed: failed && text(failed.message),
    status: answer.status,
    headers: answer.headers,
    body: Buffer.from(places.reduce((text, [place, name]) => text.replaceAll(place, name), Buffer.concat(answer.parts).toString('latin1')), 'latin1').toString('base64'),
    error: answer.error === null ? null : failure(answer.error),
    outbound: tape.log,
    unrecorded: tape.unrecorded,
    unused: tape.unused(),
    events: host.counted(),
    readings: { clock: clock.readings, randomness: chance.drawn, outbound: tape.log.length },
    seams: SEAMS.map(([seam, control, how]) => ({ seam, control, how })),
    cpu_ms: (cpu.user + cpu.system) / 1000,
  });
}

main().catch((error) => tell({ failed: text(error.stack ?? error), seams: [] }));
