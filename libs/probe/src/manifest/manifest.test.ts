import { beforeAll, describe, expect, it } from '@jest/globals';
import type { BpfObjectFile } from '@bpfleet/btf';
import { SAMPLE_MANIFEST, sampleObject } from '../../test/sample-probe.js';
import { parseBytes } from './bytes.js';
import { checkManifest } from './check.js';
import { ManifestError } from './error.js';
import type { ProbeManifest } from './schema.js';
import { parseManifest } from './parse.js';

function issuesOf(text: string): string[] {
  try {
    parseManifest(text);
  } catch (error) {
    if (error instanceof ManifestError) return error.issues.map(({ path, message }) => `${path}| ${message}`);
    throw error;
  }
  return [];
}

describe('parseManifest', () => {
  it('fills in what the manifest leaves out', () => {
    expect(parseManifest('name: tiny\nversion: 0.1.0\nsummary: nothing yet')).toEqual({
      name: 'tiny',
      version: '0.1.0',
      summary: 'nothing yet',
      params: {},
      attach: {},
      metrics: [],
      events: [],
      profiles: [],
      requires: { features: [] },
      budget: { cpu_percent: 1, map_bytes: 4194304, events_per_second: 1000 },
    });
  });

  it('is stable: a parsed manifest goes through JSON and parses to itself', () => {
    const manifest = parseManifest(SAMPLE_MANIFEST);
    expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest);
  });

  it.each([
    ['budget: { cpu_percent: 2, map_bytes: 4MiB }', 'budget: { map_bytes: 4 megs }', 'budget.map_bytes| '],
    ['buckets: exp2', 'buckets: exp3', 'metrics[0].buckets| `metrics[0].buckets` must be one of exp2, exp2zero'],
    ['type: histogram', 'type: counter', 'must be given for a histogram, and only for one'],
    ['unit: us\n    labels', 'unit: bytes\n    labels', 'must be ns, us, ms or s'],
    ['name: sample', 'name: Sample', 'name| `name` must be 2 to 40 lower-case letters'],
    ['version: 1.2.3', 'version: "1.2"', 'must be a semantic version'],
    ['summary: one', 'sumary: one', 'The manifest has unknown keys: sumary.'],
    ['saddr: ipv4\n', 'saddr: { decode: static }\n', '`values` exactly when `decode` is `static`'],
    [
      'mode: generic',
      'mode: fast',
      'attach.count_packets.mode| `attach.count_packets.mode` must be one of native, generic.',
    ],
    ['name: packets_total', 'name: wait_seconds', 'must have names that differ'],
  ])('refuses %j changed to %j', (from, to, message) => {
    expect(SAMPLE_MANIFEST).toContain(from);
    expect(issuesOf(SAMPLE_MANIFEST.replace(from, to)).join('\n')).toContain(message);
  });

  it('takes one alias, and refuses a bomb of them', () => {
    const shared = 'params: { first: &p { default: 1 }, second: *p }\n';
    expect(parseManifest(`name: ab\nversion: 1.0.0\nsummary: x\n${shared}`).params).toHaveProperty('second.default', 1);
    const levels = Array.from({ length: 12 }, (_, i) => `l${i}: &l${i} [${`*l${i - 1}, `.repeat(9)}1]`).slice(1);
    const bomb = `l0: &l0 [1]\n${levels.join('\n')}`;
    expect(issuesOf(bomb).join()).toContain('cannot be read');
  });

  it('refuses what is no YAML, too long, or no mapping', () => {
    expect(issuesOf('a: [1').join()).toContain('not valid YAML');
    expect(issuesOf(`name: ${'x'.repeat(70_000)}`).join()).toContain('65536 bytes');
    expect(issuesOf('- 1').join()).toContain('The manifest must be a mapping');
    expect(issuesOf('').join()).toContain('The manifest must be a mapping');
  });

  it.each(['['.repeat(30_000), '- '.repeat(15_000), '{a: '.repeat(7_000)])(
    'says that %.3s… is nested too deeply',
    (text) => {
      expect(issuesOf(text)).toEqual(['| The manifest is not valid YAML: it is nested deeper than any manifest is.']);
    },
  );

  it.each(['"a\\0b"', '"a\\u001b[31m"', '"\\ud800"', '"a\0b"'])(
    'refuses the text %j and says where it is',
    (summary) => {
      const message = '`summary` holds a control character; only line ends and tabs may be in a text.';
      expect(issuesOf(`name: tiny\nversion: 0.1.0\nsummary: ${summary}\n`)).toEqual([`summary| ${message}`]);
    },
  );

  it('takes help of several lines', () => {
    const text = 'name: tiny\nversion: 0.1.0\nsummary: x\nparams: { n: { default: 1, help: "one\\n\\ttwo" } }';
    expect(parseManifest(text).params['n']?.help).toBe('one\n\ttwo');
  });
});

describe('parseBytes', () => {
  it.each([
    ['4MiB', 4194304],
    ['1 kB', 1000],
    ['0', 0],
    ['9999999999GiB', undefined],
    ['4M', undefined],
    ['-1', undefined],
    ['1.5MiB', undefined],
  ])('%s is %s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });
});

describe('checkManifest', () => {
  let object: BpfObjectFile;
  beforeAll(() => {
    object = sampleObject();
  });

  it('finds nothing wrong with a manifest that fits', () => {
    expect(checkManifest(parseManifest(SAMPLE_MANIFEST), object)).toEqual([]);
  });

  it.each([
    [
      'map: hists',
      'map: hist',
      'metrics[0].map',
      'The object has no map `hist`; the maps that can be read as a table are bpfleet_drops, hists, traffic, calls, gauge and counts.',
    ],
    ['map: gauge', 'map: events', 'metrics[3].map', 'Map `events` is a ringbuf'],
    ['value: slots', 'value: slot', 'metrics[0].value', 'The value has no member `slot`; it has slots and total_us.'],
    [
      'value: slots',
      'value: total_us',
      'metrics[0].value',
      '`total_us` is an unsigned integer of 64 bits; a histogram is an array of integers.',
    ],
    ['buckets: exp2', 'buckets: { fixed: [1, 2] }', 'metrics[0].value', '`slots` has 6 slots; these buckets need 3.'],
    [
      'value: packets, ',
      '',
      'metrics[1].value',
      'The value is a struct: say which member is meant; it has packets and bytes.',
    ],
    [
      'comm: string, proto',
      'command: string, proto',
      'metrics[0].labels.command',
      'The key has no member `command`; it has comm, protocol, port and saddr.',
    ],
    [
      ', saddr: ipv4, port: port }',
      ' }',
      'metrics[0].labels',
      'Entries that differ only in port and saddr would look alike: give each a label, or take them out of the key.',
    ],
    [
      ', labels: { syscall: syscall }',
      '',
      'metrics[2].labels',
      'Map `calls` has up to 8 entries that would look alike: give its key a label.',
    ],
    ['labels: { pid: unsigned, comm', 'labels: { comm', 'profiles[0].labels', 'Entries that differ only in pid'],
    ['saddr: ipv4, port', 'saddr: ipv6, port', 'metrics[0].labels.saddr', 'an address of IPv6 has 16 bytes'],
    [
      '{ syscall: syscall }',
      '{ syscall: syscall, cpu: unsigned }',
      'metrics[2].labels.syscall',
      'The key of this map is a single value',
    ],
    [
      'struct: exit_event',
      'struct: exec_event',
      'events[1].struct',
      'The object has no struct `exec_event`; it declares exit_event and connect_event. Put BPFLEET_EVENT(exec_event);',
    ],
    [
      'field: ts_ns, clock: boottime }\n    when',
      'field: ts, clock: boottime }\n    when',
      'events[0].time.field',
      'Struct `connect_event` has no member `ts`; it has ts_ns, kind,',
    ],
    [
      'field: ts_ns, clock: boottime }\n    when',
      'field: saddr, clock: boottime }\n    when',
      'events[0].time.field',
      'a time is an unsigned integer of 64 bits',
    ],
    ['result: errno', 'reslt: errno', 'events[0].fields.reslt', 'has no member `reslt`'],
    ['dport: port', 'comm: port', 'events[0].fields.comm', '`port` reads two bytes in network order'],
    [
      'peer.v4: hex\n',
      '\n',
      'events[0].struct',
      '`peer` cannot be a column: it is a union of v4, v6; name the arm that is used in `fields`',
    ],
    ['equals: 2', 'equals: 1', 'events[1].when', '`exit` has the same discriminator as connect.'],
    [
      ', when: { field: kind, equals: 2 }',
      '',
      'events[1].when',
      '`exit` shares map `events` with connect: each needs `when: { field, equals }`.',
    ],
    [
      'stacks: stacks',
      'stacks: counts',
      'profiles[0].stacks',
      'Map `counts` is a hash; the maps that hold stacks are stacks.',
    ],
    [
      'kernel_stack: kernel_stack_id',
      'kernel_stack: kstack',
      'profiles[0].kernel_stack',
      'The key has no member `kstack`; it has pid, kernel_stack_id, user_stack_id and comm.',
    ],
    [
      '  min_us:',
      '  min_ms:',
      'params.min_ms',
      'Nothing uses `min_ms`: the object has no `const volatile` global of that name (it has min_us, by_comm, uid, level, policy and prefix), and no `$min_ms` is in the manifest.',
    ],
    ['max: 255, min: 0', 'max: 256, min: 0', 'params.level', 'does not fit into an unsigned integer of 8 bits'],
    ['policy: { default: ALLOWED }', 'policy: { default: MAYBE }', 'params.policy', 'must be one of ALLOWED, DENIED'],
    ['by_comm: { default: true }', 'by_comm: { default: 1 }', 'params.by_comm', 'is true or false in the program'],
    ['default: 7, unit', 'default: -7, unit', 'params.min_us', 'must be at least 0'],
    [
      '  on_sample:',
      '  on_simple:',
      'attach.on_simple',
      'The object has no program `on_simple`; it has count_packets and on_sample.',
    ],
    ['interface: $interface', 'interface: $iface', 'attach.count_packets.interface', 'There is no parameter `iface`'],
    [
      'interface: $interface',
      'interface: $min_us',
      'attach.count_packets.interface',
      'Parameter `min_us` is a number; a string is needed here.',
    ],
  ])('says what is wrong when %j is %j', (from, to, path, message) => {
    expect(SAMPLE_MANIFEST).toContain(from);
    const issues = checkManifest(parseManifest(SAMPLE_MANIFEST.replace(from, to)), object);
    expect(issues).toContainEqual({ path, message: expect.stringContaining(message) });
  });

  const onTc = { interface: 'eth0' };
  it.each([
    ['tc', undefined, ['interface', 'direction']],
    ['tc', onTc, ['direction']],
    ['classifier', onTc, ['direction']],
    ['tc', { ...onTc, direction: 'egress' }, []],
    ['tcx/ingress', onTc, []],
    ['tcx/ingress', { direction: 'ingress' }, ['interface']],
    ['tc/egress', { ...onTc, direction: 'ingress' }, ['direction']],
    ['xdp', { ...onTc, direction: 'ingress' }, ['direction']],
    ['xdp', onTc, []],
  ] as const)('of a program in %s with %j it wants %j', (section, options, wanted) => {
    const [program] = object.programs;
    if (!program) throw new Error('the sample has programs');
    const manifest = parseManifest(SAMPLE_MANIFEST);
    const attach: ProbeManifest['attach'] = options === undefined ? {} : { p: options };
    const issues = checkManifest(
      { ...manifest, attach },
      { ...object, programs: [{ ...program, name: 'p', section }] },
    );
    expect(issues.map(({ path }) => path).filter((path) => path.startsWith('attach.'))).toEqual(
      wanted.map((member) => `attach.p.${member}`),
    );
  });
});
