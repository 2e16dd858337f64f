import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import type { VmTarget } from '@bpfleet/vm';
import { repositoryDir, Stack } from './stack.js';
import { VmDevice } from './vm-device.js';
import { UPROBE } from './vm-privilege.js';
import { HOST_FROM_VM } from './vm-workload.js';

export const BUILT_IN = [
  ...['count_packets', 'count_syscalls', 'profile_cpu', 'run_queue_latency', 'trace_exec', 'trace_tcp'],
];
/** And more, each for something that some of these kernels lack, or all of them: the last one loads and finds no hook. */
export const MADE = [
  ...['fork_by_tracepoint', 'unlink_by_kprobe', 'packets_by_cgroup', 'enter_by_tp_btf', 'add_by_loop'],
  ...['state_before_5_14', 'tai_by_helper', 'with_user_ring', 'unlink_by_fentry', 'unlink_by_lsm'],
  ...['packets_by_tc', 'kprobe_gone'],
];
/** Made by pahole from the kernel's debug package (scripts/fetch-kernel-btf.mjs): what an administrator of such devices has. */
const ARMHF_BTF_PACKED = join(repositoryDir, 'libs/btf/test/kernels/armhf-6.1.btf.br');

/** The lab boots each kernel once more, so only `npm run test:vm` asks it. */
export const WITH_LAB = process.env.BPFLEET_VM_TESTS === 'all';

/** The product with all probes published and assigned to every device, ready for devices in VMs. */
export class VmFleet {
  private readonly releases = new Map<string, string>();
  // Made by `start`: a file whose tests are all left out makes a fleet that nobody stops.
  private folder = '';
  /** What devices connect to. */
  private http: Server | undefined;
  private running: Stack | undefined;
  private readonly devices = new Map<VmTarget, Promise<VmDevice>>();
  private readonly stopping = new AbortController();

  /** `archs`: of the packages to build. */
  async start(archs: readonly ('arm64' | 'armv7')[]): Promise<void> {
    this.folder = mkdtempSync(join(tmpdir(), 'bpfleet-arm-'));
    this.http = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
    const packages = join(this.folder, 'packages');
    const script = join(repositoryDir, 'apps/agent/package/main.mjs');
    const options = [
      ...archs.flatMap((arch) => ['--arch', arch]),
      '--format',
      'deb',
      '--compression',
      'gzip',
      '--out',
      packages,
    ];
    const build = promisify(execFile)(process.execPath, [script, ...options], { maxBuffer: 1 << 24 });
    // Awaited below: until then a failure must not count as one that nobody sees.
    build.catch(() => undefined);
    this.running = await Stack.start({
      deviceHost: HOST_FROM_VM,
      environment: {
        BPFLEET_PACKAGES_DIR: packages,
        BPFLEET_FURTHER_PROGRAM_TYPES: 'lsm',
        // This machine's kernel is none of theirs: only the lab's say what they would do.
        BPFLEET_PROVE_ON_HOST: 'nobody',
      },
    });
    for (const probe of BUILT_IN) await this.assign(probe, join(repositoryDir, 'libs/probes', probe));
    for (const probe of MADE) await this.assign(probe, join(import.meta.dirname, '../probes', probe));
    await this.publish(UPROBE, join(import.meta.dirname, '../probes', UPROBE));
    writeFileSync(this.armhfBtf, brotliDecompressSync(readFileSync(ARMHF_BTF_PACKED)));
    await build;
    if (WITH_LAB) await this.stack.startPart('lab');
  }

  get stack(): Stack {
    if (this.running === undefined) throw new Error('the fleet was not started');
    return this.running;
  }

  get httpPort(): number {
    return (this.http?.address() as AddressInfo).port;
  }

  get armhfBtf(): string {
    return join(this.folder, 'vmlinux.btf');
  }

  releaseOf(probe: string): string {
    const release = this.releases.get(probe);
    if (release === undefined) throw new Error(`${probe} was not published`);
    return release;
  }

  /** A device that is installed and online; one that was begun earlier is waited for. `stop` stops it, if nobody did before. */
  device(target: VmTarget): Promise<VmDevice> {
    const begun = this.devices.get(target) ?? VmDevice.start(this.stack, target, this.stopping.signal);
    this.devices.set(target, begun);
    // Whoever asks for it is told.
    begun.catch(() => undefined);
    return begun;
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the tests are over'));
    for (const device of this.devices.values())
      await device.then(
        (one) => one.stop(),
        () => undefined,
      );
    this.http?.close();
    await this.running?.stop();
    if (this.folder !== '') rmSync(this.folder, { recursive: true, force: true });
  }

  private async publish(probe: string, source: string): Promise<string> {
    const releaseId = await this.stack.publish(source);
    this.releases.set(probe, releaseId);
    return releaseId;
  }

  private async assign(probe: string, source: string): Promise<void> {
    const releaseId = await this.publish(probe, source);
    await this.stack.api.call('createAssignment', { body: { releaseId, selector: 'all', params: {} } });
  }
}
