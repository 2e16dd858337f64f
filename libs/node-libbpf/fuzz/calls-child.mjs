// Calls everything that the package and its addon have, on live and on closed handles, with arguments of any kind.
//
//   node calls-child.mjs --addon FOLDER --corpus FOLDER --work FOLDER --seed N --from N --to N [--real]
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from './random.mjs';
import { Values } from './values.mjs';

const { values: flags } = parseArgs({
  strict: false,
  options: Object.fromEntries(
    ['addon', 'corpus', 'work', 'seed', 'from', 'to'].map((name) => [name, { type: 'string' }]),
  ),
});

const OBJECTS = ['map_kinds', 'map_views', 'ring', 'leaks', 'readme', 'refused'];
const CALLS = 60;
const POOL_MAX = 64;
const load = (file) => import(pathToFileURL(join(flags.addon, 'dist', file)).href);
const api = await load('index.js');
const { native } = await load('native.js');
const objects = OBJECTS.map((name) => readFileSync(join(flags.corpus, `${name}.bpf.o`)));

// What takes as long as it is told to, or hands other processes' handles out.
const LEFT_OUT = new Set([
  'constructor',
  'probeTypes',
  'probeFeatures',
  'listLinks',
  'listMaps',
  'listPrograms',
  'openById',
  'openPidfd',
  'testRun',
]);

process.env.BPFLEET_FUZZ_KERNEL = flags.real ? 'real' : 'simulated';
process.env.BPFLEET_FUZZ_VMLINUX = join(flags.corpus, 'kernel.btf');
process.env.BPFLEET_FUZZ_KALLSYMS = join(flags.corpus, 'kallsyms');

const journal = openSync(join(flags.work, 'calls'), 'w');
const progress = openSync(join(flags.work, 'progress'), 'w');
const counts = { threw: 0, returned: 0 };
const note = (round) => writeSync(progress, `${JSON.stringify({ round, counts })}\n`, 0);

function membersOf(value) {
  const members = [];
  for (
    let at = value;
    at !== null && at !== Object.prototype && at !== Function.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    if (at instanceof Uint8Array || Array.isArray(at)) break;
    for (const name of Object.getOwnPropertyNames(at)) {
      if (!LEFT_OUT.has(name)) members.push({ name, ...Object.getOwnPropertyDescriptor(at, name) });
    }
  }
  return members;
}

const isHandle = (value) =>
  (typeof value === 'object' && value !== null) || (typeof value === 'function' && value.prototype !== undefined);

class Round {
  #random;
  #pool = [api, native, ...Object.values(api).filter((value) => typeof value === 'function')];
  #values;

  constructor(random) {
    this.#random = random;
    this.#values = new Values(random, this.#pool, () => this.#closeOne());
    for (let i = 0; i < 2; i += 1) this.#attempt(() => this.#open());
  }

  #open() {
    const bytes = this.#random.pick(objects);
    if (this.#random.chance(0.2)) return this.#keep(native.openObject(bytes, 'raw', undefined));
    const spec = api.openObject(bytes);
    this.#keep(spec);
    for (const each of [...spec.maps, ...spec.programs]) this.#keep(each);
    if (this.#random.chance(0.8)) this.#keep(spec.load());
  }

  /** The newest of everything stay; what falls out is left to the garbage collector, open. */
  #keep(value) {
    if (!isHandle(value) || Buffer.isBuffer(value) || this.#pool.includes(value)) return;
    if (this.#pool.length < POOL_MAX) this.#pool.push(value);
    else this.#pool[this.#random.below(POOL_MAX)] = value;
    const inside = [value.maps, value.programs].flatMap((list) => (Array.isArray(list) ? list : []));
    for (const each of inside) if (this.#pool.length < POOL_MAX) this.#pool.push(each);
  }

  #closeOne() {
    const victim = this.#random.pick(this.#pool);
    if (victim !== native && typeof victim?.close === 'function') this.#attempt(() => victim.close());
  }

  #attempt(act) {
    try {
      const result = act();
      counts.returned += 1;
      return result;
    } catch {
      counts.threw += 1;
      return undefined;
    }
  }

  async call() {
    const target = this.#random.pick(this.#pool);
    const members = this.#attempt(() => membersOf(target)) ?? [];
    if (members.length === 0) return;
    const member = this.#random.pick(members);
    const given = Array.from({ length: this.#random.below(6) }, () => this.#values.any());
    writeSync(journal, `${target.constructor?.name ?? typeof target}.${String(member.name)}/${given.length}\n`);
    const result = this.#attempt(() => {
      if (member.set !== undefined && this.#random.chance(0.5)) return Reflect.set(target, member.name, given[0]);
      if (member.get !== undefined) return Reflect.get(target, member.name);
      if (typeof member.value !== 'function') return member.value;
      const isClass = /^class |^Native/.test(member.name) || member.value.prototype !== undefined;
      return isClass && this.#random.chance(0.8)
        ? Reflect.construct(member.value, given)
        : Reflect.apply(member.value, target, given);
    });
    this.#keep(result);
    await this.#walk(result);
  }

  /** Streams and promises get a few turns. */
  async #walk(result) {
    try {
      if (typeof result?.[Symbol.asyncIterator] === 'function') {
        let turns = 0;
        for await (const chunk of result) {
          this.#keep(chunk);
          this.#closeOne();
          if ((turns += 1) > 3) break;
        }
      } else if (typeof result?.then === 'function')
        await Promise.race([result, new Promise((done) => setTimeout(done, 50))]);
    } catch {
      counts.threw += 1;
    }
  }
}

process.on('unhandledRejection', () => {});
for (let index = Number(flags.from); index < Number(flags.to); index += 1) {
  note(index);
  const round = new Round(new Random(Number(flags.seed), index, 3));
  for (let i = 0; i < CALLS; i += 1) await round.call();
  if (globalThis.gc !== undefined && index % 8 === 0) globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
}
note(Number(flags.to));
// With open handles: the environment is torn down around them.
process.exit(0);
