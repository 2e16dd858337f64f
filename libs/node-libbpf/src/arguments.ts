import { argumentError } from './errors.js';

// The native side assumes that what passes here has the right type and range.

/** A path or name: not empty, and without NUL, which would cut it short in C. */
export function requireText(operation: string, name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw argumentError(operation, `${name} must be a non-empty string without NUL`);
  }
  return value;
}

export function requireInteger(operation: string, name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw argumentError(operation, `${name} must be an integer from ${min} to ${max}`);
  }
  return value;
}

export function requireUint64(operation: string, name: string, value: unknown): bigint {
  if (typeof value !== 'bigint' || value < 0n || value > 0xffff_ffff_ffff_ffffn) {
    throw argumentError(operation, `${name} must be an unsigned 64-bit bigint`);
  }
  return value;
}

export function requireBuffer(operation: string, name: string, value: unknown, bytes?: number): Buffer {
  if (!Buffer.isBuffer(value)) throw argumentError(operation, `${name} must be a Buffer`);
  if (bytes !== undefined && value.length !== bytes) {
    throw argumentError(operation, `${name} must have ${bytes} bytes, not ${value.length}`);
  }
  return value;
}
