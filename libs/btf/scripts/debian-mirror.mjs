import { execFileSync } from 'node:child_process';

/** Where this machine's apt gets Debian from; DEBIAN_MIRROR overrides it. Suites other than its own lie on the same mirror. */
export function debianMirror() {
  if (process.env['DEBIAN_MIRROR']) return process.env['DEBIAN_MIRROR'];
  const targets = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const found = execFileSync('apt-get', targets, { encoding: 'utf8' })
    .split('\n')
    .find((uri) => /\/debian\/?$/.test(uri));
  if (!found) throw new Error('apt names no Debian mirror on this machine: set DEBIAN_MIRROR to one');
  return found.replace(/\/$/, '');
}
