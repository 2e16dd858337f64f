import { afterAll, expect, it } from '@jest/globals';
import { hasCapability, missingCapabilities as missingHere } from '@bpfleet/testkit';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CapableChild } from '../fixtures/capable-child.js';
import { cgroup2Root, makePinFolder, mountTracefs } from '../fixtures/compile.js';
import type { CapabilityName } from './index.js';
import {
  attachTypes,
  capabilitiesToAttach,
  capabilitiesToCreate,
  linkTypes,
  mapTypes,
  UpdatableLink,
} from './index.js';

interface Outcome {
  kind: 'attach' | 'map';
  name: string;
  status: 'ok' | 'missing' | 'failed';
  why?: string;
}

const fixtures = fileURLToPath(new URL('../fixtures', import.meta.url));
const needed = ['root', 'bpf', 'bpffs', 'tracefs', 'netns', 'clang'] as const;
const missing = missingHere(needed);
const runsHere = missing.length === 0;
// The checks are a program of their own, so that they run in a VM without jest; its lines become tests here.
const objects = runsHere ? mkdtempSync(join(tmpdir(), 'node-libbpf-checks-')) : '';

afterAll(() => {
  if (objects !== '') rmSync(objects, { recursive: true, force: true });
});

function outcomesOf(stdout: string): Outcome[] {
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Outcome);
}

/** In a network namespace of its own, where one XDP program more on the loopback is in nobody's way. */
function check(kind: 'attach' | 'map'): Outcome[] {
  const script = 'ip link set lo up && exec "$@"';
  const command = [process.execPath, '--no-deprecation', join(fixtures, `${kind}-check.mjs`), 'all', '--json'];
  const ended = spawnSync('unshare', ['--net', 'sh', '-c', script, 'sh', ...command, '--objects', objects], {
    encoding: 'utf8',
    maxBuffer: 16 << 20,
  });
  if (ended.status === null || ended.stderr !== '') throw new Error(`${kind}-check: ${ended.stderr}`);
  return outcomesOf(ended.stdout);
}

if (runsHere) {
  mountTracefs();
  execFileSync(process.execPath, [join(fixtures, 'build-objects.mjs'), objects]);
}
const outcomes = runsHere ? [...check('attach'), ...check('map')] : [];

for (const { kind, name, status, why } of outcomes) {
  // Missing by name of what is missing, which only the tables and the kernel's refusals can say.
  const title = `${kind} ${name}`;
  if (status === 'missing') it.skip(`${title} [needs ${why}]`, () => undefined);
  else it(title, () => expect([status, why]).toEqual(['ok', undefined]));
}
if (!runsHere) it.skip(`every attach and map type [needs ${missing.join(', ')}]`, () => undefined);

it('has an outcome for every type of the tables', () => {
  const told = outcomes.map(({ kind, name }) => `${kind} ${name}`);
  const wanted = [...attachTypes.map(({ name }) => `attach ${name}`), ...mapTypes.map(({ name }) => `map ${name}`)];
  expect(told).toEqual(runsHere ? wanted : []);
});

it('knows of each link type whether it can be updated, as its class does', async () => {
  const library = (await import('./index.js')) as unknown as Record<string, unknown>;
  for (const [type, facts] of Object.entries(linkTypes)) {
    const className = `${type.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Link`;
    const linkClass = library[className] as { prototype: object };
    expect([type, typeof linkClass]).toEqual([type, 'function']);
    // A struct_ops link is updated through the object that has the map.
    const isUpdatable = linkClass.prototype instanceof UpdatableLink || type === 'struct_ops';
    expect([type, isUpdatable]).toEqual([type, 'updatableSince' in facts]);
  }
});

it('derives capabilities from what the kernel asks', () => {
  const of = (name: string) => {
    const type = attachTypes.find((entry) => entry.name === name);
    return type === undefined ? [] : capabilitiesToAttach(type);
  };
  expect(of('xdp')).toEqual(['CAP_BPF', 'CAP_NET_ADMIN']);
  expect(of('tracepoint')).toEqual(['CAP_BPF', 'CAP_PERFMON', 'CAP_DAC_READ_SEARCH']);
  expect(of('freplace')).toEqual(['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON', 'CAP_SYS_ADMIN']);
  expect(of('sk_lookup')).toEqual(['CAP_BPF']);
  const sockmap = mapTypes.find(({ name }) => name === 'sockmap');
  expect(sockmap && capabilitiesToCreate(sockmap)).toEqual(['CAP_BPF', 'CAP_NET_ADMIN']);
});

/** What an ordinary user with these capabilities can attach and make; a folder for pins and a cgroup are made for him. */
function checkWith(capabilities: readonly string[]): Outcome[] {
  const pins = makePinFolder();
  const cgroup = join(cgroup2Root() ?? '', `node-libbpf-caps-${process.pid}`);
  const child = new CapableChild();
  mkdirSync(cgroup);
  chownSync(pins, 65_534, 65_534);
  chmodSync(objects, 0o755);
  try {
    const script = join(child.folder, 'fixtures/attach-check.mjs');
    const folders = ['--objects', objects, '--pins', pins, '--cgroup', cgroup];
    const { stdout, stderr } = child.run(capabilities, ['--no-deprecation', script, 'all', '--json', ...folders], {
      ownNetwork: true,
    });
    if (stderr !== '') throw new Error(stderr);
    return outcomesOf(stdout);
  } finally {
    child.close();
    rmSync(pins, { recursive: true });
    rmdirSync(cgroup);
  }
}

const withCgroups = runsHere && hasCapability('cgroup2') ? it : it.skip;
const held: Record<string, CapabilityName> = { bpf: 'CAP_BPF', perfmon: 'CAP_PERFMON', net_admin: 'CAP_NET_ADMIN' };

// Neither a failure nor a success that the tables do not foresee: attach-check.mjs calls it failed when something works without
// a capability that they ask for, and when a refusal does not name the one that is missing.
withCgroups.each([[['bpf', 'perfmon', 'net_admin']], [['bpf', 'net_admin']], [['bpf']], [[]]])(
  'an ordinary user with %j attaches what these capabilities allow, and is told what he lacks for the rest [needs cgroup2]',
  (capabilities) => {
    const told = checkWith(capabilities);
    expect(told.filter(({ status }) => status === 'failed')).toEqual([]);
    const asRoot = new Map(outcomes.map((outcome) => [`${outcome.kind} ${outcome.name}`, outcome.status]));
    for (const type of attachTypes) {
      if (asRoot.get(`attach ${type.name}`) !== 'ok') continue;
      const lacks = capabilitiesToAttach(type).filter((name) => !capabilities.map((own) => held[own]).includes(name));
      const outcome = told.find(({ name }) => name === type.name);
      expect([type.name, outcome?.status]).toEqual([type.name, lacks.length === 0 ? 'ok' : 'missing']);
      if (lacks.length > 0) expect(lacks.some((name) => outcome?.why?.includes(name))).toBe(true);
    }
  },
);
