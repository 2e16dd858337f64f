// `node apps/web/testing/recorded-server.mjs [port]`: serves apps/web/dist with recorded answers. Log in as admin/admin.
import { routes } from '@bpfleet/api';
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as data from './recorded-data.mjs';
import * as telemetry from './recorded-telemetry.mjs';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const user = { id: 'u1', username: 'admin', role: 'admin' };
const inDays = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
const token = (id, name) => ({
  id,
  name,
  role: 'operator',
  createdAt: inDays(-3),
  expiresAt: inDays(87),
  lastUsedAt: inDays(-0.01),
});
const enrolment = {
  id: 'e1',
  name: 'oslo',
  usesLeft: 12,
  expiresAt: inDays(2),
  createdAt: inDays(-1),
  labels: { site: 'oslo' },
};
let stopped = false;

class Refused extends Error {
  constructor(status, code, message, details) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}
const found = (list, id) => {
  const item = list.find((one) => one.id === id);
  if (!item) throw new Refused(404, 'NOT_FOUND', `there is nothing with the id ${id}`);
  return item;
};
const debugRun = () =>
  stopped ? { ...data.debugRun, state: 'ENDED', endedAt: new Date().toISOString() } : data.debugRun;
const checkSelector = (selector) => {
  if (/[!$]/.test(selector ?? ''))
    throw new Refused(400, 'SELECTOR_INVALID', 'the selector ends in the middle: after “!” a label name is expected');
};

const answers = {
  health: () => ({ status: 'ok', database: true, broker: true, version: '0.1.0' }),
  me: () => user,
  login: () => user,
  logout: () => ({}),
  listApiTokens: () => ({ items: [token('t1', 'ci'), token('t2', 'laptop of kari')] }),
  createApiToken: ({ body }) => ({ ...token('t3', body.name), token: 'bpft_0123456789abcdef0123456789abcdef' }),
  revokeApiToken: () => ({}),
  listDevices: ({ query }) => {
    checkSelector(query.selector);
    const all = query.selector
      ? data.devices.filter((one) => `site=${one.labels.site}` === query.selector)
      : data.devices;
    const start = Number(query.cursor ?? 0);
    const next = start + query.limit;
    return { items: all.slice(start, next), nextCursor: next < all.length ? String(next) : null, total: all.length };
  },
  getDevice: ({ id }) => found(data.devices, id),
  updateDevice: ({ id, body }) => Object.assign(found(data.devices, id), body),
  createEnrolmentToken: ({ body }) => ({
    ...enrolment,
    ...body,
    usesLeft: body.uses,
    token: 'bpf1.x',
    command: `bpfleet-agent enrol --server https://fleet.example.net --token bpf1.0a1b2c3d4e5f.${'5e'.repeat(24)}.${'9c'.repeat(32)}`,
  }),
  listEnrolmentTokens: () => ({ items: [enrolment] }),
  revokeEnrolmentToken: () => ({}),
  listProbes: () => ({ items: data.probes }),
  listReleases: ({ query }) => ({ items: data.releases.filter((one) => !query.probe || one.probe === query.probe) }),
  getRelease: ({ id }) => found(data.releases, id),
  publish: () => {
    throw new Refused(422, 'COMPILE_FAILED', 'trace_exec.bpf.c does not compile: 1 error', {
      diagnostics: [
        {
          file: 'trace_exec.bpf.c',
          line: 47,
          column: 7,
          severity: 'error',
          message: "no member named 'pidd' in 'struct exec_event'",
          sourceLine: '\te->pidd = bpf_get_current_pid_tgid() >> 32;',
        },
        { file: 'trace_exec.bpf.c', line: 12, column: 9, severity: 'warning', message: "'ARGS_BYTES' macro redefined" },
      ],
      verdict: data.releases[0].verdicts[1],
    });
  },
  preview: ({ body }) => {
    checkSelector(body.selector);
    const groups = [
      {
        kernelRelease: '6.1.0-28-arm64',
        arch: 'aarch64',
        devices: 84,
        verdict: 'takes',
        reason: 'proven on this kernel',
      },
      {
        kernelRelease: '5.10.0-33-arm64',
        arch: 'aarch64',
        devices: 85,
        verdict: 'refuses',
        reason: 'The program reads through a map value that may be NULL.',
      },
      {
        kernelRelease: '6.1.0-28-armmp',
        arch: 'armv7l',
        devices: 85,
        verdict: 'unknown',
        reason: 'no kernel like this can be asked here',
      },
      { kernelRelease: '6.18.0-amd64', arch: 'x86_64', devices: 86, verdict: 'takes', reason: 'proven on this kernel' },
    ];
    const sample = data.devices.slice(0, 10).map(({ id, name }) => ({ id, name }));
    return { devices: 340, takes: 170, refuses: 85, unknown: 85, groups, sample };
  },
  listAssignments: () => ({ items: data.assignments }),
  getAssignment: ({ id }) => found(data.assignments, id),
  createAssignment: () => data.assignments[0],
  withdrawAssignment: ({ id }) => ({ ...found(data.assignments, id), state: 'withdrawn' }),
  listKernels: () => ({ items: data.kernelGroups }),
  getDeviceKernel: ({ id }) => ({
    kernel: data.kernelGroups[found(data.devices, id).facts?.btfDigest ? 0 : 1],
  }),
  listBtf: () => ({ items: [] }),
  listRuns: ({ query }) => ({ items: data.runs.filter((one) => !query.kind || one.kind === query.kind) }),
  getRun: ({ id }) => ({ ...(id === 'debug1' ? debugRun() : found(data.runs, id)), history: data.debugHistory }),
  createDebugRun: () => debugRun(),
  stopDebugRun: () => {
    stopped = true;
    return debugRun();
  },
  overview: () => ({
    devices: 340,
    devicesOnline: 292,
    runsAttached: 1460,
    samples: 18_220_114,
    events: 4_120_331,
    series: 31_002,
    firstTelemetryAt: inDays(-9),
    lastTelemetryAt: inDays(0),
  }),
  listMetrics: () => ({ items: telemetry.metrics }),
  series: ({ query }) => telemetry.series(query),
  heatmap: ({ query }) => telemetry.heatmap(query),
  events: ({ query }) => telemetry.events(query),
  profile: () => telemetry.profile,
};

function live(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = (event) => response.write(`data: ${JSON.stringify(event)}\n\n`);
  const timer = setInterval(
    () => send({ type: 'telemetry', device: data.devices[0].id, run: 'debug1', samples: 200, events: 5 }),
    1_000,
  );
  response.write(': hello\n\n');
  response.on('close', () => clearInterval(timer));
}

async function answer(request, url) {
  const loggedIn = /session=1/.test(request.headers.cookie ?? '');
  for (const [name, route] of Object.entries(routes)) {
    const match = new RegExp(`^${route.path.replace(/:([a-z]+)/g, '(?<$1>[^/]+)')}$`).exec(url.pathname);
    if (!match || route.method !== request.method) continue;
    if (!loggedIn && name !== 'login') throw new Refused(401, 'NOT_LOGGED_IN', 'log in first');
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const body = route.body.parse(text ? JSON.parse(text) : undefined);
    if (name === 'login' && body.password !== 'admin')
      throw new Refused(401, 'LOGIN_FAILED', 'the user name or the password is wrong');
    const pairs = Object.fromEntries(url.searchParams);
    const query =
      Object.keys(pairs).length > 0 || route.query.def.type === 'object' ? route.query.parse(pairs) : undefined;
    const cookie =
      name === 'login' ? 'session=1; Path=/; HttpOnly' : name === 'logout' ? 'session=; Path=/; Max-Age=0' : undefined;
    return { cookie, body: route.response.parse(await answers[name]({ ...match.groups, body, query })) };
  }
  throw new Refused(404, 'NOT_FOUND', `${request.method} ${url.pathname} is no route`);
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/api/live') return live(response);
  if (url.pathname.startsWith('/api/')) {
    return answer(request, url).then(
      ({ cookie, body }) => {
        response.writeHead(200, { 'content-type': 'application/json', ...(cookie ? { 'set-cookie': cookie } : {}) });
        response.end(JSON.stringify(body));
      },
      (error) => {
        if (!(error instanceof Refused)) console.error(url.pathname, error);
        const { status = 500, code = 'INTERNAL', message, details } = error;
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { code, message, details } }));
      },
    );
  }
  const wanted = join(dist, normalize(url.pathname));
  const file = wanted.startsWith(dist) && extname(wanted) && existsSync(wanted) ? wanted : join(dist, 'index.html');
  response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' });
  createReadStream(file).pipe(response);
});
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${server.address().port}`),
);
