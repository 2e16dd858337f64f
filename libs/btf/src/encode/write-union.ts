import type { ValueDecoder } from '../decode/object-decoder.js';
import { BtfValueError } from '../error.js';
import { listed } from './write-values.js';

export interface UnionArms {
  /** Of each arm, the names by which a value gives it: its own, or for an anonymous struct those of its members. */
  readonly arms: ReadonlyArray<readonly string[]>;
  /** All arms are room that the program leaves: none has to be given. */
  readonly optional: boolean;
  readonly bytes: number;
  readonly decoder: () => ValueDecoder;
}

type WriteArm = (arm: number, target: Uint8Array, view: DataView, offset: number) => void;
type Members = Readonly<Record<string, unknown>>;

/**
 * Writes the arm that `value` names. It may name several, as a decoded union does, as long as they are the same bytes: then
 * one of them, written and read again, gives all the others. Returns what is wrong, if something is.
 */
export function writeUnion(
  union: UnionArms,
  value: Members,
  write: WriteArm,
  target: Uint8Array,
  view: DataView,
  offset: number,
): string | undefined {
  const given = union.arms.flatMap((names, arm) => (names.some((name) => isGiven(value, name)) ? [arm] : []));
  const only = given[0];
  if (only === undefined) return union.optional ? undefined : `gives no member of a union: give one of ${all(union)}`;
  if (given.length === 1) {
    write(only, target, view, offset);
    return undefined;
  }
  const names = given.flatMap((arm) => union.arms[arm] ?? []).filter((name) => isGiven(value, name));
  let refusal: BtfValueError | undefined;
  for (const arm of given) {
    const bytes = new Uint8Array(union.bytes);
    try {
      write(arm, bytes, new DataView(bytes.buffer), 0);
    } catch (error) {
      // Text that was read from bytes which are none cannot be written again; the arm that has the bytes can.
      if (!(error instanceof BtfValueError)) throw error;
      refusal ??= error;
      continue;
    }
    const read = union.decoder()(new DataView(bytes.buffer), 0, union.bytes) as Members;
    if (!names.every((name) => isSame(value[name], read[name]))) continue;
    target.set(bytes, offset);
    return undefined;
  }
  if (refusal !== undefined) throw refusal;
  return `has ${listed(names)} in the same bytes, and they disagree: give one of them`;
}

function all(union: UnionArms): string {
  return listed(union.arms.flatMap((names) => [...names]));
}

function isGiven(value: Members, name: string): boolean {
  return Object.hasOwn(value, name) && value[name] !== undefined;
}

/** Whether a given value is the decoded one: a number may stand for a bigint, and an array for bytes. */
function isSame(given: unknown, read: unknown): boolean {
  if (typeof given === 'number' && typeof read === 'bigint')
    return Number.isSafeInteger(given) && BigInt(given) === read;
  if (typeof given === 'bigint' && typeof read === 'number') return given === BigInt(read);
  if (typeof given !== 'object' || typeof read !== 'object' || given === null || read === null) {
    return Object.is(given, read);
  }
  const names = Object.keys(given);
  return (
    names.length === Object.keys(read).length &&
    names.every((name) => isSame((given as Members)[name], (read as Members)[name]))
  );
}
