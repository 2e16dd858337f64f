// Telemetry of the recorded server: waves, so that charts have something to show.
import { devices, releases } from './recorded-data.mjs';

const iso = (msAgo = 0) => new Date(Date.now() - msAgo).toISOString();
const metric = (probe, name, type, unit, series, help) => ({
  probe,
  metric: name,
  type,
  unit,
  help,
  labels: [],
  series,
  lastAt: iso(3_000),
});
export const metrics = [
  metric(
    'run_queue_latency',
    'run_queue_latency_seconds',
    'histogram',
    'us',
    1,
    'time from being able to run to running',
  ),
  metric('count_syscalls', 'syscalls_total', 'counter', null, 83, 'system calls entered'),
  metric('count_packets', 'received_bytes_total', 'counter', 'bytes', 4, 'bytes that arrived on the interface'),
  metric('count_packets', 'received_packets_total', 'counter', null, 4, 'packets that arrived on the interface'),
];

const wave = (time, seed) => 1 + 0.6 * Math.sin(time / (60 + seed * 23)) + 0.25 * Math.sin(time / 7 + seed);
const timesOf = (from, to) => {
  const step = Math.max(5, Math.ceil((to - from) / 150));
  const times = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) times.push(t);
  return times;
};

export function series(query) {
  const from = Date.parse(query.from) / 1000;
  const to = Date.parse(query.to) / 1000;
  const times = timesOf(from, to);
  const names = ['futex', 'read', 'write', 'epoll_pwait', 'close', 'openat', 'mmap', 'rt_sigaction', 'ppoll', 'sendto'];
  const label = query.metric.startsWith('received') ? 'protocol' : 'syscall';
  const all = label === 'protocol' ? ['tcp', 'udp', 'icmp', 'arp'] : names;
  const scale = query.metric.includes('bytes') ? 3e6 : 4000;
  return {
    metric: query.metric,
    unit: query.metric.includes('bytes') ? 'bytes/s' : 'count/s',
    times,
    series: all.slice(0, query.limit).map((name, i) => ({
      labels: { [label]: name },
      values: times.map((t) => (t % 900 > 840 ? null : (scale / (i + 1.2)) * wave(t, i))),
    })),
    truncated: label === 'syscall',
  };
}

export function heatmap(query) {
  const from = Date.parse(query.from) / 1000;
  const to = Date.parse(query.to) / 1000;
  const times = timesOf(from, to);
  const bounds = Array.from({ length: 26 }, (_, i) => 2 ** (i + 1) / 1e6);
  const counts = times.map((t) => {
    const peak = 3.2 + wave(t, 2);
    return Array.from({ length: 27 }, (_, b) =>
      Math.round(4000 * Math.exp(-((b - peak) ** 2) / 2) + (b > 7 && b < 13 ? 12 * Math.max(0, wave(t, 5) - 0.9) : 0)),
    );
  });
  const quantile = (q) =>
    counts.map((column) => {
      const total = column.reduce((a, b) => a + b, 0);
      let sum = 0;
      for (const [b, count] of column.entries()) {
        sum += count;
        if (sum >= total * q) return bounds[Math.min(b, 25)];
      }
      return null;
    });
  return {
    metric: query.metric,
    unit: 'us',
    bounds,
    times,
    counts,
    quantiles: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99) },
  };
}

const programs = [
  '/usr/bin/git',
  '/usr/bin/sed',
  '/bin/sh',
  '/usr/sbin/cron',
  '/usr/bin/node',
  '/usr/bin/\u001b[31mred',
];
const event = (at, run) => {
  const n = Math.floor(at / 400);
  return {
    at: new Date(at).toISOString(),
    device: devices[0].id,
    run,
    fields: {
      pid: 20_000 + (n % 9999),
      ppid: 1812,
      uid: n % 5 ? 0 : 1000,
      comm: programs[n % 6].split('/').at(-1),
      filename: programs[n % 6],
      args: n % 3 ? '' : `--since ${n} -o pipefail`,
    },
  };
};
export function events(query) {
  const to = Math.min(
    Date.now(),
    query.to ? Date.parse(query.to) : Infinity,
    query.cursor ? Number(query.cursor) - 1 : Infinity,
  );
  const from = Math.max(query.from ? Date.parse(query.from) : 0, Date.now() - 40 * 60_000);
  const rows = [];
  for (let at = Math.floor(to / 400) * 400; at >= from && rows.length < query.limit; at -= 400) {
    rows.push(event(at, query.run ?? 'runr3'));
  }
  const last = rows.at(-1);
  const more = rows.length === query.limit && last;
  return { columns: releases[2].events[0].columns, rows, nextCursor: more ? String(Date.parse(last.at)) : null };
}

const node = (name, value, ...children) => ({ name, value, children });
export const profile = {
  profile: 'cpu',
  samples: 5120,
  root: node(
    'all',
    5120,
    node(
      'node',
      2900,
      node(
        'uv_run',
        2600,
        node(
          'uv__io_poll',
          1400,
          node(
            'epoll_pwait',
            900,
            node('do_syscall_64', 850, node('ep_poll', 700, node('schedule', 400)), node('__x64_sys_epoll_pwait', 120)),
          ),
        ),
        node(
          'uv__run_timers',
          900,
          node(
            'node::Environment::RunTimers',
            850,
            node('v8::internal::Execution::Call', 700, node('Builtins_JSEntry', 640)),
          ),
        ),
      ),
      node('v8::internal::Heap::CollectGarbage', 300),
    ),
    node(
      'postgres',
      1300,
      node(
        'PostgresMain',
        1250,
        node('exec_simple_query', 900, node('PortalRun', 800, node('ExecutorRun', 600))),
        node('ReadCommand', 250),
      ),
    ),
    node('kworker/0:1', 500, node('worker_thread', 480, node('process_one_work', 420))),
    node('swapper', 420),
  ),
};
