import {
  BpfMap,
  enableStats,
  KernelSymbols,
  LibbpfError,
  Link,
  openObject,
  possibleCpus,
  probeKernel,
  Program,
  returnFreedMemory,
  VerifierError,
  type BpfObject,
  type MapSpec,
  type ObjectSpec,
  type StatsHandle,
} from '@bpfleet/node-libbpf';
import { kernelFeatures } from '@bpfleet/probe';
import { AgentError } from '../agent-error.js';
import type { KernelIds } from '../core/run-record.js';
import { ensureBpffs, isPinnable, PinFolder } from './bpffs.js';
import { LibbpfRun } from './libbpf-run.js';
import { missingTypedHook } from './missing-hook.js';
import type { Kernel, KernelRun, LoadRequest, SymbolTable } from './port.js';

const LOG_BYTES_MAX = 60 * 1024;

/** The kernel this process runs on, through libbpf. */
export class LibbpfKernel implements Kernel {
  readonly cpus = possibleCpus();
  readonly features: readonly string[];
  readonly lacks: readonly string[];
  private readonly pins: PinFolder;
  private readonly pinning: boolean;
  private readonly bootId: string;
  private stats: StatsHandle | undefined;

  constructor({ device, bootId, bpffs }: { device: string; bootId: string; bpffs: string }) {
    this.bootId = bootId;
    this.pins = new PinFolder(bpffs, device);
    this.pinning = ensureBpffs(bpffs);
    ({ features: this.features, lacks: this.lacks } = kernelFeatures(probeKernel()));
  }

  load(request: LoadRequest): KernelRun {
    const { run } = request;
    this.removePins(run);
    const object = loadObject(request);
    const pinned = this.pinning && this.pinAll(run, object);
    return new LibbpfRun({
      bootId: this.bootId,
      run,
      pins: this.pins,
      pinned,
      object,
      programs: new Map(object.programs.map((program) => [program.name, program])),
      maps: new Map(object.maps.map((map) => [map.name, map])),
    });
  }

  adopt(run: string, ids: KernelIds): KernelRun | undefined {
    if (!this.pinning || ids.bootId !== this.bootId || ids.links.length === 0) return undefined;
    const opened: { close(): void }[] = [];
    const keep = <T extends { close(): void }>(handle: T): T => {
      opened.push(handle);
      return handle;
    };
    try {
      const programs = ids.programs.map(({ name, id }) => ({
        name,
        id,
        handle: keep(Program.openPinned(this.pins.path(run, 'programs', name))),
      }));
      // What has no pin (global data) lives inside of its programs.
      const maps = ids.maps
        .filter(({ name }) => isPinnable(name))
        .map(({ name, id }) => ({ name, id, handle: keep(BpfMap.openPinned(this.pins.path(run, 'maps', name))) }));
      const links = ids.links.map(({ pin, id }) => ({
        pin: pin ?? '',
        id,
        handle: keep(Link.openPinned(this.pins.path(run, 'links', pin ?? ''))),
      }));
      if ([...programs, ...maps, ...links].some(({ id, handle }) => handle.id !== id))
        throw new Error('other kernel ids');
      return new LibbpfRun(
        {
          bootId: this.bootId,
          run,
          pins: this.pins,
          pinned: true,
          object: undefined,
          programs: new Map(programs.map(({ name, handle }) => [name, handle])),
          maps: new Map(maps.map(({ name, handle }) => [name, handle])),
        },
        links.map(({ pin, handle }) => ({ pin, link: handle })),
      );
    } catch {
      for (const handle of opened) handle.close();
      return undefined;
    }
  }

  pinnedRuns(): string[] {
    return this.pins.runs();
  }

  removePins(run: string): void {
    this.pins.remove(run);
  }

  measure(on: boolean): boolean {
    if (!on) {
      this.stats?.close();
      this.stats = undefined;
      return false;
    }
    try {
      this.stats ??= enableStats();
    } catch {
      // Below 5.8, or without CAP_SYS_ADMIN: the runs say "unmeasured".
      return false;
    }
    return true;
  }

  async readSymbols(): Promise<SymbolTable> {
    const symbols = await KernelSymbols.readInSteps();
    return { nameOf: (address) => symbols.resolve(address)?.name };
  }

  returnFreedMemory(): void {
    returnFreedMemory();
  }

  close(): void {
    this.measure(false);
  }

  /** All or nothing: half a set of pins could never be adopted. */
  private pinAll(run: string, object: BpfObject): boolean {
    try {
      this.pins.create(run);
      for (const program of object.programs) program.pin(this.pins.path(run, 'programs', program.name));
      for (const map of object.maps.filter(({ name }) => isPinnable(name))) {
        map.pin(this.pins.path(run, 'maps', map.name));
      }
      return true;
    } catch {
      this.pins.remove(run);
      return false;
    }
  }
}

function loadObject({ name, object, globals, btfPath }: LoadRequest): BpfObject {
  const btf = btfPath === undefined ? {} : { btfCustomPath: btfPath };
  const spec = opening(() => openObject(object, { name, logBytesMax: LOG_BYTES_MAX, ...btf }));
  try {
    for (const [section, bytes] of globals) {
      const map = globalMap(spec, section);
      if (map) map.initialValue = Buffer.from(bytes);
    }
    return spec.load();
  } catch (error) {
    spec.close();
    throw loadError(error);
  }
}

/** libbpf names the map of `.rodata` after the object: `trace_ex.rodata`. */
function globalMap(spec: ObjectSpec, section: string): MapSpec | undefined {
  return spec.maps.find(({ name }) => name === section) ?? spec.maps.find(({ name }) => name.endsWith(section));
}

function opening(open: () => ObjectSpec): ObjectSpec {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof LibbpfError)) throw error;
    throw new AgentError('OBJECT_INVALID', error.message, { errnoName: error.errnoName });
  }
}

function loadError(error: unknown): unknown {
  if (error instanceof VerifierError) {
    const facts = { program: error.program, errnoName: error.errnoName };
    return new AgentError(
      'VERIFIER_REFUSED',
      `the kernel refused ${error.program}: ${error.errnoName}`,
      facts,
      error.log,
    );
  }
  if (error instanceof LibbpfError) {
    const facts = { errno: error.errno, errnoName: error.errnoName };
    const missing = missingTypedHook(error.message);
    if (missing !== undefined) return new AgentError('HOOK_MISSING', missing, facts);
    return new AgentError('LOAD_FAILED', error.message, facts);
  }
  return error;
}
