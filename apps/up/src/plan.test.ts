import { describe, expect, it } from '@jest/globals';
import type { DataFolder } from './data-folder.js';
import { agentProcess, choosePorts, localUrl, serverProcesses } from './plan.js';
import type { Place } from './plan.js';

const data = { root: '/d', server: '/d/server', agent: '/d/agent', log: '/d/log', password: 'pw' } as DataFolder;
const ports = { http: 1, mqtt: 2, postgres: 3 };
const place: Place = { repositoryDir: '/repo', data, ports, host: '127.0.0.1', listen: '127.0.0.1' };

describe('choosePorts', () => {
  it('takes free ports for zeros and says which option changes a taken one', async () => {
    const answers = { isFree: async (port: number) => port !== 8883, free: async () => 40_000 };
    expect(await choosePorts({ http: 8480, mqtt: 0, postgres: 0 }, answers, '127.0.0.1')).toEqual({
      http: 8480,
      mqtt: 40_000,
      postgres: 40_000,
    });
    await expect(choosePorts({ http: 8480, mqtt: 8883, postgres: 0 }, answers, '127.0.0.1')).rejects.toThrow(
      'Port 8883 (MQTT broker) is already in use: stop what listens there, or choose another with --mqtt-port N.',
    );
  });

  it('asks for each port where it will be listened on', async () => {
    const asked: string[] = [];
    const isFree = async (port: number, address: string) => asked.push(`${port} ${address}`) > 0;
    await choosePorts({ http: 1, mqtt: 2, postgres: 3 }, { isFree, free: async () => 0 }, '::');
    expect(asked).toEqual(['1 ::', '2 ::', '3 127.0.0.1']);
  });

  it('refuses one port for two before anything is started', async () => {
    const answers = { isFree: async () => true, free: async () => 40_000 };
    await expect(choosePorts({ http: 9000, mqtt: 0, postgres: 9000 }, answers, '127.0.0.1')).rejects.toThrow(
      'Port 9000 was given twice: --port, --mqtt-port and --pg-port must differ.',
    );
  });
});

describe('serverProcesses', () => {
  it('runs broker, ingest and lab apart from the API, all against the same Postgres and broker', () => {
    const { broker, server, ingest, lab } = serverProcesses(place, 'postgres://x');
    const roles = [broker, server, ingest, lab].map(({ env }) => env['BPFLEET_ROLES']);
    expect(roles).toEqual(['broker', 'api,control', 'ingest', 'lab']);
    for (const { env } of [broker, server, ingest, lab]) {
      expect(env).toMatchObject({
        BPFLEET_DATABASE_URL: 'postgres://x',
        BPFLEET_MQTT_URL: 'mqtts://127.0.0.1:2',
        BPFLEET_DATA_DIR: '/d/server',
      });
    }
  });

  it('tells devices the host that a person named, and has certificates for it, while its own parts stay on loopback', () => {
    const far: Place = { ...place, host: '2001:db8::5', listen: '::' };
    for (const { env } of Object.values(serverProcesses(far, 'postgres://x'))) {
      expect(env).toMatchObject({
        BPFLEET_HTTP_HOST: '::',
        BPFLEET_MQTT_HOST: '::',
        BPFLEET_PUBLIC_URL: 'http://[2001:db8::5]:1',
        BPFLEET_MQTT_PUBLIC_URL: 'mqtts://[2001:db8::5]:2',
        BPFLEET_TLS_NAMES: '2001:db8::5',
        BPFLEET_MQTT_URL: 'mqtts://127.0.0.1:2',
      });
    }
    expect(localUrl(far)).toBe('http://127.0.0.1:1');
  });

  it('gives the agent none of the server’s secrets', () => {
    const { env } = agentProcess(place);
    expect(Object.keys(env).filter((name) => /^BPFLEET_(DATABASE|ADMIN)/.test(name))).toEqual([]);
  });
});
