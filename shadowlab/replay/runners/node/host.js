// A host of no name, and an outside world that cannot be reached: attempts are refused and written down.
'use strict';

const childProcess = require('node:child_process');
const dns = require('node:dns');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const dgram = require('node:dgram');
const workers = require('node:worker_threads');

class Host {
  constructor() {
    this.events = new Map();
  }

  note(seam, what, refused) {
    const key = JSON.stringify([seam, String(what).slice(0, 200), refused]);
    if (this.events.has(key) || this.events.size < 200) this.events.set(key, (this.events.get(key) ?? 0) + 1);
  }

  counted() {
    return [...this.events].map(([key, times]) => [...JSON.parse(key), times]);
  }

  refused(seam, what, code = 'EPERM') {
    this.note(seam, what, true);
    return Object.assign(new Error(`a replay may not ${what}`), { code });
  }

  install() {
    const fixed = (value) => () => value;
    Object.assign(os, { hostname: fixed('shadowlab'), loadavg: fixed([0, 0, 0]), freemem: fixed(2 ** 30),
      totalmem: fixed(2 ** 31), uptime: fixed(1000), networkInterfaces: fixed({}), availableParallelism: fixed(1),
      cpus: fixed([{ model: 'shadowlab', speed: 1000, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }]),
      userInfo: fixed({ uid: 1000, gid: 1000, username: 'shadowlab', homedir: os.homedir(), shell: null }) });
    for (const [name, value] of [['pid', 4242], ['ppid', 1]]) Object.defineProperty(process, name, { value });
    process.cpuUsage = fixed({ user: 0, system: 0 });
    process.memoryUsage = Object.assign(fixed({ rss: 2 ** 26, heapTotal: 2 ** 25, heapUsed: 2 ** 24, external: 0, arrayBuffers: 0 }),
      { rss: fixed(2 ** 26) });
    for (const name of ['getuid', 'geteuid', 'getgid', 'getegid']) process[name] = fixed(1000);
    this.network();
    this.processes();
    this.folders();
  }

  network() {
    const host = this;
    net.Socket.prototype.connect = function connect(...words) {
      const target = typeof words[0] === 'object' && words[0] ? words[0] : { port: words[0], host: words[1] };
      const first = Array.isArray(target) ? target[0] : target;
      const error = host.refused('network', `connect to ${first.path ?? `${first.host ?? 'localhost'}:${first.port}`}`, 'ECONNREFUSED');
      process.nextTick(() => this.destroy(error));
      return this;
    };
    net.Server.prototype.listen = function listen(...words) {
      const ready = words.find((word) => typeof word === 'function');
      process.nextTick(() => { this.emit('listening'); ready?.call(this); });
      return this;
    };
    net.Server.prototype.address = () => ({ address: '127.0.0.1', family: 'IPv4', port: 80 });
    dgram.Socket.prototype.send = dgram.Socket.prototype.bind = function bind() {
      throw host.refused('network', 'use datagrams');
    };
    for (const owner of [dns, dns.Resolver.prototype]) {
      for (const name of Object.getOwnPropertyNames(owner).filter((one) => /^(lookup|resolve|reverse)/.test(one))) {
        owner[name] = (what, ...rest) => {
          const error = host.refused('network', `look up ${what}`, 'EAI_AGAIN');
          process.nextTick(rest.pop(), error);
        };
      }
    }
    for (const name of Object.keys(dns.promises).filter((one) => /^(lookup|resolve|reverse)/.test(one))) {
      dns.promises[name] = async (what) => { throw host.refused('network', `look up ${what}`, 'EAI_AGAIN'); };
    }
  }

  processes() {
    for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']) {
      childProcess[name] = (what) => { throw this.refused('processes', `start ${String(what).split(' ')[0]}`); };
    }
    const host = this;
    workers.Worker = class extends workers.Worker {
      constructor(...words) {
        super(...words);
        host.note('threads', 'a worker of its own', false);
      }
    };
  }

  // Folders are listed in order of names.
  folders() {
    const order = (found) => found.sort((a, b) => ((a.name ?? a) < (b.name ?? b) ? -1 : 1));
    const { readdir, readdirSync } = fs;
    const promised = fs.promises.readdir;
    fs.readdirSync = (...words) => order(readdirSync(...words));
    fs.readdir = (...words) => {
      const done = words.pop();
      readdir(...words, (error, found) => done(error, found && order(found)));
    };
    fs.promises.readdir = async (...words) => order(await promised(...words));
    // access(2) asks without the one capability by which root's replays read the tree; stat(2) does not.
    fs.existsSync = (place) => { try { return Boolean(fs.statSync(place)); } catch { return false; } };
    fs.accessSync = (place) => { fs.statSync(place); };
    fs.access = (place, ...words) => fs.stat(place, (error) => words.at(-1)(error ?? null));
    fs.promises.access = async (place) => { await fs.promises.stat(place); };
  }
}

module.exports = { Host };
