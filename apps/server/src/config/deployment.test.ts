import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { environmentNames, parseConfig } from './config.js';

// No engine is needed for what breaks a container most often: a file that has moved, a variable that is called otherwise.
const repositoryDir = join(dirname(fileURLToPath(import.meta.url)), '../../../..');
const read = (path: string): string => readFileSync(join(repositoryDir, path), 'utf8');

interface Service {
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly command?: readonly string[];
  readonly build?: { readonly dockerfile: string };
}

const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: object;
};
/** Where `npm run package` puts them, unless it is told otherwise. */
const PACKAGES = './packages';
const ours = Object.entries(compose.services).filter(([, { build }]) => build !== undefined);
/** Instructions, each on one line. */
const dockerfile = read('deploy/server/Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', ' ');

describe('docker-compose.yml', () => {
  it.each(ours)('sets for %s only what the server reads, and that parses', (_, { environment = {} }) => {
    expect(Object.keys(environment).filter((name) => !environmentNames.includes(name))).toEqual([]);
    const set = Object.fromEntries(
      // ${NAME:-default} and ${NAME:?message}
      Object.entries(environment).map(([name, value]) => [
        name,
        value.replaceAll(/\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}/g, (_whole, other?: string) => other ?? 'said-by-a-person'),
      ]),
    );
    expect(parseConfig(set, repositoryDir)).toMatchObject({ httpHost: '0.0.0.0', proveOnHost: 'admins' });
  });

  it('mounts files that exist and volumes that it names', () => {
    const sources = Object.values(compose.services).flatMap(({ volumes = [] }) =>
      volumes.map((v) => v.split(':')[0] ?? ''),
    );
    const missing = sources.filter((source) =>
      source.startsWith('.') ? !existsSync(join(repositoryDir, source)) : !Object.hasOwn(compose.volumes, source),
    );
    expect(sources).toContain('./deploy/mosquitto/mosquitto.conf');
    // Docker makes the folder where nothing was packed yet.
    expect(missing.filter((source) => source !== PACKAGES)).toEqual([]);
  });

  it('hands out to devices what `npm run package` makes, which the image leaves out', () => {
    const { environment = {}, volumes = [] } = compose.services['server'] ?? {};
    const folder = environment['BPFLEET_PACKAGES_DIR'];
    expect(folder).toMatch(/^\//);
    expect(volumes).toContain(`${PACKAGES}:${folder}:ro`);
    expect(volumes).toContain('keys:/var/lib/bpfleet');
    expect(read('.dockerignore').split('\n')).toContain(PACKAGES.slice(2));
    expect(read('apps/agent/package/main.mjs')).toContain("join(repositoryDir, 'packages')");
  });
});

describe("the server's image", () => {
  it('runs programs that are built from sources of here', () => {
    const commands = ours.flatMap(([, { command = [] }]) => command).join(' ');
    const mains = [...`${dockerfile} ${commands}`.matchAll(/apps\/\S+?\.js/g)].map(([path]) => path);
    expect(mains).toEqual(['apps/server/dist/main.js', 'apps/server/dist/broker/broker-files.js']);
    for (const main of mains) {
      expect(existsSync(join(repositoryDir, main.replace('/dist/', '/src/').replace(/js$/, 'ts')))).toBe(true);
    }
  });

  it('keeps folders that exist', () => {
    const kept = /cp -a --parents (.*) \/made/.exec(dockerfile)?.[1]?.split(/\s+/) ?? [];
    const sources = kept.map((path) => path.replace(/\/dist$|^node_modules$/, ''));
    expect(sources.length).toBeGreaterThan(5);
    expect(sources.filter((path) => !existsSync(join(repositoryDir, path)))).toEqual([]);
  });

  it('installs what a build needs, so that the build installs nothing by itself', async () => {
    // By a path that the compiler cannot follow: scripts are checked by themselves.
    const { requirements } = (await import(join(repositoryDir, 'scripts/requirements.mjs'))) as {
      requirements: readonly { package: string; for?: string }[];
    };
    const installed = /apt-get install (.*)/.exec(dockerfile)?.[1]?.split(/\s+/) ?? [];
    const needed = requirements.filter((one) => one.for === undefined).map((one) => one.package);
    expect(needed.filter((name) => !installed.includes(name))).toEqual([]);
  });
});
