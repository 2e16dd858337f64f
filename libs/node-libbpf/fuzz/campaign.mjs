// Runs rounds in processes that may die, and keeps what killed them.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sanitizerRuntimes } from './build.mjs';
import { Corpus } from './corpus.mjs';
import { drawRound, inputOf } from './round.mjs';

const ROUNDS_PER_PROCESS = { objects: 500, calls: 50 };
const ROUND_SECONDS_MAX = 30;
const OUTPUT_BYTES_MAX = 1 << 20;
const scripts = { objects: 'child.mjs', calls: 'calls-child.mjs' };

const sanitizerOptions = {
  // V8 keeps what it never frees; leaks are held by bench/leaks.mjs. Node would take SIGSEGV away from the sanitizer.
  ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1:exitcode=99:handle_abort=1:allow_user_segv_handler=0',
  UBSAN_OPTIONS: 'print_stacktrace=0',
};

/** Where a report says that it happened: what, and the innermost places in libbpf, libelf or the addon. */
export function signatureOf(report) {
  const what = /AddressSanitizer: (CHECK failed|[\w-]+)/.exec(report)?.[1];
  const frames = [...report.matchAll(/^ +#\d+ 0x[0-9a-f]+ in (\S+).*?\/([^/\s]+\.(?:c|cc|h)):(\d+)/gm)];
  const own = frames.filter(([, , file]) => !/napi|sanitizer|asan_|node_/.test(file)).slice(0, 3);
  if (what !== undefined) return `${what} ${own.map(([, name, file, line]) => `${name} ${file}:${line}`).join(' < ')}`;
  const lines = report
    .trim()
    .split('\n')
    .filter((line) => !line.includes('runtime error'));
  return lines.find((line) => /Error|signal/.test(line)) ?? lines.at(-1) ?? 'died without a word';
}

/** A process that runs rounds; in namespaces of its own where it may touch the real kernel. */
function start(script, flags, real) {
  const runtimes = sanitizerRuntimes().join(':');
  const command = ['env', `LD_PRELOAD=${runtimes}`, process.execPath, '--expose-gc', script, ...flags];
  const setUp = 'mount -t bpf bpf /sys/fs/bpf && exec "$@"';
  const [file, ...rest] = real ? ['unshare', '-m', '-n', 'sh', '-c', setUp, 'sh', ...command] : command;
  return spawn(file, rest, { env: { ...process.env, ...sanitizerOptions }, stdio: ['ignore', 'ignore', 'pipe'] });
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

export class Campaign {
  #folders;
  #options;
  #findings = new Map();
  #undefined = new Map();
  #counts = {};
  #rounds = 0;

  constructor(folders, options) {
    this.#folders = folders;
    this.#options = options;
  }

  async run() {
    const first = Number(this.#options.first);
    const end = first + Number(this.#options.rounds);
    const until = Date.now() + Number(this.#options.seconds) * 1000;
    let next = first;
    const worker = async () => {
      while (next < end && Date.now() < until) {
        const from = next;
        next = Math.min(end, from + ROUNDS_PER_PROCESS[this.#options.target]);
        await this.#range(from, next, until);
      }
    };
    const begun = Date.now();
    await Promise.all(Array.from({ length: Number(this.#options.jobs) }, worker));
    return {
      seed: Number(this.#options.seed),
      rounds: this.#rounds,
      seconds: Math.round((Date.now() - begun) / 1000),
      outcomes: this.#counts,
      undefinedBehaviour: Object.fromEntries(this.#undefined),
      findings: [...this.#findings.values()],
    };
  }

  async #range(from, end, until) {
    let at = from;
    while (at < end && Date.now() < until) {
      const result = await this.#process(at, end, { until });
      this.#rounds += result.reached - at;
      if (result.report === undefined) return;
      this.#rounds += 1;
      await this.#keep(result);
      at = result.reached + 1;
    }
  }

  /** Runs rounds in one process; there is a `report` when it died in round `reached`. */
  async #process(from, end, { edits, until = Infinity } = {}) {
    const work = mkdtempSync(join(tmpdir(), 'bpfleet-fuzz-'));
    try {
      const { seed, unchecked, real, target } = this.#options;
      const flags = ['--addon', this.#folders.addon, '--corpus', this.#folders.corpus, '--work', work, '--seed', seed];
      flags.push('--from', String(from), '--to', String(end));
      if (unchecked) flags.push('--unchecked');
      if (real) flags.push('--real');
      if (edits !== undefined) {
        writeFileSync(join(work, 'edits'), JSON.stringify(edits));
        flags.push('--edits', join(work, 'edits'));
      }
      const script = fileURLToPath(new URL(scripts[target], import.meta.url));
      const { ended, output } = await this.#watch(start(script, flags, real), work, until);
      for (const [, place, text] of output.matchAll(/^(\S+): runtime error: (.*)$/gm)) this.#noteUndefined(place, text);
      const { round: reached = from, counts = {} } = this.#progress(work) ?? {};
      if (edits === undefined) this.#count(counts);
      if (ended === 'stopped' || ended === 'well') return { reached };
      return { reached, report: output, calls: read(join(work, 'calls')) };
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }

  #progress(work) {
    const line = read(join(work, 'progress')).split('\n')[0];
    return line === '' ? undefined : JSON.parse(line);
  }

  /** Waits for the end, which it brings about where a round takes too long or the time is up. */
  #watch(running, work, until) {
    return new Promise((resolve) => {
      let output = '';
      running.stderr.on('data', (chunk) => {
        if (output.length < OUTPUT_BYTES_MAX) output += chunk;
      });
      let seen;
      let quiet = 0;
      const watch = setInterval(() => {
        const now = this.#progress(work)?.round;
        quiet = now === seen ? quiet + 1 : 0;
        seen = now;
        // The sanitizer prints where it is.
        if (quiet === ROUND_SECONDS_MAX) running.kill('SIGABRT');
        else if (quiet > ROUND_SECONDS_MAX || Date.now() > until) running.kill('SIGKILL');
      }, 1000);
      running.on('close', (code, signal) => {
        clearInterval(watch);
        if (code === 0) return resolve({ ended: 'well', output });
        if (Date.now() > until && signal === 'SIGKILL') return resolve({ ended: 'stopped', output });
        const hung = quiet >= ROUND_SECONDS_MAX;
        const report = hung ? output.replace(/AddressSanitizer: \w+/, 'AddressSanitizer: hang') : output;
        resolve({ ended: 'badly', output: signal === null ? report : `${report}\nsignal ${signal}` });
      });
    });
  }

  #count(counts) {
    for (const [outcome, count] of Object.entries(counts)) this.#counts[outcome] = (this.#counts[outcome] ?? 0) + count;
  }

  #noteUndefined(place, text) {
    const where = place.split('/').slice(-2).join('/');
    if (!this.#undefined.has(where)) this.#undefined.set(where, text);
  }

  async #keep({ reached: index, report, calls }) {
    const signature = signatureOf(report);
    const known = this.#findings.get(signature);
    if (known !== undefined) {
      known.times += 1;
      return;
    }
    const { seed, target } = this.#options;
    const folder = join(this.#folders.findings, `${target}-${seed}-${index}`);
    const finding = { signature, times: 1, seed: Number(seed), index, folder };
    this.#findings.set(signature, finding);
    console.error(`finding in round ${index} of seed ${seed}: ${signature}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'report.txt'), report);
    if (target === 'calls') writeFileSync(join(folder, 'calls.txt'), calls);
    else Object.assign(finding, await this.#keepInput(folder, index, signature));
  }

  async #keepInput(folder, index, signature) {
    const corpus = new Corpus(this.#folders.corpus);
    const round = drawRound(corpus, Number(this.#options.seed), index);
    const edits = await this.#shrink(index, round.edits, signature);
    writeFileSync(join(folder, 'input'), inputOf(corpus, { ...round, edits }));
    writeFileSync(join(folder, 'edits.json'), JSON.stringify({ what: round.what, base: round.base, edits }, null, 2));
    return { base: round.base, edits: edits.map(({ what, at, hex }) => `${what} @${at} = ${hex?.slice(0, 32)}`) };
  }

  /** Leaves out one edit after the other as long as the same thing happens. */
  async #shrink(index, edits, signature) {
    let smallest = edits;
    for (let i = 0; i < smallest.length;) {
      const without = smallest.filter((_, position) => position !== i);
      const { report } = await this.#process(index, index + 1, { edits: without });
      if (report !== undefined && signatureOf(report) === signature) smallest = without;
      else i += 1;
    }
    return smallest;
  }
}
