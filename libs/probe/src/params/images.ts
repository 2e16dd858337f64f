import type { BpfObjectFile, BtfType, GlobalVariable } from '@bpfleet/btf';
import { ParamError } from '../manifest/error.js';
import type { ProbeManifest } from '../manifest/schema.js';
import type { ParamValue } from '../types.js';

/**
 * The initial values of the data sections that hold parameters, by the section's name such as `.rodata`: the object's own
 * bytes with the parameters written over them. Sections without parameters are left to the object.
 * @throws ParamError when a value does not fit its variable's type
 */
export function globalImages(
  object: BpfObjectFile,
  manifest: ProbeManifest,
  params: Readonly<Record<string, ParamValue>>,
): Map<string, Uint8Array> {
  const images = new Map<string, Uint8Array>();
  for (const name of Object.keys(manifest.params)) {
    const global = object.globals.find((g) => g.name === name && g.tunable);
    const value = Object.hasOwn(params, name) ? params[name] : undefined;
    if (global === undefined || value === undefined) continue;
    let image = images.get(global.section);
    if (image === undefined) {
      const section = object.dataSections.find((s) => s.name === global.section);
      if (section === undefined) continue;
      images.set(global.section, (image = section.image.slice()));
    }
    const room = image.subarray(global.offset, global.offset + global.bytes);
    writeGlobal(object, global, value, room);
  }
  return images;
}

/**
 * What all read-only sections hold once the parameters are written into them: what a verifier takes for constants.
 * @throws ParamError when a value does not fit its variable's type
 */
export function constantData(
  object: BpfObjectFile,
  manifest: ProbeManifest,
  params: Readonly<Record<string, ParamValue>>,
): Map<string, Uint8Array> {
  const images = globalImages(object, manifest, params);
  const sections = object.dataSections.filter(({ readOnly }) => readOnly);
  return new Map(sections.map(({ name, image }) => [name, images.get(name) ?? image]));
}

/** @throws ParamError */
export function writeGlobal(object: BpfObjectFile, global: GlobalVariable, value: ParamValue, room: Uint8Array): void {
  const type = object.btf.resolve(global.typeId);
  const refuse = (reason: string): never => {
    throw new ParamError(global.name, `Parameter \`${global.name}\` ${reason}; it was ${JSON.stringify(value)}.`);
  };
  if (type.kind === 'array') {
    const element = object.btf.resolve(type.typeId);
    if (element.kind !== 'int' || element.bytes !== 1) refuse('is an array of something that is not text');
    if (typeof value !== 'string') return refuse('is text in the program');
    const text = new TextEncoder().encode(value);
    if (text.length >= room.length) return refuse(`must be shorter than ${room.length} bytes`);
    room.fill(0);
    room.set(text);
    return;
  }
  if (type.kind === 'float') {
    if (typeof value !== 'number') return refuse('is a number in the program');
    const view = new DataView(room.buffer, room.byteOffset, room.length);
    if (type.bytes === 4) view.setFloat32(0, value, object.littleEndian);
    else view.setFloat64(0, value, object.littleEndian);
    return;
  }
  const number = integerOf(type, value);
  if (typeof number === 'string') return refuse(number);
  writeInteger(room, number, object.littleEndian);
}

/** The integer to write, or why there is none. */
function integerOf(type: BtfType, value: ParamValue): bigint | string {
  if (type.kind === 'int' && type.isBool) {
    return typeof value === 'boolean' ? BigInt(value) : 'is true or false in the program';
  }
  if (type.kind === 'enum' || type.kind === 'enum64') {
    const named = type.values.find(({ name }) => name === value);
    if (named !== undefined) return named.value;
    if (typeof value === 'string') return `must be one of ${type.values.map(({ name }) => name).join(', ')}`;
  } else if (type.kind !== 'int') {
    return `is a ${type.kind} in the program, which no parameter can set`;
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return 'must be a whole number';
  const signed = type.signed || (type.kind !== 'int' && value < 0);
  const number = BigInt(value);
  const bits = type.bytes * 8;
  const kept = signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number);
  return kept === number ? number : `does not fit into ${signed ? 'a signed' : 'an unsigned'} integer of ${bits} bits`;
}

function writeInteger(room: Uint8Array, value: bigint, littleEndian: boolean): void {
  let rest = BigInt.asUintN(room.length * 8, value);
  for (let index = 0; index < room.length; index += 1) {
    room[littleEndian ? index : room.length - 1 - index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}
