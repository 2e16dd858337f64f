import { fileURLToPath } from 'node:url';
import { loadAddon } from './load-addon.js';
import type { NativeTestRun, TestRunResult } from './test-run.js';

/** The addon's face. Where a result can be a number, a negative one is -errno. Nothing here is exported from the package. */
export interface Native {
  openObject(
    source: string | Buffer,
    name: string | undefined,
    btfCustomPath: string | undefined,
  ): NativeObject | number;
  createMap(
    type: string,
    name: string,
    keyBytes: number,
    valueBytes: number,
    maxEntries: number,
    flags: number,
    extra: number,
    innerMapFd: number,
  ): NativeMap | number;
  NativeRing: new () => NativeRing;
  NativePerf: new () => NativePerf;
  NativeWaker: new () => NativeWaker;
  NativeUserRing: new () => NativeUserRing;
  openPinned(path: string, kind: 'map'): NativeMap | number;
  openPinned(path: string, kind: 'program'): NativeProgram | number;
  openPinned(path: string, kind: 'link'): NativeLink | number;
  openById(kind: 'map', id: number): NativeMap | number;
  openById(kind: 'program', id: number): NativeProgram | number;
  openById(kind: 'link', id: number): NativeLink | number;
  nextId(kind: NativeKind, id: number): number;
  describe(kind: 'program', id: number): (ProgramInfo & NativeDescribed) | number;
  describe(kind: 'map', id: number): (NativeMapDescription & NativeDescribed) | number;
  describe(kind: 'link', id: number): (NativeLinkFacts & NativeDescribed) | number;
  describe(kind: 'btf', id: number): (NativeBtfFacts & NativeDescribed) | number;
  describePin(path: string): { kind: '' | NativeKind; id?: number } | number;
  readBtf(id: number): Buffer | number;
  typeName(of: 'attach' | 'link' | 'program' | 'map', value: number): string;
  openPidfd(pid: number): NativeHandle | number;
  enableStats(): NativeHandle | number;
  clsactCreate(ifindex: number, direction: string): number;
  clsactDestroy(ifindex: number): number;
  tcAttach(
    ifindex: number,
    direction: string,
    programFd: number,
    handle: number,
    priority: number,
    replace: boolean,
  ): NativeFilter | number;
  tcQuery(ifindex: number, direction: string, handle: number, priority: number): NativeFilter | number;
  tcDetach(ifindex: number, direction: string, handle: number, priority: number): number;
  tcFilterCount(ifindex: number, direction: string): number;
  probeTypes(of: 'program' | 'map'): Record<string, boolean>;
  probeType(of: 'program' | 'map', value: number): number;
  probeLoad(
    programType: string,
    attachType: string | undefined,
    instructions: Buffer,
    kernelFunction: string | undefined,
  ): NativeHandle | number;
  probeLink(programFd: number, target: number, attachType: string, of: string): number;
  probeTracing(programFd: number): number;
  probeCommand(name: string): number;
  helperNames(): string[];
  probeHelper(programType: string, helper: number): number;
  lsmIds(): number[] | number;
  possibleCpus(): number;
  libbpfVersion(): string;
  errorText(negativeErrno: number): string;
  takeLog(): string;
  /** See kallsyms-text.ts. */
  takeKallsyms(
    text: Buffer,
    textBytes: number,
    atEnd: boolean,
    codeOnly: boolean,
    state: Uint32Array,
    lows: Uint32Array,
    types: Buffer,
    names: Buffer,
    nameEnds: Uint32Array,
    runs: Uint32Array,
  ): number;
  /** FNV-1a of each line, without its newline; how many there were. */
  hashLines(text: Buffer, into: Uint32Array): number;
  returnFreedMemory(): void;
  droppedHandles(): number;
}

export type NativeKind = 'map' | 'program' | 'link' | 'btf';

export interface NativeHandle {
  fd(): number;
  read(target: Buffer): number;
  close(): void;
}

export interface NativeFilter {
  handle: number;
  priority: number;
  programId: number;
}

export interface NativeProgramFacts {
  name: string;
  section: string;
  type: string;
  attachType: number;
  autoload: boolean;
  instructionCount: number;
}

export interface NativeMapFacts {
  name: string;
  type: string;
  keyBytes: number;
  valueBytes: number;
  maxEntries: number;
  flags: number;
  autocreate: boolean;
  /** It is a section of variables, and not of `.maps`. */
  globalData: boolean;
  /** Global data or struct_ops: libbpf has its content already, and its type and sizes are those of the content. */
  hasContent: boolean;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  pinPath?: string | undefined;
}

export interface NativeObject {
  close(): void;
  programs(): NativeProgramFacts[];
  maps(): NativeMapFacts[];
  btf(): Buffer | undefined | number;
  setAutoload(program: number, autoload: boolean): number;
  setMaxEntries(map: number, maxEntries: number): number;
  setSizes(map: number, keyBytes: number, valueBytes: number): number;
  setFlags(map: number, flags: number): number;
  setAutocreate(map: number, autocreate: boolean): number;
  setMapType(map: number, type: string): number;
  setPinPath(map: number, path: string | undefined): number;
  initialValue(map: number): Buffer | undefined;
  setInitialValue(map: number, value: Buffer): number;
  reuseFd(map: number, fd: number): number;
  load(logLevel: number, logBytesMax: number): { error: number; log: string; logs: Record<string, string> };
  openProgram(program: number): NativeProgram | number;
  openMap(map: number): NativeMap | number;
  setAttachTarget(program: number, targetFd: number, functionName: string): number;
  attach(program: number): NativeLink | number;
  attachKprobe(program: number, functionName: string, offset: bigint, onReturn: boolean): NativeLink | number;
  attachKprobeMulti(program: number, functions: string | string[], onReturn: boolean): NativeLink | number;
  attachUprobe(
    program: number,
    path: string,
    functionName: string | undefined,
    offset: bigint,
    pid: number,
    onReturn: boolean,
  ): NativeLink | number;
  attachUprobeMulti(
    program: number,
    path: string,
    functions: string | string[],
    pid: number,
    onReturn: boolean,
  ): NativeLink | number;
  attachUsdt(program: number, path: string, provider: string, name: string, pid: number): NativeLink | number;
  attachTracepoint(program: number, category: string | undefined, name: string): NativeLink | number;
  attachIterator(program: number, mapFd: number): NativeLink | number;
  attachStructOps(map: number): NativeLink | number;
  updateStructOps(map: number, link: NativeLink): number;
}

export interface ProgramInfo {
  id: number;
  /** At most 15 bytes of the name: what the kernel keeps. */
  name: string;
  type: string;
  /** Hash of the instructions, 16 hexadecimal digits. */
  tag: string;
  /** Counted only while BPF statistics are on (`enableStats`). */
  runCount: bigint;
  runTimeNs: bigint;
  /** Runs that were skipped because the program was already running on that CPU (kernel ≥ 5.12). */
  recursionMisses: bigint;
  xlatedBytes: number;
  jitedBytes: number;
  /** Instructions that the verifier walked (kernel ≥ 5.16, else 0). */
  verifiedInsns: number;
  /** Nanoseconds of CLOCK_BOOTTIME. */
  loadedAtBoottimeNs: bigint;
  /** Who loaded it. */
  ownerUid: number;
  gplCompatible: boolean;
  mapIds: number[];
  /** The BTF of its own types; 0 when it has none. */
  btfId: number;
  /** What it is attached to by type (fentry, LSM, tp_btf, iter; ≥ 6.0), 0 for other programs. */
  attachBtfId: number;
  attachBtfTypeId: number;
  /** The interface that it is offloaded to; 0 for programs that run on the CPU. */
  ifindex: number;
}

export interface NativeProgram {
  close(): void;
  fd(): number;
  info(): ProgramInfo | number;
  pin(path: string): number;
  testRun(run: NativeTestRun): TestRunResult | number;
  attachInterface(ifindex: number, attachType: number, flags: number): NativeLink | number;
  attachSockmap(mapFd: number, attachType: number): NativeLink | number;
  attachNetfilter(protocolFamily: number, hook: number, priority: number, defragment: boolean): NativeLink | number;
  attachPath(path: string, attachType: number): NativeLink | number;
  attachPerfEvent(
    type: number,
    config: bigint,
    frequencyHz: number,
    period: bigint,
    cpu: number,
    pid: number,
  ): NativeLink | number;
}

export interface MapInfo {
  id: number;
  /** At most 15 bytes of the name: what the kernel keeps. */
  name: string;
  type: string;
  keyBytes: number;
  valueBytes: number;
  maxEntries: number;
  /** BPF_F_* as given at creation. */
  flags: number;
  /** The BTF of its key and value, and their type ids in it; 0 where it has none (≥ 4.18). */
  btfId: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  perCpu: boolean;
  valueBufferBytes: number;
}

export interface NativeMap {
  close(): void;
  fd(): number;
  info(): MapInfo;
  lookup(key: Buffer, value: Buffer): number;
  update(key: Buffer, value: Buffer, flags: number): number;
  delete(key: Buffer): number;
  nextKey(key: Buffer | undefined, next: Buffer): number;
  readAll(keys: Buffer, values: Buffer): { count: number; ended: boolean } | number;
  readChunk(
    keys: Buffer,
    values: Buffer,
    token: Buffer,
    walk: number,
  ): { count: number; ended: boolean; walk: number } | number;
  updateBatch(keys: Buffer, values: Buffer, flags: number): { count: number; error: number };
  deleteBatch(keys: Buffer): { count: number; error: number };
  lookupAndDelete(key: Buffer, value: Buffer): number;
  freeze(): number;
  mmap(): Buffer | number;
  pin(path: string): number;
}

/** What native/introspect.cc reads of a link; link-info.ts decodes the bytes of struct bpf_link_info. */
export interface NativeLinkFacts {
  id: number;
  type: string;
  programId: number;
  raw: Buffer;
  text?: string;
}

export interface NativeBtfFacts {
  id: number;
  name: string;
  bytes: number;
  kernel: boolean;
}

export interface NativeMapDescription {
  id: number;
  name: string;
  type: string;
  keyBytes: number;
  valueBytes: number;
  maxEntries: number;
  flags: number;
  btfId: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  ifindex: number;
}

/** The text of /proc/self/fdinfo of the descriptor that was opened for the description. */
export interface NativeDescribed {
  fdinfo: string;
}

export interface NativeLink {
  close(): void;
  info(): NativeLinkFacts | number;
  pin(path: string): number;
  setPinned(pinned: boolean): void;
  update(programFd: number, replacesFd: number | undefined): number;
  detach(): number;
  readIterator(bytesMax: number): Buffer | number;
  openIterator(): NativeHandle | number;
}

export interface NativeRing {
  close(): void;
  open(mapFd: number): number;
  dataBytes(): number;
  drain(target: Buffer, result: BigUint64Array): number;
  commit(position: bigint): number;
  hasFinished(): boolean;
  consumerPosition(): bigint;
  producerPosition(): bigint;
  drainPosition(): bigint;
}

export interface NativePerf {
  close(): void;
  open(mapFd: number, dataBytesPerCpu: number): number;
  drain(target: Buffer, result: BigUint64Array): number;
  commit(position: bigint): number;
  hasFinished(): boolean;
  descriptors(): number[];
}

export interface NativeWaker {
  close(): void;
  open(descriptors: number[]): number;
  arm(callback: () => void): number;
  disarm(): void;
}

export interface NativeUserRing {
  close(): void;
  open(mapFd: number): number;
  write(record: Buffer): number;
}

export const native = loadAddon(fileURLToPath(new URL('.', import.meta.url))) as Native;
