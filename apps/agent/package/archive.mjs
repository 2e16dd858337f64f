// tar (POSIX ustar) and ar, as bytes that depend on nothing but their arguments: no user names, no times of this machine, and
// the order given.
import { Refusal } from '../../../scripts/say.mjs';

/**
 * @typedef {object} Entry
 * @property {string} path relative, without a leading slash
 * @property {number} [mode] default 0644, of a folder 0755
 * @property {Buffer} [content] of a file
 * @property {string} [linkTo] makes it a symbolic link
 */

const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;

/**
 * @param {Buffer} header
 * @param {number} at
 * @param {number} bytes
 * @param {number} value
 */
function octal(header, at, bytes, value) {
  header.write(`${value.toString(8).padStart(bytes - 1, '0')}\0`, at, 'latin1');
}

/**
 * @param {Entry} entry
 * @param {string} name
 * @param {number} seconds
 */
function tarHeader({ mode, content, linkTo }, name, seconds) {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX || Buffer.byteLength(linkTo ?? '') > NAME_BYTES_MAX) {
    throw new Refusal(`${name} is longer than the ${NAME_BYTES_MAX} bytes that a plain tar header holds.`);
  }
  const folder = content === undefined && linkTo === undefined;
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(name, 0);
  octal(header, 100, 8, linkTo === undefined ? (mode ?? (folder ? 0o755 : 0o644)) : 0o777);
  octal(header, 108, 8, 0);
  octal(header, 116, 8, 0);
  octal(header, 124, 12, content?.length ?? 0);
  octal(header, 136, 12, seconds);
  header.fill(' ', 148, 156);
  header.write(linkTo !== undefined ? '2' : folder ? '5' : '0', 156);
  header.write(linkTo ?? '', 157);
  header.write('ustar\u000000', 257, 'latin1');
  header.write('root', 265);
  header.write('root', 297);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/**
 * @param {readonly Entry[]} entries each folder before what lies in it
 * @param {number} seconds time of every entry
 */
export function tar(entries, seconds) {
  const blocks = entries.flatMap((entry) => {
    const folder = entry.content === undefined && entry.linkTo === undefined;
    const header = tarHeader(entry, folder ? `${entry.path}/` : entry.path, seconds);
    const { content } = entry;
    if (content === undefined) return [header];
    return [header, content, Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/**
 * @param {readonly { name: string, content: Buffer }[]} members names of at most 15 characters
 * @param {number} seconds
 */
export function ar(members, seconds) {
  const parts = members.flatMap(({ name, content }) => {
    const columns = [name.padEnd(16), String(seconds).padEnd(12), '0     ', '0     ', '100644  '];
    const header = Buffer.from(`${columns.join('')}${String(content.length).padEnd(10)}\`\n`, 'latin1');
    return content.length % 2 === 0 ? [header, content] : [header, content, Buffer.from('\n')];
  });
  return Buffer.concat([Buffer.from('!<arch>\n', 'latin1'), ...parts]);
}
