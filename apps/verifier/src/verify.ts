import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BtfError, parseBtf, readObject } from '@bpfleet/btf';
import type { BpfMap, BpfObject, ObjectSpec, OpenOptions, ProgramSpec } from '@bpfleet/node-libbpf';
import { LibbpfError, openObject, probeFeatures, VerifierError } from '@bpfleet/node-libbpf';
import { missingHook } from './hooks.js';
import { describeKernel, mayLoadPrograms, readText } from './kernel.js';
import type { KernelReport, MapReport, ProgramReport, VerifierReport } from './report.js';
import type { VerifierRequest } from './request.js';
import { BadRequestError } from './request.js';

const logLevelStats = 4;

/**
 * Loads the object on this kernel. When it is refused as a whole, each program is loaded alone, so that every program has a
 * verdict of its own. Throws BadRequestError when the request does not fit its object.
 */
export function verify({ btf, ...request }: VerifierRequest): VerifierReport {
  if (btf === undefined) return verifyWith({ ...request, btfPath: undefined });
  assertBtf(btf);
  // libbpf takes a path and reads the file again at each load.
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-verifier-'));
  try {
    const btfPath = join(folder, 'kernel.btf');
    writeFileSync(btfPath, btf);
    return verifyWith({ ...request, btfPath });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Asked extends Omit<VerifierRequest, 'btf'> {
  btfPath: string | undefined;
}

function assertBtf(btf: Buffer): void {
  try {
    parseBtf(btf);
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw new BadRequestError('BTF_INVALID', error.message);
  }
}

function verifyWith(request: Asked): VerifierReport {
  const spec = openAsAsked(request, logLevelStats);
  const programs = spec.programs.map(describeProgram);
  const maps: MapReport[] = spec.maps.map(({ name, type }) => ({ name, type }));
  const kernel = describeKernel();
  if (!mayLoadPrograms()) {
    spec.close();
    const reason = 'the verifier runs without CAP_BPF and CAP_SYS_ADMIN';
    return { kernel, verdict: 'unable', reason, loadMs: 0, programs: programs.map(skip), maps };
  }
  const started = performance.now();
  const outcome = tryLoad(spec);
  const loadMs = Math.round((performance.now() - started) * 1000) / 1000;
  if (outcome instanceof LibbpfError) {
    if (isMachineRefusal(outcome)) {
      const reason = `this machine lets the verifier load nothing: ${oneLine(outcome)}`;
      return { kernel, verdict: 'unable', reason, loadMs, programs: programs.map(skip), maps };
    }
    const judged = programs.map((program) => judgeAlone(request, program));
    return { kernel: withJit(kernel, judged), ...conclude(judged, outcome), loadMs, programs: judged, maps };
  }
  const judged = withClosed(outcome, () => ({
    programs: programs.map((program) => describeLoaded(program, outcome)),
    maps: outcome.maps.map(describeMap),
  }));
  return { kernel: withJit(kernel, judged.programs), ...conclude(judged.programs, undefined), loadMs, ...judged };
}

/** What can be told of a loaded object, which is out of the kernel afterwards. */
function withClosed<T>(object: BpfObject, tell: () => T): T {
  try {
    return tell();
  } finally {
    object.close();
  }
}

/** The sysctl exists only in the first network namespace; whether programs became machine code is seen everywhere. */
function withJit(kernel: KernelReport, programs: readonly ProgramReport[]): KernelReport {
  const loaded = programs.find((program) => program.jitedBytes !== undefined);
  if (kernel.jit !== null || loaded === undefined) return kernel;
  return { ...kernel, jit: loaded.jitedBytes === 0 ? '0' : '1' };
}

/** Opens the object and applies the request's globals and choice of programs. Pins are taken away: nothing is pinned. */
function openAsAsked(request: Asked, verifierLogLevel: 0 | 4): ObjectSpec {
  const { object, btfPath, logBytesMax } = request;
  const btf = btfPath === undefined ? {} : { btfCustomPath: btfPath };
  const spec = openChecked(object, { logBytesMax, verifierLogLevel, ...btf });
  try {
    change(spec, request);
    return spec;
  } catch (error) {
    spec.close();
    throw error;
  }
}

function change(spec: ObjectSpec, request: Asked): void {
  for (const map of spec.maps) if (map.pinPath !== undefined) map.pinPath = undefined;
  for (const [name, value] of request.globals) {
    const map = findNamed('map', spec.maps, name);
    const current = map.initialValue;
    if (current?.length !== value.length) {
      const expected =
        current === undefined ? 'has no initial value' : `takes ${current.length} bytes, not ${value.length}`;
      throw new BadRequestError('GLOBALS_INVALID', `map ${name} ${expected}`);
    }
    map.initialValue = value;
  }
  for (const [name, autoload] of request.autoload) findNamed('program', spec.programs, name).autoload = autoload;
}

/** libbpf 1.1 trusts an object's BTF and dies of a type id that is out of range, so our own reader goes first. */
function openChecked(object: Buffer, options: OpenOptions): ObjectSpec {
  try {
    readObject(object);
    return openObject(object, options);
  } catch (error) {
    if (error instanceof LibbpfError || error instanceof BtfError) {
      throw new BadRequestError('OBJECT_INVALID', error.message);
    }
    throw error;
  }
}

function findNamed<Named extends { name: string }>(kind: string, list: readonly Named[], name: string): Named {
  const found = list.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const existing = list.map((entry) => entry.name).join(', ');
  throw new BadRequestError('UNKNOWN_NAME', `no ${kind} ${name}; there are ${existing || 'none'}`);
}

function tryLoad(spec: ObjectSpec): BpfObject | LibbpfError {
  try {
    return spec.load();
  } catch (error) {
    if (error instanceof LibbpfError) return error;
    throw error;
  }
}

/** EPERM where even the simplest map cannot be made: a user namespace, lockdown, or a seccomp filter. */
function isMachineRefusal(error: LibbpfError): boolean {
  return error.errnoName === 'EPERM' && probeFeatures().mapTypes.array !== true;
}

type Described = Omit<ProgramReport, 'verdict'> & { autoload: boolean };

function describeProgram({ name, section, type, instructionCount, autoload }: ProgramSpec): Described {
  return { name, section, type, instructionCount, autoload };
}

function skip({ autoload: _, ...program }: Described): ProgramReport {
  return { ...program, verdict: 'skipped' };
}

/** The verdict about one program of an object that was refused as a whole. */
function judgeAlone(request: Asked, program: Described): ProgramReport {
  if (!program.autoload) return skip(program);
  const withStats = loadAlone(request, program, logLevelStats);
  if (!(withStats instanceof LibbpfError)) return withClosed(withStats, () => describeLoaded(program, withStats));
  // With statistics asked for there is no log of the refusal; without, libbpf loads once more for it.
  const refused = loadAlone(request, program, 0);
  if (refused instanceof LibbpfError) return describeRefusal(program, refused);
  return withClosed(refused, () => describeLoaded(program, refused));
}

function loadAlone(request: Asked, program: Described, logLevel: 0 | 4): BpfObject | LibbpfError {
  const spec = openAsAsked(request, logLevel);
  for (const other of spec.programs) other.autoload = other.name === program.name;
  return tryLoad(spec);
}

function describeLoaded(program: Described, object: BpfObject): ProgramReport {
  if (!program.autoload) return skip(program);
  const { autoload: _, ...facts } = program;
  const info = object.program(program.name).info();
  const stackDepthBytes = parseStackDepth(object.verifierLog(program.name));
  const missing = missingHook(program.section);
  return {
    ...facts,
    verdict: missing === undefined ? 'accepted' : 'unsupported',
    ...(missing === undefined ? {} : { log: missing }),
    verifiedInstructions: info.verifiedInsns,
    ...(stackDepthBytes === undefined ? {} : { stackDepthBytes }),
    jitedBytes: info.jitedBytes,
  };
}

/** `stack depth 64+0+16`: the program and each of its subprograms. */
export function parseStackDepth(log: string): number | undefined {
  const depths = /^stack depth (\d+(?:\+\d+)*)/m.exec(log)?.[1];
  return depths?.split('+').reduce((sum, depth) => sum + Number(depth), 0);
}

function describeRefusal(program: Described, error: LibbpfError): ProgramReport {
  const { autoload: _, ...facts } = program;
  const log = error instanceof VerifierError && error.log !== '' ? error.log : error.message;
  const errno = error.errno === 0 ? {} : { errno: error.errno, errnoName: error.errnoName };
  return { ...facts, verdict: classifyRefusal(program, error), ...errno, log };
}

function classifyRefusal(program: Described, error: LibbpfError): ProgramReport['verdict'] {
  if (isUnsupported(program, error)) return 'unsupported';
  // libbpf names the program at which it stops. What it says without a name is about a map or the whole object.
  const blamed = error instanceof VerifierError || error.message.includes(`prog '${program.name}'`);
  return blamed ? 'refused' : 'skipped';
}

/** Whether the kernel, and not the program, is the reason. */
export function isUnsupported(program: { type: string }, error: LibbpfError): boolean {
  if (!(error instanceof VerifierError)) {
    // The hook of a tp_btf, fentry or lsm program is looked up in the kernel's BTF before the load.
    return /failed to find kernel BTF type ID|kernel BTF is missing|vmlinux BTF is not found/.test(error.message);
  }
  // A verifier that wrote something has judged the program.
  if (error.log.trim() !== '') return false;
  if (error.errnoName === 'EOPNOTSUPP' || error.errnoName === 'ENOTSUPP' || error.errnoName === 'EPERM') return true;
  return error.errnoName === 'EINVAL' && probeFeatures().programTypes[program.type] === false;
}

function describeMap(map: BpfMap): MapReport {
  const bytes = readMapMemory(map.fd);
  return { name: map.name, type: map.type, ...(bytes === undefined ? {} : { bytes }) };
}

function readMapMemory(fd: number): number | undefined {
  const memory = /^memlock:\s*(\d+)$/m.exec(readText(`/proc/self/fdinfo/${fd}`) ?? '')?.[1];
  return memory === undefined ? undefined : Number(memory);
}

/** libbpf prints several lines on its way out. */
function oneLine(error: LibbpfError): string {
  return error.message.replaceAll('\n', '; ');
}

function conclude(
  programs: readonly ProgramReport[],
  whole: LibbpfError | undefined,
): Pick<VerifierReport, 'verdict' | 'reason'> {
  if (programs.some((program) => program.verdict === 'refused')) return { verdict: 'refused' };
  const unsupported = programs.filter((program) => program.verdict === 'unsupported');
  if (unsupported.length > 0) {
    const names = unsupported.map((program) => `${program.name} (${program.section})`).join(', ');
    return { verdict: 'unable', reason: `this kernel does not support ${names}` };
  }
  // No program is to blame and still the object does not load: a map, or programs that need each other.
  if (whole !== undefined) return { verdict: 'refused', reason: oneLine(whole) };
  return { verdict: 'accepted' };
}
