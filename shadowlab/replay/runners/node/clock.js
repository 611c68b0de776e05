// Virtual time: the wall stands still until a timer is due; monotonic clocks tick a microsecond a reading.
'use strict';

const timersModule = require('node:timers');
const timersPromises = require('node:timers/promises');

const RealDate = Date;
const realImmediate = setImmediate;
const BOOT_NS = 1_577_836_800n * 10n ** 9n;
const QUIET_ROUNDS = 4;
const STUCK_MS = 500;
const BUSY = /Req|ConnectWrap|WriteWrap|ShutdownWrap/;
const realNow = performance.now.bind(performance);

class Clock {
  constructor() {
    this.wall = BOOT_NS;
    this.monotonic = 10n ** 12n;
    this.readings = 0;
    this.timers = [];
    this.made = 0;
    this.working = 0;
  }

  now() {
    this.readings += 1;
    return Number(this.wall / 1_000_000n);
  }

  tick() {
    this.readings += 1;
    this.monotonic += 1000n;
    return this.monotonic;
  }

  advance(ns) {
    if (ns > 0n) {
      this.wall += ns;
      this.monotonic += ns;
    }
  }

  // Go to the time of a recording; timers that were set at start keep what they had left.
  set(wall, monotonic) {
    const moved = (monotonic ?? this.monotonic) - this.monotonic;
    for (const timer of this.timers) timer.due += moved;
    this.wall = wall;
    this.monotonic += moved;
  }

  install() {
    const clock = this;
    const now = () => clock.now();
    const Fake = new Proxy(RealDate, {
      construct: (target, args, made) =>
        Reflect.construct(target, args.length ? args : [now()], made === Fake ? target : made),
      apply: () => new RealDate(now()).toString(),
      get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
    });
    RealDate.prototype.constructor = Fake;
    globalThis.Date = Fake;
    const hrtime = (before) => {
      const at = clock.tick();
      const parts = [Number(at / 10n ** 9n), Number(at % 10n ** 9n)];
      if (!before) return parts;
      const ns = BigInt(parts[0] - before[0]) * 10n ** 9n + BigInt(parts[1] - before[1]);
      return [Number(ns / 10n ** 9n), Number(ns % 10n ** 9n)];
    };
    hrtime.bigint = () => clock.tick();
    process.hrtime = hrtime;
    process.uptime = () => Number(clock.tick()) / 1e9;
    performance.now = () => Number(clock.tick()) / 1e6;
    this.installTimers();
    this.installWork();
  }

  // Work that a thread of the pool does, which the loop's own list of requests does not name.
  installWork() {
    const begun = () => { this.working += 1; };
    const ended = () => { this.working -= 1; };
    const zlib = require('node:zlib');
    const crypto = require('node:crypto');
    const base = Object.getPrototypeOf(Object.getPrototypeOf(zlib.Gzip.prototype));
    const { _transform: transform } = base;
    base._transform = function worked(chunk, encoding, done) {
      begun();
      return transform.call(this, chunk, encoding, (...words) => { ended(); done(...words); });
    };
    for (const name of ['pbkdf2', 'scrypt', 'hkdf', 'generateKeyPair', 'generateKey', 'generatePrime', 'checkPrime']) {
      const real = crypto[name];
      crypto[name] = (...words) => {
        const done = words.pop();
        begun();
        try { return real(...words, (...results) => { ended(); done(...results); }); } catch (error) { ended(); throw error; }
      };
    }
    const subtle = Object.getPrototypeOf(crypto.webcrypto.subtle);
    for (const name of Object.getOwnPropertyNames(subtle).filter((one) => one !== 'constructor')) {
      const real = subtle[name];
      if (typeof real !== 'function') continue;
      subtle[name] = function worked(...words) { begun(); return real.apply(this, words).finally(ended); };
    }
  }

  installTimers() {
    const clock = this;
    class Timer {
      constructor(callback, ms, args, every) {
        if (typeof callback !== 'function') throw new TypeError('The "callback" argument must be of type function');
        this.callback = callback;
        this.args = args;
        this.every = every;
        this.wait = BigInt(Math.max(1, Math.min(Math.trunc(Number(ms) || 1), 2 ** 31 - 1))) * 1_000_000n;
        this.number = clock.made += 1;
        this.refresh();
      }
      refresh() {
        this.due = clock.monotonic + this.wait;
        if (!clock.timers.includes(this)) clock.timers.push(this);
        return this;
      }
      ref() { return this; }
      unref() { return this; }
      hasRef() { return true; }
      close() { clear(this); return this; }
      [Symbol.toPrimitive]() { return this.number; }
      [Symbol.dispose ?? Symbol.for('dispose')]() { clear(this); }
    }
    const clear = (timer) => {
      clock.timers = clock.timers.filter((one) => one !== timer && one.number !== Number(timer ?? NaN));
    };
    const later = (callback, ms, ...args) => new Timer(callback, ms, args, false);
    const promised = (ms, value, options) => new Promise((resolve, reject) => {
      const timer = later(() => resolve(value), ms);
      options?.signal?.addEventListener('abort', () => { clear(timer); reject(options.signal.reason); });
    });
    later[require('node:util').promisify.custom] = promised;
    const soon = (callback, ...args) => {
      clock.working += 1;
      return realImmediate(() => { clock.working -= 1; callback(...args); });
    };
    soon[require('node:util').promisify.custom] = (value) => new Promise((resolve) => soon(resolve, value));
    const put = {
      setTimeout: later,
      setInterval: (callback, ms, ...args) => new Timer(callback, ms, args, true),
      clearTimeout: clear,
      clearInterval: clear,
      setImmediate: soon,
      clearImmediate: (one) => { if (one) { clock.working -= 1; timersModule.realClear(one); } },
    };
    timersModule.realClear = timersModule.clearImmediate;
    Object.assign(globalThis, put);
    Object.assign(timersModule, put);
    timersPromises.setTimeout = promised;
    timersPromises.setImmediate = soon[require('node:util').promisify.custom];
  }

  fire(timer) {
    this.advance(timer.due - this.monotonic);
    this.timers = this.timers.filter((one) => one !== timer);
    if (timer.every) timer.refresh();
    timer.callback(...timer.args);
  }

  // Let everything happen until `done()`, time passing only when nothing else can; rejects when nothing ever will.
  run(done, { withinNs = null } = {}) {
    const until = withinNs === null ? null : this.monotonic + withinNs;
    return new Promise((resolve, reject) => {
      let [quiet, since] = [0, 0];
      const turn = () => {
        if (done()) return resolve();
        const busy = this.working > 0 || process.getActiveResourcesInfo().some((kind) => BUSY.test(kind));
        quiet = busy ? 0 : quiet + 1;
        if (quiet <= 1) since = realNow();
        if (quiet >= QUIET_ROUNDS) {
          const next = this.timers.reduce((a, b) => (!a || b.due < a.due || (b.due === a.due && b.number < a.number) ? b : a), null);
          if (next && (until === null || next.due <= until)) {
            quiet = 0;
            try { this.fire(next); } catch (error) { process.emit('uncaughtException', error); }
          } else if (until !== null) {
            return resolve();
          } else if (realNow() - since > STUCK_MS) {
            return reject(new Error('Deadlock: the request waits for something that will never happen'));
          }
        }
        realImmediate(turn);
      };
      realImmediate(turn);
    });
  }
}

module.exports = { Clock };
