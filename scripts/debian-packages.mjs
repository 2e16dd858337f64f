// Debian packages of any suite and architecture, by apt with a state folder of its own: the host's package lists, sources
// and status are neither read nor touched, and apt checks every index against Debian's keys.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianMirror } from '../libs/btf/scripts/debian-mirror.mjs';

const run = promisify(execFile);
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const COMMAND_TIMEOUT_MS = 300_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * One version of a package. Its name and version say what a person looks for; its digest says what it is.
 * @typedef {{ package: string, version: string, sha256: string }} PackagePin
 */

export class DebianPackages {
  #work;
  /** @type {string[]} */
  #flags;
  /** @type {Map<string, PackagePin[]>} */
  #known = new Map();

  /** @param {{ suite: string, architecture: string }} source */
  constructor({ suite, architecture }) {
    this.#work = mkdtempSync(join(tmpdir(), 'bpfleet-apt-'));
    for (const folder of ['lists/partial', 'cache/archives/partial', 'sources', 'download'])
      mkdirSync(join(this.#work, folder), { recursive: true });
    writeFileSync(
      join(this.#work, 'sources/debian.sources'),
      `Types: deb\nURIs: ${debianMirror()}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`,
    );
    const options = {
      'APT::Architecture': architecture,
      'APT::Architectures': architecture,
      'Dir::Etc::SourceList': '/dev/null',
      'Dir::Etc::SourceParts': join(this.#work, 'sources'),
      'Dir::State::Lists': join(this.#work, 'lists'),
      'Dir::State::status': '/dev/null',
      'Dir::Cache': join(this.#work, 'cache'),
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      // The default user for downloads cannot write into a folder of root's.
      'APT::Sandbox::User': 'root',
    };
    this.#flags = Object.entries(options).map(([key, value]) => `-o${key}=${value}`);
  }

  /** Fetches the package lists; everything else needs them. */
  async update() {
    await this.#apt('apt-get', ['update', '--error-on=any']);
  }

  /**
   * Every version of these packages that the mirror offers; a name it does not know is left out.
   * @param {readonly string[]} names
   */
  async offered(names) {
    const unknown = names.filter((name) => !this.#known.has(name));
    if (unknown.length > 0) this.#learn(await this.#show(unknown));
    return names.flatMap((name) => this.#known.get(name) ?? []);
  }

  /**
   * What apt would install on an empty system for these names, their dependencies included.
   * @param {readonly string[]} names
   * @returns {Promise<PackagePin[]>}
   */
  async resolve(names) {
    const args = ['install', '--print-uris', '-qq', '-y', '--no-install-recommends', ...names];
    const lines = (await this.#apt('apt-get', args)).split('\n').filter((line) => line.startsWith("'"));
    const chosen = lines.map((line) => {
      const [name = '', version = ''] = (line.split(' ')[1] ?? '').split('_');
      return { name, version: decodeURIComponent(version) };
    });
    const offered = await this.offered(chosen.map((one) => one.name));
    return chosen.map(({ name, version }) => {
      const pin = offered.find((one) => one.package === name && one.version === version);
      if (pin === undefined) throw new Error(`apt chose ${name} ${version}, of which its own lists know nothing`);
      return pin;
    });
  }

  /**
   * The newest version of the package behind a metapackage (`linux-image-arm64` → `linux-image-6.1.0-50-arm64`).
   * @param {string} metapackage
   * @returns {Promise<PackagePin>}
   */
  async behind(metapackage) {
    const resolved = await this.resolve([metapackage]);
    const found = resolved.find((one) => one.package !== metapackage && one.package.startsWith('linux-image-'));
    if (found === undefined) throw new Error(`${metapackage} depends on no kernel image`);
    return found;
  }

  /**
   * Downloads exactly these, each to `pathOf(pin)`; a digest that differs from the pin's is an error.
   * @param {readonly PackagePin[]} pins
   * @param {(pin: PackagePin) => string} pathOf
   */
  async download(pins, pathOf) {
    if (pins.length === 0) return;
    await this.#apt(
      'apt-get',
      ['download', ...pins.map((pin) => `${pin.package}=${pin.version}`)],
      join(this.#work, 'download'),
    );
    const files = readdirSync(join(this.#work, 'download')).map((file) => join(this.#work, 'download', file));
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
  async #show(names) {
    // It exits with 100 when it knows none of them, and says so for each it does not know.
    return this.#apt('apt-cache', ['show', ...names]).catch((error) => {
      if (typeof error.stdout === 'string' && error.code === 100) return error.stdout;
      throw error;
    });
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

  /**
   * @param {'apt-get' | 'apt-cache'} program
   * @param {string[]} args
   * @param {string} [cwd]
   */
  async #apt(program, args, cwd = this.#work) {
    const { stdout } = await run(program, [...this.#flags, '-q', ...args], {
      cwd,
      env: { ...process.env, LC_ALL: 'C' },
      encoding: 'utf8',
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return stdout;
  }
}

/** @param {Uint8Array} bytes */
export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
