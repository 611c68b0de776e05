// Seeded randomness: Math.random from its own stream, crypto from the stream of SHA-256 that Python's replays draw from.
'use strict';

const crypto = require('node:crypto');

const createHash = crypto.createHash;
const sha256 = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

class Chance {
  constructor() {
    this.drawn = 0;
    this.seed('boot');
  }

  seed(seed) {
    this.key = sha256(`shadowlab:os:${seed}`);
    this.count = 0n;
    this.spare = Buffer.alloc(0);
    this.drawn = 0;
    const words = sha256(`shadowlab:math:${seed}`);
    this.state = [0, 4, 8, 12].map((at) => words.readInt32LE(at));
  }

  draw(size) {
    while (this.spare.length < size) {
      const number = Buffer.alloc(8);
      number.writeBigUInt64BE(this.count++);
      this.spare = Buffer.concat([this.spare, sha256(this.key, number)]);
    }
    this.drawn += size;
    const taken = Buffer.from(this.spare.subarray(0, size));
    this.spare = this.spare.subarray(size);
    return taken;
  }

  // sfc32 of PractRand (Chris Doty-Humphrey), two draws for 53 bits.
  word() {
    let [a, b, c, d] = this.state;
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t | 0;
    this.state = [a, b, c, d];
    return t >>> 0;
  }

  uuid() {
    const bytes = this.draw(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  integer(low, high) {
    const span = BigInt(high) - BigInt(low);
    const most = (1n << 64n) - ((1n << 64n) % span);
    for (;;) {
      const value = this.draw(8).readBigUInt64BE();
      if (value < most) return Number(BigInt(low) + (value % span));
    }
  }

  fill(view, offset = 0, size = undefined) {
    const bytes = ArrayBuffer.isView(view)
      ? Buffer.from(view.buffer, view.byteOffset, view.byteLength)
      : Buffer.from(view);
    this.draw((size ?? bytes.length - offset)).copy(bytes, offset);
    return view;
  }

  install() {
    const later = (callback, value) => process.nextTick(callback, null, value);
    Math.random = () => ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
    crypto.randomBytes = crypto.pseudoRandomBytes = (size, callback) =>
      callback ? later(callback, this.draw(size)) : this.draw(size);
    crypto.randomFillSync = (view, offset, size) => this.fill(view, offset, size);
    crypto.randomFill = (view, ...rest) => {
      const callback = rest.pop();
      later(callback, this.fill(view, ...rest));
    };
    crypto.randomUUID = () => this.uuid();
    crypto.randomInt = (low, high, callback) => {
      if (high === undefined || typeof high === 'function') [low, high, callback] = [0, low, high];
      const value = this.integer(low, high);
      return callback ? later(callback, value) : value;
    };
    const web = Object.getPrototypeOf(crypto.webcrypto);
    for (const [name, value] of [['getRandomValues', (view) => this.fill(view)], ['randomUUID', () => this.uuid()]]) {
      Object.defineProperty(web, name, { value, configurable: true, writable: true });
    }
  }
}

module.exports = { Chance };
