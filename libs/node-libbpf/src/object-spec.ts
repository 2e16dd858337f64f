import { readFileSync } from 'node:fs';
import { requireBuffer, requireInteger, requireText } from './arguments.js';
import { BpfObject } from './bpf-object.js';
import { argumentError, attempt, closedError, LibbpfError, succeed, takeLibbpfLines, VerifierError } from './errors.js';
import { findNamed } from './find-named.js';
import { BpfMap } from './map.js';
import type { NativeMapFacts, NativeObject, NativeProgramFacts } from './native.js';
import { native } from './native.js';
import { Program } from './program.js';

export interface OpenOptions {
  /** The object's name; libbpf puts its beginning before the kernel names of global data maps. */
  name?: string;
  /** BTF that replaces the kernel's for CO-RE relocations, for kernels that have none. */
  btfCustomPath?: string;
  /** How much of a verifier log is kept (its end), in bytes; 256 KiB unless told. */
  logBytesMax?: number;
  /**
   * What the verifier writes about programs it accepts: 0 nothing (a refused program is loaded once more for its log),
   * 1 the log, 2 more of it, 4 statistics only. Read with `BpfObject.verifierLog`. With a level other than 0 libbpf does
   * not try again, so the log of a refused program has that level too.
   */
  verifierLogLevel?: 0 | 1 | 2 | 4;
}

interface OpenedSpec {
  native: NativeObject | undefined;
}

function opened(spec: OpenedSpec, operation: string): NativeObject {
  if (spec.native === undefined) throw closedError(operation);
  return spec.native;
}

/** A program of an object that is not loaded yet. */
export class ProgramSpec {
  readonly name: string;
  /** The ELF section, which says by its name where libbpf attaches: `tracepoint/sched/sched_process_exec`. */
  readonly section: string;
  readonly type: string;
  readonly instructionCount: number;
  readonly #spec: OpenedSpec;
  readonly #index: number;
  #autoload: boolean;

  /** @internal */
  constructor(spec: OpenedSpec, index: number, facts: NativeProgramFacts) {
    this.name = facts.name;
    this.section = facts.section;
    this.type = facts.type;
    this.instructionCount = facts.instructionCount;
    this.#spec = spec;
    this.#index = index;
    this.#autoload = facts.autoload;
  }

  /** Whether load() loads it. */
  get autoload(): boolean {
    return this.#autoload;
  }

  set autoload(value: boolean) {
    const operation = `set autoload of ${this.name}`;
    const object = opened(this.#spec, operation);
    attempt('BPF_ARGUMENT', operation, () => object.setAutoload(this.#index, value === true));
    this.#autoload = value === true;
  }

  /** For fentry, fexit, fmod_ret, tp_btf, LSM and freplace (≥ 5.6; needs BTF of the target). */
  setAttachTarget(target: AttachTarget): void {
    const operation = `set attach target of ${this.name}`;
    const object = opened(this.#spec, operation);
    const name = requireText(operation, 'function', target.function);
    if (target.program !== undefined && !(target.program instanceof Program)) {
      throw argumentError(operation, 'program must be a Program');
    }
    const fd = target.program?.fd ?? -1;
    attempt('BPF_ARGUMENT', operation, () => object.setAttachTarget(this.#index, fd, name));
  }
}

/** What a tracing or `freplace` program is put on, when the ELF section does not say: set before load(). */
export interface AttachTarget {
  /** A function of the kernel, of a module, or of `program`. */
  function: string;
  /** The loaded BPF program that has the function; without it, the kernel. */
  program?: Program;
}

/** A map of an object that is not loaded yet. Global data are maps too: `.rodata`, `.data`, `.bss`. */
export class MapSpec {
  readonly name: string;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Type ids in the object's BTF; 0 where the map has none. */
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
  readonly #spec: OpenedSpec;
  readonly #index: number;
  #type: string;
  #maxEntries: number;
  #pinPath: string | undefined;

  /** @internal */
  constructor(spec: OpenedSpec, index: number, facts: NativeMapFacts) {
    this.name = facts.name;
    this.keyBytes = facts.keyBytes;
    this.valueBytes = facts.valueBytes;
    this.btfKeyTypeId = facts.btfKeyTypeId;
    this.btfValueTypeId = facts.btfValueTypeId;
    this.#spec = spec;
    this.#index = index;
    this.#type = facts.type;
    this.#maxEntries = facts.maxEntries;
    this.#pinPath = facts.pinPath;
  }

  get type(): string {
    return this.#type;
  }

  /** Another type by its libbpf name, such as `perf_event_array` for a ring buffer below 5.8. */
  set type(value: string) {
    const operation = `set type of map ${this.name}`;
    const object = opened(this.#spec, operation);
    requireText(operation, 'type', value);
    attempt('BPF_ARGUMENT', operation, () => object.setMapType(this.#index, value));
    this.#type = value;
  }

  get maxEntries(): number {
    return this.#maxEntries;
  }

  /** Ring buffers are rounded up to a power of two of pages by libbpf; reading back says what it became. */
  set maxEntries(value: number) {
    const operation = `set maxEntries of map ${this.name}`;
    const object = opened(this.#spec, operation);
    requireInteger(operation, 'maxEntries', value, 1, 0xffff_ffff);
    this.#maxEntries = attempt('BPF_ARGUMENT', operation, () => object.setMaxEntries(this.#index, value));
  }

  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  /** Where load() pins it. A compatible map that is already there is taken instead of a new one. */
  set pinPath(value: string | undefined) {
    const operation = `set pinPath of map ${this.name}`;
    const object = opened(this.#spec, operation);
    if (value !== undefined) requireText(operation, 'pinPath', value);
    attempt('BPF_ARGUMENT', operation, () => object.setPinPath(this.#index, value));
    this.#pinPath = value;
  }

  /** A copy of the global data; undefined for maps that have none. */
  get initialValue(): Buffer | undefined {
    return opened(this.#spec, `read initialValue of map ${this.name}`).initialValue(this.#index);
  }

  set initialValue(value: Buffer) {
    const operation = `set initialValue of map ${this.name}`;
    const current = opened(this.#spec, operation).initialValue(this.#index);
    if (current === undefined) throw argumentError(operation, 'this map has no initial value');
    requireBuffer(operation, 'initialValue', value, current.length);
    attempt('BPF_ARGUMENT', operation, () => opened(this.#spec, operation).setInitialValue(this.#index, value));
  }

  /** load() uses this existing map instead of creating one. It must have the same type and sizes. */
  reuse(map: BpfMap): void {
    const operation = `reuse a map for ${this.name}`;
    if (!(map instanceof BpfMap)) throw argumentError(operation, 'expected a BpfMap');
    const object = opened(this.#spec, operation);
    // libbpf takes over whatever the descriptor is, and the program would meet another map than it was compiled for.
    if (map.type !== this.type || map.keyBytes !== this.keyBytes || map.valueBytes !== this.valueBytes) {
      const found = `a ${map.type} map with keys of ${map.keyBytes} and values of ${map.valueBytes} bytes`;
      throw argumentError(operation, `expected ${this.type}, ${this.keyBytes} and ${this.valueBytes}, not ${found}`);
    }
    attempt('BPF_MAP', operation, () => object.reuseFd(this.#index, map.fd));
  }
}

/** An object that is open and not loaded: everything in it can still be changed. load() or close() ends it. */
export class ObjectSpec {
  readonly programs: readonly ProgramSpec[];
  readonly maps: readonly MapSpec[];
  readonly #spec: OpenedSpec;
  readonly #logBytesMax: number;
  readonly #logLevel: number;

  /** @internal */
  constructor(object: NativeObject, options: OpenOptions) {
    this.#spec = { native: object };
    this.#logBytesMax = options.logBytesMax ?? 256 * 1024;
    this.#logLevel = options.verifierLogLevel ?? 0;
    this.programs = object.programs().map((facts, index) => new ProgramSpec(this.#spec, index, facts));
    this.maps = object.maps().map((facts, index) => new MapSpec(this.#spec, index, facts));
  }

  /** Throws BPF_ARGUMENT, which names the programs that exist. */
  program(name: string): ProgramSpec {
    return findNamed('program', this.programs, name);
  }

  /** Throws BPF_ARGUMENT, which names the maps that exist. */
  map(name: string): MapSpec {
    return findNamed('map', this.maps, name);
  }

  /**
   * Creates the maps and loads the programs whose autoload is set. The spec is used up, also when this throws.
   * Throws VerifierError when the kernel refused a program, else BPF_LOAD.
   */
  load(): BpfObject {
    const object = opened(this.#spec, 'load');
    native.takeLog();
    const result = object.load(this.#logLevel, this.#logBytesMax);
    this.#spec.native = undefined;
    if (result.error >= 0) return this.#wrap(object, result.logs);
    object.close();
    const lines = takeLibbpfLines();
    // The line that libbpf prints for the one program at which it stopped.
    const refused = /^prog '(.+)': BPF program load failed: /m.exec(lines)?.[1];
    if (refused === undefined) throw new LibbpfError('BPF_LOAD', 'load', -result.error, lines);
    const log = this.#logLevel === 0 ? result.log : (result.logs[refused] ?? '');
    throw new VerifierError(refused, -result.error, log, lines);
  }

  #wrap(object: NativeObject, logs: Record<string, string>): BpfObject {
    try {
      return new BpfObject(object, this.programs, this.maps, logs);
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** Closes the object without loading it. Idempotent; nothing to do after load(). */
  close(): void {
    this.#spec.native?.close();
    this.#spec.native = undefined;
  }
}

const elfHeaderBytes = 64;
const machineBpf = 247;

function readObject(source: string | Buffer): Buffer {
  if (Buffer.isBuffer(source)) return source;
  try {
    return readFileSync(requireText('open object', 'source', source));
  } catch (error) {
    if (error instanceof LibbpfError) throw error;
    const cause = error as NodeJS.ErrnoException;
    throw new LibbpfError('BPF_OPEN', `open object ${source}`, Math.abs(cause.errno ?? 0), cause.code ?? cause.message);
  }
}

/** Says in words what libbpf says with LIBBPF_FORMAT. */
function requireBpfElf(bytes: Buffer): void {
  const refuse = (detail: string): never => {
    throw new LibbpfError('BPF_OPEN', 'open object', 0, detail);
  };
  if (bytes.length < elfHeaderBytes || bytes.readUInt32BE(0) !== 0x7f454c46) refuse('not an ELF file');
  const littleEndian = bytes[5] === 1;
  const machine = littleEndian ? bytes.readUInt16LE(18) : bytes.readUInt16BE(18);
  if (bytes[4] !== 2 || machine !== machineBpf) refuse(`an ELF file, but not for BPF (machine ${machine})`);
}

/**
 * Opens a BPF object, from a file or from bytes (copied). Nothing reaches the kernel yet.
 * Throws BPF_OPEN when it is not a BPF object that libbpf can parse.
 */
export function openObject(source: string | Buffer, options: OpenOptions = {}): ObjectSpec {
  const operation = 'open object';
  if (typeof source !== 'string' && !Buffer.isBuffer(source)) {
    throw argumentError(operation, 'source must be a path or a Buffer');
  }
  if (options.name !== undefined) requireText(operation, 'name', options.name);
  if (options.btfCustomPath !== undefined) requireText(operation, 'btfCustomPath', options.btfCustomPath);
  if (options.logBytesMax !== undefined) requireInteger(operation, 'logBytesMax', options.logBytesMax, 1024, 1 << 24);
  if (![undefined, 0, 1, 2, 4].includes(options.verifierLogLevel)) {
    throw argumentError(operation, 'verifierLogLevel must be 0, 1, 2 or 4');
  }
  const bytes = readObject(source);
  requireBpfElf(bytes);
  const name = options.name ?? (typeof source === 'string' ? nameFromPath(source) : 'object');
  const object = succeed('BPF_OPEN', operation, () => native.openObject(bytes, name, options.btfCustomPath));
  return new ObjectSpec(object, options);
}

/** `/a/trace_exec.bpf.o` → `trace_exec`, as libbpf names objects that it opens by path. */
function nameFromPath(path: string): string {
  return (path.split('/').at(-1) ?? path).split('.')[0] || 'object';
}
