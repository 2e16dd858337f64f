/**
 * What was seen on one kernel. Of types that work: `ok`; of others what is missing, in the words of the check that tried them.
 * @typedef {{ kernel: string, release: string, machine: string, userLand: string, attach: Record<string, string>,
 *   map: Record<string, string>, unpinned: string[], keyByKey: string[], jit: number | null, lsms: string[] | null,
 *   features: Record<string, string>, config: Record<string, string> }} SupportRow
 * @typedef {{ kind: 'attach' | 'map', name: string, status: string, why?: string,
 *   seen?: { pinned?: boolean, batches?: boolean } }} Outcome
 * @typedef {{ release: string, machine: string, settings: { jitEnabled: number | null }, lsms: string[] | null,
 *   features: Record<string, string>, config: { path: string | null, options: Record<string, string> } }} Report
 */

/** What a person looks for in a kernel's configuration when something is missing. */
const OPTIONS = [
  ...['BPF_SYSCALL', 'BPF_JIT', 'BPF_JIT_ALWAYS_ON', 'BPF_EVENTS', 'BPF_LSM', 'CGROUP_BPF', 'DEBUG_INFO_BTF'],
  ...['DEBUG_INFO_BTF_MODULES', 'KPROBE_EVENTS', 'UPROBE_EVENTS', 'FPROBE', 'DYNAMIC_FTRACE_WITH_DIRECT_CALLS'],
  ...['FUNCTION_ERROR_INJECTION', 'FTRACE_SYSCALLS', 'PERF_EVENTS', 'NET_CLS_BPF', 'NET_SCH_INGRESS'],
  ...['BPF_STREAM_PARSER', 'NETFILTER_BPF_LINK', 'XDP_SOCKETS', 'HZ'],
];

/**
 * @param {string} kernel its name in the page
 * @param {{ userLand: string, outcomes: Outcome[], report: Report }} check what support-check.mjs printed
 * @returns {SupportRow}
 */
export function supportRow(kernel, { userLand, outcomes, report }) {
  /** @param {Outcome['kind']} wanted */
  const of = (wanted) =>
    Object.fromEntries(
      outcomes
        .filter(({ kind }) => kind === wanted)
        .map(({ name, status, why }) => [name, status === 'ok' ? 'ok' : (why ?? status)]),
    );
  /** @param {'pinned' | 'batches'} what */
  const without = (what) => outcomes.filter(({ seen }) => seen?.[what] === false).map(({ name }) => name);
  const { path, options } = report.config;
  const config = path === null ? {} : Object.fromEntries(OPTIONS.map((name) => [name, options[name] ?? 'n']));
  return {
    ...{ kernel, release: report.release, machine: report.machine, userLand, attach: of('attach'), map: of('map') },
    ...{ unpinned: without('pinned'), keyByKey: without('batches') },
    ...{ jit: report.settings.jitEnabled, lsms: report.lsms, features: report.features, config },
  };
}

/** @param {readonly SupportRow[]} rows */
export function supportPage(rows) {
  const names = rows.map(({ kernel }) => kernel);
  /** @param {'attach' | 'map' | 'features' | 'config'} what */
  const matrix = (what) => {
    const types = [...new Set(rows.flatMap((row) => Object.keys(row[what])))];
    return table(
      ['', ...names],
      types.map((type) => [type, ...rows.map((row) => row[what][type] ?? '–')]),
    );
  };
  return [
    '# Kernels that were seen',
    '',
    '<!-- Written by scripts/kernel-support.mjs from kernel-support.json. -->',
    '',
    'Every cell is what a test found when it tried, as root: `ok`, or what is missing, by name. A kernel older than the oldest one',
    'here is refused, by the server before a rollout and by the agent. One that is only older than the oldest one of its own',
    'architecture (aarch64, armv7l) is not refused: pre-flight says that probes are not tested there, and makes no promise.',
    '`npm run test:vm -- --write-support` tries the kernels of the VMs anew, `node scripts/kernel-support.mjs --this-machine` the',
    'kernel it runs on.',
    '',
    table(['', 'release', 'machine', 'user land', ...SUMMARY.map(({ name }) => name)], rows.map(summary)),
    '',
    ...['## Attach types', '', matrix('attach'), '', '## Map types', '', matrix('map'), ''],
    ...['## Features', '', 'As `probeKernel()` of libs/node-libbpf answers.', '', matrix('features'), ''],
    ...['## Configuration', '', '`n`: not set. –: the kernel does not tell.', '', matrix('config'), ''],
  ].join('\n');
}

/** @type {readonly { name: string, of: (row: SupportRow) => string }[]} */
const SUMMARY = [
  { name: 'attach types', of: ({ attach }) => share(attach) },
  { name: 'map types', of: ({ map }) => share(map) },
  { name: 'BTF', of: ({ features }) => features.btf ?? '–' },
  { name: 'JIT', of: ({ jit }) => (jit === null ? '–' : jit === 0 ? 'off' : 'on') },
  { name: 'ring buffer', of: ({ map }) => map.ringbuf ?? '–' },
  {
    name: 'map reads in batches',
    of: ({ keyByKey }) => (keyByKey.length === 0 ? 'yes' : `not ${keyByKey.join(', ')}`),
  },
  {
    name: 'links that can be pinned',
    of: ({ unpinned }) => (unpinned.length === 0 ? 'all' : `not ${unpinned.join(', ')}`),
  },
  { name: 'security modules', of: ({ lsms }) => lsms?.join(', ') ?? '–' },
];

/** @param {SupportRow} row */
function summary(row) {
  return [row.kernel, row.release, row.machine, row.userLand, ...SUMMARY.map(({ of }) => of(row))];
}

/** @param {Record<string, string>} types */
function share(types) {
  const all = Object.values(types);
  return `${all.filter((one) => one === 'ok').length} of ${all.length}`;
}

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} rows */
function table(head, rows) {
  /** @param {readonly string[]} cells */
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
