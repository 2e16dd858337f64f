import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LOOPBACK, parseDeviceHost } from './device-host.js';
import { Refusal } from './refusal.js';

export interface UpOptions {
  /** Free ports, a throw-away data folder, ends by itself with one JSON line. */
  readonly check: boolean;
  /** undefined: a throw-away folder (only with `check`). */
  readonly dataDir: string | undefined;
  /** The name or address by which devices reach this machine. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly postgresPort: number;
  readonly agent: boolean;
  readonly help: boolean;
}

export const USAGE = `usage: npm run up -- [options]

  --check           try everything on free ports with a throw-away data folder, print one JSON line, end
  --data DIR        where data, keys and logs live (root: /var/lib/bpfleet, else ~/.local/share/bpfleet)
  --host NAME_OR_IP how devices on the network reach this machine; listens on all its addresses
                    (without it: on 127.0.0.1, for this machine and VMs on it)
  --port N          web app and API (8480)
  --mqtt-port N     MQTT broker (8883)
  --pg-port N       PostgreSQL (8432)
  --no-agent        only the server: run no eBPF on this machine
`;

const DEFAULT_PORTS = { port: 8480, 'mqtt-port': 8883, 'pg-port': 8432 } as const;

function portOf(name: keyof typeof DEFAULT_PORTS, text: string | undefined, check: boolean): number {
  if (text === undefined) return check ? 0 : DEFAULT_PORTS[name];
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new Refusal(`--${name} takes a port number (0 to 65535), not ${text}.`);
  return port;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        check: { type: 'boolean', default: false },
        data: { type: 'string' },
        host: { type: 'string', default: LOOPBACK },
        port: { type: 'string' },
        'mqtt-port': { type: 'string' },
        'pg-port': { type: 'string' },
        'no-agent': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n${USAGE}`);
  }
}

/** @throws Refusal naming the option that is wrong */
export function parseOptions(argv: readonly string[], who: { uid: number; home?: string }): UpOptions {
  const values = parse(argv);
  const standard = who.uid === 0 ? '/var/lib/bpfleet' : join(who.home ?? homedir(), '.local/share/bpfleet');
  const fallback = values.check ? undefined : standard;
  return {
    check: values.check,
    dataDir: values.data === undefined ? fallback : resolve(values.data),
    host: parseDeviceHost(values.host),
    httpPort: portOf('port', values.port, values.check),
    mqttPort: portOf('mqtt-port', values['mqtt-port'], values.check),
    postgresPort: portOf('pg-port', values['pg-port'], values.check),
    agent: !values['no-agent'],
    help: values.help,
  };
}
