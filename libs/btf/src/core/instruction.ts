/** Views of BPF instructions: eight bytes each, fields in the byte order of the object. */
export const OPCODE = {
  ldImm64: 0x18,
  jump: 0x05,
  longJump: 0x06,
  call: 0x85,
  exit: 0x95,
  movImm: 0xb7,
  movReg: 0xbf,
  addImm: 0x07,
  addReg: 0x0f,
} as const;
export const CLASS = { ld: 0, ldx: 1, st: 2, stx: 3, alu: 4, jmp: 5, jmp32: 6, alu64: 7 } as const;
/** What libbpf makes of an instruction that must never run: a call of a helper that no kernel has. */
export const POISON_IMMEDIATE = 0xbad2310;

const SOURCE_REGISTER = 0x08;
/** Size bits of loads and stores, by bytes. */
const SIZE_BITS: ReadonlyMap<number, number> = new Map([
  [1, 0x10],
  [2, 0x08],
  [4, 0x00],
  [8, 0x18],
]);
const SIZE_MASK = 0x18;

export class InstructionView {
  readonly #view: DataView;

  constructor(
    bytes: Uint8Array,
    readonly littleEndian: boolean,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get count(): number {
    return Math.floor(this.#view.byteLength / 8);
  }

  opcode(index: number): number {
    return this.#view.getUint8(index * 8);
  }

  setOpcode(index: number, opcode: number): void {
    this.#view.setUint8(index * 8, opcode);
  }

  class(index: number): number {
    return this.opcode(index) & 0x07;
  }

  usesImmediate(index: number): boolean {
    return (this.opcode(index) & SOURCE_REGISTER) === 0;
  }

  destination(index: number): number {
    const registers = this.#view.getUint8(index * 8 + 1);
    return this.littleEndian ? registers & 0xf : registers >> 4;
  }

  source(index: number): number {
    const registers = this.#view.getUint8(index * 8 + 1);
    return this.littleEndian ? registers >> 4 : registers & 0xf;
  }

  offset(index: number): number {
    return this.#view.getInt16(index * 8 + 2, this.littleEndian);
  }

  setOffset(index: number, offset: number): void {
    this.#view.setInt16(index * 8 + 2, offset, this.littleEndian);
  }

  immediate(index: number): number {
    return this.#view.getInt32(index * 8 + 4, this.littleEndian);
  }

  setImmediate(index: number, immediate: number): void {
    this.#view.setInt32(index * 8 + 4, immediate, this.littleEndian);
  }

  /** Bytes that a load or store touches. */
  memoryBytes(index: number): number {
    const bits = this.opcode(index) & SIZE_MASK;
    return [...SIZE_BITS].find(([, each]) => each === bits)?.[0] ?? 0;
  }

  /** False when no instruction is that wide. */
  setMemoryBytes(index: number, bytes: number): boolean {
    const bits = SIZE_BITS.get(bytes);
    if (bits === undefined) return false;
    this.setOpcode(index, (this.opcode(index) & ~SIZE_MASK) | bits);
    return true;
  }

  /** The first of the two halves of a 64-bit immediate. */
  isLoadImmediate64(index: number): boolean {
    return this.opcode(index) === OPCODE.ldImm64;
  }

  /** Where a branch leads, taken or always; undefined for what is no branch. */
  jumpTarget(index: number): number | undefined {
    const kind = this.class(index);
    if (kind !== CLASS.jmp && kind !== CLASS.jmp32) return undefined;
    const opcode = this.opcode(index);
    if (opcode === OPCODE.call || opcode === OPCODE.exit) return undefined;
    // The long jump of cpu v4 keeps its way in the immediate.
    return (
      index + 1 + (kind === CLASS.jmp32 && opcode === OPCODE.longJump ? this.immediate(index) : this.offset(index))
    );
  }

  /** Always taken. */
  isJump(index: number): boolean {
    return this.opcode(index) === OPCODE.jump || this.opcode(index) === OPCODE.longJump;
  }

  /** Registers and offset are nil. */
  isBare(index: number): boolean {
    return this.#view.getUint8(index * 8 + 1) === 0 && this.offset(index) === 0;
  }

  poison(index: number): void {
    this.setOpcode(index, OPCODE.call);
    this.#view.setUint8(index * 8 + 1, 0);
    this.setOffset(index, 0);
    this.setImmediate(index, POISON_IMMEDIATE);
  }

  isPoison(index: number): boolean {
    return this.opcode(index) === OPCODE.call && this.isBare(index) && this.immediate(index) === POISON_IMMEDIATE;
  }
}
