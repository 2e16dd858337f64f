import { readFileSync } from 'node:fs';
import type { BtfValue } from '@bpfleet/btf';
import { requireInteger, requireText } from './arguments.js';
import { BpfObject } from './bpf-object.js';
import { ObjectTypes } from './btf-types.js';
import type { PrivilegedAction } from './capabilities.js';
import { argumentError, LibbpfError, needsOf, succeed, takeLibbpfLines, VerifierError } from './errors.js';
import { findNamed } from './find-named.js';
import type { Global } from './global.js';
import { globalsOf } from './global.js';
import { MapSpec } from './map-spec.js';
import type { NativeObject } from './native.js';
import { native } from './native.js';
import { checkCustomBtf, checkObject } from './object-check.js';
import { OpenedSpec } from './opened-spec.js';
import { ProgramSpec } from './program-spec.js';

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

/** @internal What openObject() opened, and how. */
export interface Opening {
  readonly options: OpenOptions;
  readonly open: (btfCustomPath: string | undefined) => NativeObject | number;
}

/** An object that is open and not loaded: everything in it can still be changed. load() or close() ends it. */
export class ObjectSpec {
  readonly programs: readonly ProgramSpec[];
  readonly maps: readonly MapSpec[];
  readonly #opening: Opening;
  readonly #spec: OpenedSpec;
  readonly #types: ObjectTypes;
  #btfCustomPath: string | undefined;
  #globals: readonly Global[] | undefined;

  /** @internal */
  constructor(object: NativeObject, opening: Opening) {
    this.#opening = opening;
    this.#btfCustomPath = opening.options.btfCustomPath;
    this.#spec = new OpenedSpec(object);
    this.#types = new ObjectTypes(() => this.#spec.opened('read the types of the object'));
    this.programs = object.programs().map((facts, index) => new ProgramSpec(this.#spec, index, facts));
    this.maps = object.maps().map((facts, index) => new MapSpec(this.#spec, this.#types, index, facts));
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
   * The global variables of `.rodata`, `.data` and `.bss`; empty for an object without BTF. Setting one changes what load()
   * gives it. Throws BPF_BTF when the types are malformed.
   */
  get globals(): readonly Global[] {
    this.#spec.opened('read globals');
    this.#globals ??= globalsOf(
      this.#types,
      this.maps.filter((map) => map.isGlobalData).map((map) => map.asSection()),
    );
    return this.#globals;
  }

  /** Throws BPF_ARGUMENT, which names the variables that exist. `Value` is the caller's word: set() checks against BTF. */
  global<Value = BtfValue>(name: string): Global<Value> {
    return findNamed('global', this.globals, name) as unknown as Global<Value>;
  }

  /** BTF that replaces the kernel's for CO-RE relocations. */
  get btfCustomPath(): string | undefined {
    return this.#btfCustomPath;
  }

  /** libbpf takes the path when it opens an object only: this opens it once more and changes it as it was changed. */
  set btfCustomPath(value: string | undefined) {
    const operation = 'set btfCustomPath';
    if (value !== undefined) requireText(operation, 'btfCustomPath', value);
    if (value !== undefined) checkCustomBtf(value);
    this.#spec.reopen(operation, () => this.#opening.open(value));
    this.#btfCustomPath = value;
  }

  /**
   * Creates the maps and loads the programs whose autoload is set. The spec is used up, also when this throws.
   * Throws VerifierError when the kernel refused a program, else BPF_LOAD.
   */
  load(): BpfObject {
    const object = this.#spec.take('load');
    const logLevel = this.#opening.options.verifierLogLevel ?? 0;
    native.takeLog();
    const result = object.load(logLevel, this.#opening.options.logBytesMax ?? 256 * 1024);
    if (result.error >= 0) return this.#wrap(object, result.logs);
    object.close();
    const lines = takeLibbpfLines();
    // The line that libbpf prints for the one program at which it stopped.
    const refused = /^prog '(.+)': BPF program load failed: /m.exec(lines)?.[1];
    const needs = needsOf(-result.error, this.#refusedAction(refused, lines));
    if (refused === undefined) {
      throw new LibbpfError('BPF_LOAD', 'load', -result.error, this.#withBtfPath(lines), needs);
    }
    const log = logLevel === 0 ? result.log : (result.logs[refused] ?? '');
    throw new VerifierError(refused, -result.error, log, lines, log === '' ? needs : []);
  }

  /** What was being done when the kernel refused: libbpf names the program, or the map. */
  #refusedAction(program: string | undefined, lines: string): PrivilegedAction {
    const programType = this.programs.find(({ name }) => name === program)?.type;
    if (programType !== undefined) return { does: 'load', programType };
    const map = /^map '(.+)': failed to create: /m.exec(lines)?.[1];
    const mapType = this.maps.find(({ name }) => name === map)?.type;
    if (mapType !== undefined) return { does: 'create_map', mapType };
    // Its own first try, of a program that does nothing.
    return { does: 'load', programType: 'socket_filter' };
  }

  /** libbpf does not say which file it could not read. */
  #withBtfPath(lines: string): string {
    const about = this.#btfCustomPath !== undefined && lines.includes('failed to parse target BTF');
    return about ? `${this.#btfCustomPath}: ${lines}` : lines;
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
    this.#spec.close();
  }
}

function readObject(source: string | Buffer): Buffer {
  // The caller may use its Buffer again.
  if (Buffer.isBuffer(source)) return Buffer.from(source);
  try {
    return readFileSync(requireText('open object', 'source', source));
  } catch (error) {
    if (error instanceof LibbpfError) throw error;
    const cause = error as NodeJS.ErrnoException;
    throw new LibbpfError('BPF_OPEN', `open object ${source}`, Math.abs(cause.errno ?? 0), cause.code ?? cause.message);
  }
}

/**
 * Opens a BPF object, from a file or from bytes (copied). Nothing reaches the kernel yet.
 * Throws BPF_OPEN when it is not a BPF object that libbpf can parse, or when it is malformed in a way that libbpf trusts it
 * not to be.
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
  checkObject(bytes);
  if (options.btfCustomPath !== undefined) checkCustomBtf(options.btfCustomPath);
  const name = options.name ?? (typeof source === 'string' ? nameFromPath(source) : 'object');
  const open = (btfCustomPath: string | undefined) => native.openObject(bytes, name, btfCustomPath);
  return new ObjectSpec(
    succeed('BPF_OPEN', operation, () => open(options.btfCustomPath)),
    { options, open },
  );
}

/** `/a/trace_exec.bpf.o` → `trace_exec`, as libbpf names objects that it opens by path. */
function nameFromPath(path: string): string {
  return (path.split('/').at(-1) ?? path).split('.')[0] || 'object';
}
