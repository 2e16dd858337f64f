import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort, spawnGuarded, which } from '@bpfleet/embedded';

export interface MosquittoOptions {
  /** PEM. `ca` signs devices and servers; `cert` and `key` are the broker's own. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly crl?: string;
  /** Common names that may publish and subscribe everything under bpfleet/. Default: `server`. */
  readonly serverNames?: readonly string[];
  readonly packetBytesMax?: number;
  /** 0 or absent takes a free port; name them to start a stopped broker again in the same place. */
  readonly port?: number;
  readonly serverPort?: number;
}

export interface Mosquitto {
  /** For devices: the certificate's CN is forced as client id. */
  readonly port: number;
  /** For the server's processes: client ids of their own, so that several can share the CN `server`. */
  readonly serverPort: number;
  readonly pid: number;
  /** Everything it has said so far. */
  log(): string;
  stop(): Promise<void>;
}

/** Debian installs Mosquitto in sbin, which is not on everybody's path. */
export function mosquittoPath(): string | undefined {
  return which('mosquitto');
}

function configuration(folder: string, options: MosquittoOptions, port: number, serverPort: number): string {
  const listener = (listen: number, forceClientId: boolean): string[] => [
    `listener ${listen} 127.0.0.1`,
    `cafile ${join(folder, 'ca.pem')}`,
    `certfile ${join(folder, 'cert.pem')}`,
    `keyfile ${join(folder, 'key.pem')}`,
    ...(options.crl === undefined ? [] : [`crlfile ${join(folder, 'crl.pem')}`]),
    'tls_version tlsv1.2',
    'require_certificate true',
    'use_identity_as_username true',
    `use_username_as_clientid ${forceClientId}`,
  ];
  return [
    'per_listener_settings false',
    // As root it would become user mosquitto, who cannot read a temporary folder of root's.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'persistence false',
    'log_dest stderr',
    'log_type all',
    'allow_anonymous false',
    `acl_file ${join(folder, 'acl')}`,
    'set_tcp_nodelay true',
    `max_packet_size ${options.packetBytesMax ?? 100 * 1024}`,
    ...listener(port, true),
    ...listener(serverPort, false),
    '',
  ].join('\n');
}

function accessList(serverNames: readonly string[]): string {
  const servers = serverNames.flatMap((name) => [`user ${name}`, 'topic readwrite bpfleet/#']);
  return ['pattern read bpfleet/1/%u/dn/#', 'pattern write bpfleet/1/%u/up/#', ...servers, ''].join('\n');
}

function writeFolder(options: MosquittoOptions, port: number, serverPort: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-mosquitto-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text, { mode: 0o600 });
  write('ca.pem', options.ca);
  write('cert.pem', options.cert);
  write('key.pem', options.key);
  if (options.crl !== undefined) write('crl.pem', options.crl);
  write('acl', accessList(options.serverNames ?? ['server']));
  write('mosquitto.conf', configuration(folder, options, port, serverPort));
  return folder;
}

/**
 * Debian's Mosquitto behind mutual TLS, set up as a fleet would run it: identity from the certificate, one ACL pattern for
 * devices, TCP_NODELAY. Its folder and process are its own and go with `stop`, or with this process.
 */
export async function startMosquitto(options: MosquittoOptions): Promise<Mosquitto> {
  const binary = mosquittoPath();
  if (!binary) throw new Error('mosquitto is not installed (apt-get install mosquitto)');
  const port = options.port || (await freePort());
  const serverPort = options.serverPort || (await freePort());
  const folder = writeFolder(options, port, serverPort);
  const child = spawnGuarded(binary, ['-c', join(folder, 'mosquitto.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      lines.push(line);
      if (/mosquitto version .* running/.test(line)) resolve();
    });
    child.once('error', reject);
    void exited.then(() => rmSync(folder, { recursive: true, force: true }));
    void exited.then(() => reject(new Error(`mosquitto ended at its start: ${lines.slice(-3).join(' | ')}`)));
  });
  return {
    port,
    serverPort,
    pid: child.pid as number,
    log: () => lines.join('\n'),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
