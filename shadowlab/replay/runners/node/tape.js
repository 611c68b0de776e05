// Answer outbound HTTP from the request's own ordered tape: below every client that is built on http, https or fetch.
'use strict';

const { createHash } = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const { Duplex } = require('node:stream');

const HOP = new Set(['content-encoding', 'transfer-encoding', 'content-length', 'connection', 'keep-alive']);
const NO_BODY = new Set([101, 204, 205, 304]);

class Tape {
  constructor(clock) {
    this.clock = clock;
    this.insert([]);
  }

  insert(calls) {
    this.calls = [...calls].sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    this.used = this.calls.map(() => false);
    this.log = [];
    this.unrecorded = [];
  }

  unused() {
    return this.calls.filter((_, at) => !this.used[at]).map((call) => `${call.method} ${bare(call.url)}`);
  }

  // The recorded call that this one stands for: same method, URL and body first, then method and URL in order.
  answer(method, url, body) {
    const digest = createHash('sha256').update(body).digest('hex');
    const same = this.calls
      .map((call, at) => [call, at])
      .filter(([call, at]) => !this.used[at] && call.method.toUpperCase() === method && alike(call.url, url));
    const [call, at] = same.find(([one]) => one.request_body_sha256 === digest) ?? same[0] ?? [null, -1];
    const entry = { method, url, body_sha256: digest };
    if (call === null) {
      this.unrecorded.push(`nothing was recorded for ${method} ${bare(url)}; nearest: ${this.nearest(method, url)}`);
      this.log.push({ ...entry, status: null, unrecorded: true });
      return null;
    }
    this.used[at] = true;
    this.log.push({ ...entry, status: call.status ?? null, error: call.error?.type ?? null });
    return call;
  }

  nearest(method, url) {
    if (!this.calls.length) return 'the recording holds no outbound call';
    const ranked = this.calls
      .map((call, at) => ({ call, used: this.used[at], parts: differing(call, method, url) }))
      .sort((a, b) => a.parts.length + a.used * 0.5 - (b.parts.length + b.used * 0.5));
    return ranked
      .slice(0, 3)
      .map(({ call, used, parts }) => {
        const why = [parts.length ? `${parts.join(' and ')} differ` : '', used ? 'used already' : ''].filter(Boolean);
        return `${call.method.toUpperCase()} ${bare(call.url)} (${why.join('; ')})`;
      })
      .join(', ');
  }

  install() {
    for (const [module, scheme] of [[http, 'http'], [https, 'https']]) {
      module.Agent.prototype.createConnection = (options, ready) => {
        const socket = this.connected(scheme, options);
        if (ready) process.nextTick(ready, null, socket);
        return ready ? undefined : socket;
      };
    }
    globalThis.fetch = (input, init) => this.fetched(new Request(input, init));
  }

  // One end of a line whose other end answers from the tape.
  connected(scheme, options) {
    const [near, far] = pair();
    near.encrypted = near.authorized = scheme === 'https';
    const server = http.createServer({ keepAlive: true }, (request, response) => this.serve(scheme, near, request, response));
    server.emit('connection', far);
    process.nextTick(() => near.emit(scheme === 'https' ? 'secureConnect' : 'connect'));
    return near;
  }

  serve(scheme, near, request, response) {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const call = this.answer(request.method, `${scheme}://${request.headers.host}${request.url}`, Buffer.concat(parts));
      if (call === null) return near.destroy(broken({ type: 'ECONNREFUSED', message: `shadowlab: ${this.unrecorded.at(-1)}` }));
      return setTimeout(() => {
        if (call.error) return near.destroy(broken(call.error));
        response.sendDate = false;
        response.writeHead(call.status, headers(call).flat());
        return response.end(request.method === 'HEAD' ? undefined : content(call));
      }, call.elapsed_ms ?? 0);
    });
  }

  async fetched(request) {
    const body = Buffer.from(await request.arrayBuffer());
    const call = this.answer(request.method, request.url, body);
    const failed = call === null ? { type: 'ECONNREFUSED', message: `shadowlab: ${this.unrecorded.at(-1)}` } : call.error;
    await new Promise((resolve) => setTimeout(resolve, call?.elapsed_ms ?? 0));
    if (failed) throw new TypeError('fetch failed', { cause: broken(failed) });
    const response = new Response(NO_BODY.has(call.status) ? null : content(call), { status: call.status, headers: headers(call) });
    Object.defineProperty(response, 'url', { value: request.url });
    return response;
  }
}

// Two streams, each reading what is written into the other.
function pair() {
  const ends = [];
  for (const at of [0, 1]) {
    const end = new Duplex({
      allowHalfOpen: true,
      read() {},
      write(chunk, encoding, done) {
        process.nextTick(() => { if (!ends[1 - at].destroyed) ends[1 - at].push(chunk); done(); });
      },
      final(done) { process.nextTick(() => { if (!ends[1 - at].destroyed) ends[1 - at].push(null); done(); }); },
    });
    const self = () => end;
    Object.assign(end, { setTimeout: self, setNoDelay: self, setKeepAlive: self, ref: self, unref: self,
      remoteAddress: '127.0.0.1', remotePort: 50000, localPort: 80, getPeerCertificate: () => ({}) });
    ends.push(end);
  }
  return ends;
}

function broken(failure) {
  const code = /^E[A-Z_]+$/.test(failure.type) ? failure.type : undefined;
  return Object.assign(new Error(failure.message ?? ''), code ? { code } : { name: failure.type.split('.').at(-1) });
}

function bare(url) {
  const parts = new URL(url);
  return `${parts.protocol}//${parts.host}${parts.pathname}`;
}

function alike(recorded, url) {
  if (recorded === url || new URL(recorded).href === new URL(url).href) return true;
  // A query that was redacted when it was recorded cannot be compared: the path decides.
  return recorded.includes('redacted') && bare(recorded) === bare(url);
}

function differing(call, method, url) {
  const [theirs, ours] = [new URL(call.url), new URL(url)];
  const pairs = { method: [call.method.toUpperCase(), method], host: [theirs.host, ours.host],
    path: [theirs.pathname, ours.pathname], query: [theirs.search, ours.search] };
  return Object.keys(pairs).filter((name) => pairs[name][0] !== pairs[name][1]);
}

// The body was recorded decoded, so what describes its transfer must go.
const headers = (call) => (call.headers ?? []).filter(([name]) => !HOP.has(name.toLowerCase()));

function content({ body, body_encoding: encoding }) {
  switch (encoding) {
    case 'json': return Buffer.from(JSON.stringify(body));
    case 'utf-8': return Buffer.from(String(body));
    case 'base64': return Buffer.from(String(body), 'base64');
    default: return Buffer.alloc(0);
  }
}

module.exports = { Tape, content, pair };
