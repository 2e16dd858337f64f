import { readFileSync } from 'node:fs';
import { Refusal } from '../../../scripts/say.mjs';

/**
 * Checks that a program is for the architecture of its package: a wrong one would be noticed on a device only.
 * @param {string} path
 * @param {number} machine e_machine
 */
export function requireMachine(path, machine) {
  const bytes = readFileSync(path).subarray(0, 20);
  if (bytes.length < 20 || bytes.toString('latin1', 1, 4) !== 'ELF') throw new Refusal(`${path} is no ELF file.`);
  const found = bytes.readUInt16LE(18);
  if (found !== machine) throw new Refusal(`${path} is for machine ${found} (e_machine), not ${machine}.`);
}

/**
 * The oldest glibc on which all of these load: the newest symbol version that any of them names. They stand as plain text
 * in .dynstr, which is at the end of what a stripped program has before its code, or before its sections.
 * @param {readonly string[]} paths
 * @returns {string} such as 2.28
 */
export function glibcNeeded(paths) {
  let newest = [0, 0];
  for (const path of paths) {
    for (const [, major, minor] of readFileSync(path, 'latin1').matchAll(/\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)/g)) {
      const found = [Number(major), Number(minor)];
      if (found[0] > newest[0] || (found[0] === newest[0] && found[1] > newest[1])) newest = found;
    }
  }
  return newest.join('.');
}
