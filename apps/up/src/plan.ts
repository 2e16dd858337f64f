import { join } from 'node:path';
import type { DataFolder } from './data-folder.js';
import { inUrl, LOOPBACK } from './device-host.js';
import type { ProcessSpec } from './managed-process.js';
import { Refusal } from './refusal.js';

export interface Ports {
  readonly http: number;
  readonly mqtt: number;
  readonly postgres: number;
}

export interface PortAnswers {
  isFree(port: number, address: string): Promise<boolean>;
  free(address: string): Promise<number>;
}

/**
 * Turns 0 into a free port and refuses one that is taken. `listen` is what devices connect to; PostgreSQL stays on loopback.
 * @throws Refusal naming the option that chooses another
 */
export async function choosePorts(wanted: Ports, answers: PortAnswers, listen: string): Promise<Ports> {
  const choose = async (port: number, what: string, option: string, address = listen): Promise<number> => {
    if (port === 0) return answers.free(address);
    if (await answers.isFree(port, address)) return port;
    throw new Refusal(
      `Port ${port} (${what}) is already in use: stop what listens there, or choose another with ${option} N.`,
    );
  };
  const given = [wanted.http, wanted.mqtt, wanted.postgres].filter((port) => port !== 0);
  const twice = given.find((port, index) => given.indexOf(port) !== index);
  if (twice !== undefined) {
    throw new Refusal(`Port ${twice} was given twice: --port, --mqtt-port and --pg-port must differ.`);
  }
  return {
    http: await choose(wanted.http, 'web app and API', '--port'),
    mqtt: await choose(wanted.mqtt, 'MQTT broker', '--mqtt-port'),
    postgres: await choose(wanted.postgres, 'PostgreSQL', '--pg-port', LOOPBACK),
  };
}

export interface Place {
  readonly repositoryDir: string;
  readonly data: DataFolder;
  readonly ports: Ports;
  /** By which devices reach this machine. */
  readonly host: string;
  /** What HTTP server and broker listen on: of all addresses, loopback is one. */
  readonly listen: string;
}

/** Where this machine's own processes find the server, whatever devices are told. */
export function localUrl({ ports }: Place): string {
  return `http://${LOOPBACK}:${ports.http}`;
}

export function localMqttUrl({ ports }: Place): string {
  return `mqtts://${LOOPBACK}:${ports.mqtt}`;
}

export function publicUrl({ host, ports }: Place): string {
  return `http://${inUrl(host)}:${ports.http}`;
}

function nodeProcess(
  place: Place,
  name: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  stopTimeoutMs: number,
): ProcessSpec {
  return {
    name,
    command: process.execPath,
    args,
    env: { ...process.env, ...env },
    cwd: place.repositoryDir,
    logDir: place.data.log,
    readyTimeoutMs: 90_000,
    stopTimeoutMs,
  };
}

/** The server's environment; every role gets the same but for its name, as replicas on several machines would. */
function serverEnvironment(place: Place, databaseUrl: string, roles: string): NodeJS.ProcessEnv {
  const { data, host, listen, ports, repositoryDir } = place;
  return {
    BPFLEET_ROLES: roles,
    BPFLEET_DATABASE_URL: databaseUrl,
    BPFLEET_DATA_DIR: data.server,
    BPFLEET_HTTP_HOST: listen,
    BPFLEET_HTTP_PORT: `${ports.http}`,
    BPFLEET_PUBLIC_URL: publicUrl(place),
    BPFLEET_MQTT_HOST: listen,
    BPFLEET_MQTT_PORT: `${ports.mqtt}`,
    BPFLEET_MQTT_URL: localMqttUrl(place),
    BPFLEET_MQTT_PUBLIC_URL: `mqtts://${inUrl(host)}:${ports.mqtt}`,
    BPFLEET_TLS_NAMES: host,
    BPFLEET_ADMIN_PASSWORD: data.password,
    BPFLEET_WEB_DIR: join(repositoryDir, 'apps/web/dist'),
  };
}

/**
 * Broker, ingest and lab are processes of their own, so that neither the API nor a burst of telemetry nor a VM holds up the
 * others.
 */
export function serverProcesses(
  place: Place,
  databaseUrl: string,
): Record<'broker' | 'server' | 'ingest' | 'lab', ProcessSpec> {
  const main = join(place.repositoryDir, 'apps/server/dist/main.js');
  const role = (name: string, roles: string): ProcessSpec =>
    nodeProcess(place, name, [main], serverEnvironment(place, databaseUrl, roles), 20_000);
  return {
    broker: role('broker', 'broker'),
    server: role('server', 'api,control'),
    ingest: role('ingest', 'ingest'),
    lab: role('lab', 'lab'),
  };
}

export function agentProcess(place: Place): ProcessSpec {
  const main = join(place.repositoryDir, 'apps/agent/dist/main.js');
  // What field agents run with: half the memory of Node's defaults.
  const flags = ['--lite-mode', '--max-semi-space-size=1', '--max-old-space-size=64'];
  return nodeProcess(place, 'agent', [...flags, main, 'run', '--state', place.data.agent], {}, 30_000);
}
