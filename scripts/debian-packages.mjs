// Packages of any Debian suite and architecture, chosen by digest among what the mirror offers.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptFor } from '../libs/node-libbpf/native/debian-apt.mjs';

/**
 * One version of a package. Its name and version say what a person looks for; its digest says what it is.
 * @typedef {{ package: string, version: string, sha256: string }} PackagePin
 */

export class DebianPackages {
  #work;
  #apt;
  /** @type {Map<string, PackagePin[]>} */
  #known = new Map();

  /** @param {{ suite: string, architecture: string }} source */
  constructor({ suite, architecture }) {
    this.#work = mkdtempSync(join(tmpdir(), 'bpfleet-apt-'));
    this.#apt = aptFor({ folder: this.#work, suite, architecture });
  }

  /** Fetches the package lists; everything else needs them. */
  update() {
    this.#apt('update', '--error-on=any', '-oAcquire::Retries=3');
  }

  /**
   * Every version of these packages that the mirror offers; a name it does not know is left out.
   * @param {readonly string[]} names
   */
  offered(names) {
    const unknown = names.filter((name) => !this.#known.has(name));
    if (unknown.length > 0) this.#learn(this.#show(unknown));
    return names.flatMap((name) => this.#known.get(name) ?? []);
  }

  /**
   * What apt would install on an empty system for these names, their dependencies included.
   * @param {readonly string[]} names
   * @returns {PackagePin[]}
   */
  resolve(names) {
    const shown = this.#apt('install', '--print-uris', '-y', '--no-install-recommends', ...names);
    const lines = shown.split('\n').filter((line) => line.startsWith("'"));
    const chosen = lines.map((line) => {
      const [name = '', version = ''] = (line.split(' ')[1] ?? '').split('_');
      return { name, version: decodeURIComponent(version) };
    });
    const offered = this.offered(chosen.map((one) => one.name));
    return chosen.map(({ name, version }) => {
      const pin = offered.find((one) => one.package === name && one.version === version);
      if (pin === undefined) throw new Error(`apt chose ${name} ${version}, of which its own lists know nothing`);
      return pin;
    });
  }

  /**
   * The newest version of the package behind a metapackage (`linux-image-arm64` → `linux-image-6.1.0-50-arm64`).
   * From forky on that is empty, and the image, its configuration and its modules are packages of their own: the image then,
   * with the others as `rest`.
   * @param {string} metapackage
   * @returns {PackagePin & { rest?: PackagePin[] }}
   */
  behind(metapackage) {
    const resolved = this.resolve([metapackage]);
    const found = resolved.find((one) => one.package !== metapackage && one.package.startsWith('linux-image-'));
    if (found === undefined) throw new Error(`${metapackage} depends on no kernel image`);
    const release = found.package.slice('linux-image-'.length);
    const [image, ...rest] = ['binary', 'base', 'modules'].flatMap((part) =>
      resolved.filter((one) => one.package === `linux-${part}-${release}`),
    );
    return image === undefined ? found : { ...image, rest };
  }

  /**
   * Downloads exactly these, each to `pathOf(pin)`; a digest that differs from the pin's is an error.
   * @param {readonly PackagePin[]} pins
   * @param {(pin: PackagePin) => string} pathOf
   */
  download(pins, pathOf) {
    if (pins.length === 0) return;
    this.#apt('download', '-oAcquire::Retries=3', ...pins.map((pin) => `${pin.package}=${pin.version}`));
    const files = readdirSync(this.#work)
      .filter((file) => file.endsWith('.deb'))
      .map((file) => join(this.#work, file));
    const byDigest = new Map(files.map((file) => [sha256(readFileSync(file)), file]));
    for (const pin of pins) {
      const file = byDigest.get(pin.sha256);
      if (file === undefined)
        throw new Error(`what apt fetched as ${pin.package} ${pin.version} is not what is pinned`);
      const target = pathOf(pin);
      // Another file system may hold the cache, and another process may be putting the same file there.
      const temporary = `${target}.${process.pid}`;
      writeFileSync(temporary, readFileSync(file));
      renameSync(temporary, target);
      rmSync(file);
    }
  }

  close() {
    rmSync(this.#work, { recursive: true, force: true });
  }

  /** @param {readonly string[]} names */
  #show(names) {
    try {
      return this.#apt('show', ...names);
    } catch (error) {
      // It exits with 100 when there is one that it does not know, and shows the others.
      const { status, stdout } = /** @type {{ status?: number, stdout?: string }} */ (error);
      if (status === 100 && stdout !== undefined) return stdout;
      throw error;
    }
  }

  /** @param {string} shown */
  #learn(shown) {
    for (const stanza of shown.split('\n\n')) {
      /** @param {string} field */
      const value = (field) => new RegExp(`^${field}: (.+)$`, 'm').exec(stanza)?.[1] ?? '';
      const pin = { package: value('Package'), version: value('Version'), sha256: value('SHA256') };
      if (pin.package !== '') this.#known.set(pin.package, [...(this.#known.get(pin.package) ?? []), pin]);
    }
  }
}

/** @param {Uint8Array} bytes */
export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
