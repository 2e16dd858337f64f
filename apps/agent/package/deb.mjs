// A Debian package, as bytes: an ar archive of the format's version, the control archive and the data archive (deb(5)).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { Refusal } from '../../../scripts/say.mjs';
import { ar, tar } from './archive.mjs';

/** Debian's scripts call `setup`, which lies in the package; it is gone when postrm runs. */
const SCRIPTS = {
  postinst: `#!/bin/sh
set -e
if [ "$1" = configure ]; then /opt/bpfleet-agent/lib/setup configure; fi
`,
  // An upgrade goes on without a gap: the new agent adopts what is attached.
  prerm: `#!/bin/sh
set -e
if [ "$1" = remove ]; then
  /opt/bpfleet-agent/lib/setup stop
  /opt/bpfleet-agent/lib/setup remove
fi
`,
  // The user stays, as Debian's policy has it: files elsewhere may be its.
  postrm: `#!/bin/sh
set -e
if [ "$1" = purge ]; then rm -rf /var/lib/bpfleet-agent /etc/bpfleet-agent; fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
`,
};

/**
 * @param {object} options
 * @param {readonly import('./archive.mjs').Entry[]} options.entries
 * @param {import('./targets.mjs').Target} options.target
 * @param {string} options.version
 * @param {string} options.glibc
 * @param {number} options.seconds
 * @param {'xz' | 'gzip'} [options.compression]
 */
export function debianPackage({ entries, target, version, glibc, seconds, compression = 'xz' }) {
  const files = entries.flatMap(({ path, content }) => (content === undefined ? [] : [{ path, content }]));
  const installedBytes = files.reduce((sum, { content }) => sum + content.length, 0);
  const control = [
    'Package: bpfleet-agent',
    `Version: ${version}`,
    `Architecture: ${target.debian}`,
    'Maintainer: bpfleet <team@bpfleet.dev>',
    `Installed-Size: ${Math.ceil(installedBytes / 1024)}`,
    `Depends: ${[`libc6 (>= ${glibc})`, ...target.depends].join(', ')}`,
    'Section: admin',
    'Priority: optional',
    'Description: signed eBPF probes on this device',
    ' The agent of bpfleet. It holds one outbound connection to its server, loads what a release key has signed and',
    ' the server has asked of this device, keeps it inside its budget, and reports what the kernel saw.',
    '',
  ].join('\n');
  const md5sums = files
    .map(({ path, content }) => `${createHash('md5').update(content).digest('hex')}  ${path}\n`)
    .join('');
  const controlFiles = [
    { path: './control', content: Buffer.from(control) },
    { path: './md5sums', content: Buffer.from(md5sums) },
    ...Object.entries(SCRIPTS).map(([name, text]) => ({ path: `./${name}`, content: Buffer.from(text), mode: 0o755 })),
  ];
  const data = tar(entries, seconds);
  return ar(
    [
      { name: 'debian-binary', content: Buffer.from('2.0\n') },
      { name: 'control.tar.gz', content: gzipSync(tar(controlFiles, seconds), { level: 9 }) },
      compression === 'xz'
        ? { name: 'data.tar.xz', content: xz(data) }
        : { name: 'data.tar.gz', content: gzipSync(data, { level: 6 }) },
    ],
    seconds,
  );
}

/**
 * A third smaller than gzip, which a device behind a slow link is worth a minute of; gzip is for those whose processor is slower
 * than their link. One thread: more would cut the bytes
 * differently on another machine.
 * @param {Buffer} input
 */
function xz(input) {
  const { error, status, stdout } = spawnSync('xz', ['-6', '-T1', '-c'], { input, maxBuffer: input.length + 4096 });
  if (error || status !== 0) {
    throw new Refusal('xz is missing or failed; run: sudo apt-get install --no-install-recommends xz-utils');
  }
  return stdout;
}
