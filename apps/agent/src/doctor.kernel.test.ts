import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { attachTypes, capabilitiesToAttach, listPrograms } from '@bpfleet/node-libbpf';
import { describeWithKernel } from '@bpfleet/testkit';
import type { DoctorReport } from './core/doctor.js';
import { AgentBundle } from './testing/agent-bundle.js';
import { asUser } from './testing/as-user.js';

describeWithKernel('bpfleet-agent doctor', ['root', 'bpf', 'bpffs', 'tracefs', 'netns', 'cgroup2'], () => {
  let bundle: AgentBundle;
  beforeAll(() => {
    bundle = new AgentBundle();
  });
  afterAll(() => bundle.close());

  /** In a network namespace of its own, whose loopback nobody else's XDP program is on. */
  function doctor(
    privileges: readonly string[] = [],
    bpffs = '/sys/fs/bpf',
  ): { report: DoctorReport; code: number | null } {
    const script = 'ip link set lo up && exec "$@"';
    const command = [...privileges, process.execPath, bundle.program, 'doctor', '--json', '--bpffs', bpffs];
    const { stdout, stderr, status } = spawnSync('unshare', ['--net', 'sh', '-c', script, 'sh', ...command], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return { report: JSON.parse(stdout) as DoctorReport, code: status };
  }
  const missingOf = (report: DoctorReport) =>
    new Map(report.trials.map(({ name, works, missing }) => [name, works ? [] : missing]));

  it('finds as root what works here, and leaves nothing behind', () => {
    const { report, code } = doctor();
    expect(code).toBe(0);
    expect(report).toMatchObject({ format: 1, user: 0, canWork: true });
    const missing = missingOf(report);
    for (const name of [
      'tracepoint',
      'raw_tp',
      'perf_event',
      'xdp',
      'tcx',
      'sk_lookup',
      'map',
      'ring_buffer',
      'pins',
      'tracefs',
    ])
      expect([name, missing.get(name)]).toEqual([name, []]);
    expect(report.trials.filter(({ works, missing: names }) => !works && names.length === 0)).toEqual([]);
    // By name: other tests pin and unpin in the same bpffs meanwhile.
    const pins = readdirSync('/sys/fs/bpf').filter((name) => name.startsWith('bpfleet_doctor_'));
    expect({ pins, programs: namesOf(listPrograms()) }).toEqual({ pins: [], programs: [] });
  });

  it.each([[['bpf', 'perfmon', 'net_admin']], [['bpf', 'perfmon', 'net_admin', 'dac_read_search', 'syslog']]])(
    'names for an ordinary user with %j what is missing, as the kernel asks for it',
    (held) => {
      const asRoot = missingOf(doctor().report);
      const { report, code } = doctor(asUser(held), bundle.folder);
      expect([report.user, code]).toEqual([65_534, 0]);
      const capabilities = held.map((name) => `CAP_${name.toUpperCase()}`);
      for (const [name, missing] of missingOf(report)) {
        const type = attachTypes.find((entry) => entry.name === name);
        if (type === undefined || asRoot.get(name)?.length !== 0) continue;
        const lacks = capabilitiesToAttach(type).filter((one) => !capabilities.includes(one));
        expect([name, missing]).toEqual([name, lacks]);
      }
      const missing = missingOf(report);
      expect(missing.get('run_time_statistics')).toEqual(['CAP_SYS_ADMIN']);
      expect(missing.get('objects_by_id')).toEqual(['CAP_SYS_ADMIN']);
      expect(missing.get('kernel_symbols')).toEqual(held.includes('syslog') ? [] : ['CAP_SYSLOG']);
      expect(missing.get('tracefs')).toEqual(held.includes('dac_read_search') ? [] : ['CAP_DAC_READ_SEARCH']);
      expect(missing.get('pins')).toEqual([`a bpffs at ${bundle.folder} (mount -t bpf bpf ${bundle.folder})`]);
    },
  );

  it('says what to do where nothing can be loaded', () => {
    const { report, code } = doctor(asUser([]));
    expect([code, report.canWork]).toEqual([1, false]);
    expect(report.verdict).toBe(
      'the agent cannot work here: no map can be made; run it as root or give it CAP_BPF, as its systemd unit does',
    );
  });
});

function namesOf(programs: ReturnType<typeof listPrograms>): string[] {
  return programs.map(({ name }) => name).filter((name) => name === 'doctor');
}
