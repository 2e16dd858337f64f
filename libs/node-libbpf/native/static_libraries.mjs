// Prints the static libraries the addon links, as absolute paths, in link order. Static, so that the one .node file runs on
// devices that have no libbpf and so that every machine runs the same one.
import { execFileSync } from 'node:child_process';
import { isAbsolute } from 'node:path';

const compiler = process.env.CC ?? 'cc';
const needed = [
  ['libbpf.a', 'libbpf-dev'],
  ['libelf.a', 'libelf-dev'],
  ['libz.a', 'zlib1g-dev'],
];

/** The absolute path of a static library as the compiler finds it, or undefined: the compiler echoes a name it cannot find. */
function locate(library) {
  const path = execFileSync(compiler, [`-print-file-name=${library}`], { encoding: 'utf8' }).trim();
  return isAbsolute(path) ? path : undefined;
}

const missing = needed.filter(([library]) => locate(library) === undefined);
if (missing.length > 0) {
  const packages = missing.map(([, debianPackage]) => debianPackage).join(' ');
  console.error(
    `node-libbpf: ${missing.map(([library]) => library).join(', ')} not found; on Debian: apt-get install ${packages}`,
  );
  process.exit(1);
}
// libelf needs zstd from elfutils 0.189 on; where it does not, the linker takes nothing from the archive.
const zstd = locate('libzstd.a');
console.log([...needed.map(([library]) => locate(library)), ...(zstd === undefined ? [] : [zstd])].join('\n'));
