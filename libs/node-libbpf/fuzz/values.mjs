// Arguments that nobody should pass, and some that somebody should: whatever a method takes, it gets both.

const TEXTS = ['', 'x', 'hash', 'array', 'ringbuf', 'struct_ops', 'events', 'write_record', '.bss', 'main', 'ingress', 'software', '/nowhere/x', 'a\0b',
  '__proto__', 'constructor', 'y'.repeat(70_000), '\ud800', 'libc.so.6', 'getuid', 'sched', 'sys_enter', 'vfs_*']; // prettier-ignore
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  4,
  7,
  8,
  16,
  64,
  4096,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  -(2 ** 31),
  NaN,
  Infinity,
  1.5,
  1e300,
];
const BIGINTS = [0n, 1n, 8n, -1n, 2n ** 31n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n];
const BYTES = [0, 1, 3, 4, 7, 8, 12, 16, 24, 64, 256, 4096, 65536];
const OPTION_NAMES = ['data', 'context', 'entriesMax', 'chunkEntries', 'bytesMax', 'chunkBytes', 'dataBytesPerCpu', 'path', 'function', 'functions', 'pattern', 'offset', 'pid',
  'onReturn', 'provider', 'name', 'type', 'config', 'frequencyHz', 'period', 'cpu', 'keyBytes', 'valueBytes', 'maxEntries', 'flags', 'extra', 'inner', 'target', 'direction',
  'ifindex', 'key', 'value', 'bytes', 'encode', 'decode', 'family', 'hook', 'priority', 'program', 'mode', 'map', 'expected', 'verifierLogLevel', 'logBytesMax', 'btfCustomPath', 'length']; // prettier-ignore

function detached() {
  const buffer = new ArrayBuffer(64);
  const view = Buffer.from(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return view;
}

/** Its length is what the native side sees, not what it was when it was checked. */
function shrunk() {
  if (!('resize' in ArrayBuffer.prototype)) return Buffer.alloc(0);
  const buffer = new ArrayBuffer(64, { maxByteLength: 128 });
  const view = Buffer.from(buffer);
  buffer.resize(8);
  return view;
}

export class Values {
  #random;
  #pool;
  #act;

  /** `act` is what a hostile getter does in the middle of a call. */
  constructor(random, pool, act) {
    this.#random = random;
    this.#pool = pool;
    this.#act = act;
  }

  any(depth = 0) {
    const random = this.#random;
    const makers = [
      [6, () => random.pick(NUMBERS)],
      [6, () => this.buffer()],
      [4, () => random.pick(TEXTS)],
      [3, () => random.pick(BIGINTS)],
      [4, () => random.pick(this.#pool)],
      [2, () => random.pick([undefined, null, true, false, Symbol('x'), () => 1, [], {}, new Date(0), new Map(), -1])],
      [depth < 2 ? 5 : 0, () => this.options(depth)],
      [depth < 2 ? 1 : 0, () => Array.from({ length: random.below(4) }, () => this.any(depth + 1))],
      [1, () => this.#hostile(depth)],
    ];
    return random.weighted(makers)();
  }

  buffer() {
    const bytes = this.#random.pick(BYTES);
    const makers = [
      [8, () => Buffer.alloc(bytes, this.#random.u32())],
      [1, () => new Uint8Array(bytes)],
      [1, () => new BigUint64Array(bytes >> 3)],
      [1, () => new DataView(new ArrayBuffer(bytes))],
      [1, () => Buffer.from(new SharedArrayBuffer(bytes))],
      [1, detached],
      [1, shrunk],
      [1, () => new Proxy(Buffer.alloc(bytes), {})],
      [1, () => Buffer.alloc(bytes + 3).subarray(3)],
    ];
    return this.#random.weighted(makers)();
  }

  options(depth) {
    const options = {};
    for (let i = this.#random.below(6); i >= 0; i -= 1) options[this.#random.pick(OPTION_NAMES)] = this.any(depth + 1);
    return options;
  }

  /** Closes things while it is being read. */
  #hostile(depth) {
    const act = this.#act;
    const answer = this.any(depth + 1);
    const handler = {
      get(target, name) {
        act();
        return name === Symbol.toPrimitive ? () => 4 : (target[name] ?? answer);
      },
    };
    return new Proxy(this.#random.chance(0.5) ? {} : [4, 5], handler);
  }
}
