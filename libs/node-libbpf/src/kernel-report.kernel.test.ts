import { expect, it } from '@jest/globals';
import { describeWithKernel, hasCapability } from '@bpfleet/testkit';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CapableChild } from '../fixtures/capable-child.js';
import { refused } from './kernel-features.js';
import { parseKernelConfig } from './kernel-config.js';
import { hasConfig, probeFeatures, probeKernel, readKernelConfig } from './index.js';

const config = [
  '# CONFIG_BPF_LSM is not set',
  'CONFIG_BPF=y',
  'CONFIG_NET_SCH_INGRESS=m',
  'CONFIG_LSM="lockdown,bpf"',
  'CONFIG_HZ=250',
  ' CONFIG_INDENTED=y',
  'CONFIG_BAD NAME=y',
  `CONFIG_LONG=${'x'.repeat(5000)}`,
].join('\n');

it('reads a kernel configuration', () => {
  const options = parseKernelConfig(config);
  expect(Object.fromEntries(options)).toEqual({ BPF: 'y', NET_SCH_INGRESS: 'm', LSM: 'lockdown,bpf', HZ: '250' });
  const read = { path: '/x', options };
  expect(['BPF', 'NET_SCH_INGRESS', 'BPF_LSM', 'HZ'].map((name) => hasConfig(read, name))).toEqual([
    'yes',
    'module',
    'no',
    'yes',
  ]);
  expect(hasConfig({ path: undefined, options: new Map() }, 'BPF')).toBe('unknown');
});

it('finds a configuration in the first place that has one, and takes no bomb', () => {
  const folder = mkdtempSync(join(tmpdir(), 'node-libbpf-config-'));
  const file = (name: string, bytes: Buffer | string) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  try {
    const good = file('good.gz', gzipSync(config));
    const bomb = file('bomb.gz', gzipSync(Buffer.alloc(64 << 20)));
    const cut = file('cut.gz', gzipSync(config).subarray(0, 40));
    expect(readKernelConfig([join(folder, 'none'), cut, bomb, file('text', 'hello'), good]).path).toBe(good);
    expect(readKernelConfig([file('plain', config)]).options.get('HZ')).toBe('250');
    expect(readKernelConfig([bomb, cut])).toEqual({ path: undefined, options: new Map() });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('takes a refusal for a no only when every capability is there', () => {
  const facts = (...effective: ('CAP_BPF' | 'CAP_PERFMON')[]) => ({
    effective: new Set(effective),
    kernel: [6, 12] as const,
    machine: 'x86_64',
    unprivilegedBpfDisabled: 2,
    perfEventParanoid: 2,
    tracefsReadable: true,
  });
  const load = { does: 'load', programType: 'tracing' } as const;
  expect(refused(1, load, facts('CAP_BPF'))).toEqual({ answer: 'unknown', why: 'needs CAP_PERFMON' });
  expect(refused(1, load, facts('CAP_BPF', 'CAP_PERFMON'))).toMatchObject({ answer: 'no' });
  expect(refused(22, load, facts())).toEqual({ answer: 'no', why: 'EINVAL' });
});

describeWithKernel('kernel report', ['root', 'bpf'], () => {
  it('answers everything for a process that may try, goes through JSON unchanged, and leaves nothing behind', () => {
    // Nothing of it is pinned, so what it left would be a descriptor.
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const before = descriptors();
    const report = probeKernel({ helpersOf: ['xdp', 'tracing'] });
    expect(descriptors()).toBe(before);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    const all = { ...report.programTypes, ...report.mapTypes };
    expect(Object.entries(all).filter(([, answer]) => answer === 'unknown')).toEqual([]);
    expect(report.mapTypes.hash).toBe('yes');
    expect(report.programTypes.socket_filter).toBe('yes');
    expect(report.features.isa_v2).toBe('yes');
    expect(report.helpers.xdp).toContain('xdp_adjust_head');
    expect(report.helpers.xdp).not.toContain('skb_load_bytes');
    expect(report.helpers.tracing).toBeNull();
    expect(() => probeKernel({ helpersOf: ['nothing'] })).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
  });

  it('agrees with the older question and with other evidence', () => {
    const report = probeKernel();
    const types = probeFeatures();
    for (const [name, present] of Object.entries({ ...types.programTypes, ...types.mapTypes })) {
      expect([name, { ...report.programTypes, ...report.mapTypes }[name]]).toEqual([name, present ? 'yes' : 'no']);
    }
    expect(report.features.btf).toBe(hasCapability('btf') ? 'yes' : 'no');
    expect(report.features.kprobes).toBe(hasCapability('kprobe') ? 'yes' : 'no');
    expect(report.features.uprobes).toBe(hasCapability('uprobe') ? 'yes' : 'no');
    if (report.config.path !== null && report.config.options.NETFILTER_BPF_LINK === undefined) {
      expect(report.features.netfilter_links).toBe('no');
    }
    if (report.programTypes.tracing === 'no') expect(report.features.fentry).toBe('no');
  });

  it('says unknown, and why, to a process that may not try', () => {
    const child = new CapableChild();
    const script = `import(${JSON.stringify(child.library)}).then((l) => console.log(JSON.stringify(l.probeKernel({ helpersOf: ['xdp'] }))))`;
    const { stdout, stderr } = child.run([], ['-e', script]);
    child.close();
    expect(stderr).toBe('');
    const report = JSON.parse(stdout) as ReturnType<typeof probeKernel>;
    expect(report.capabilities).toEqual([]);
    expect(report.programTypes.xdp).toBe('unknown');
    expect(report.why['programTypes.xdp']).toBe('needs CAP_BPF, CAP_NET_ADMIN');
    expect(report.features.fentry).not.toBe('yes');
    expect(report.features.statistics).toBe('unknown');
    expect(report.why['features.statistics']).toBe('needs CAP_SYS_ADMIN');
    expect(report.helpers.xdp).toBeNull();
    expect(report.features.btf).toBe(hasCapability('btf') ? 'yes' : 'no');
    expect(Object.values({ ...report.programTypes, ...report.mapTypes })).not.toContain('no');
  });
});
