import { describe, expect, it } from '@jest/globals';
import type { DataFolder } from './data-folder.js';
import { agentProcess, choosePorts, serverProcesses } from './plan.js';

const data = { root: '/d', server: '/d/server', agent: '/d/agent', log: '/d/log', password: 'pw' } as DataFolder;
const place = { repositoryDir: '/repo', data, ports: { http: 1, mqtt: 2, postgres: 3 } };

describe('choosePorts', () => {
  it('takes free ports for zeros and says which option changes a taken one', async () => {
    const answers = { isFree: async (port: number) => port !== 8883, free: async () => 40_000 };
    expect(await choosePorts({ http: 8480, mqtt: 0, postgres: 0 }, answers)).toEqual({
      http: 8480,
      mqtt: 40_000,
      postgres: 40_000,
    });
    await expect(choosePorts({ http: 8480, mqtt: 8883, postgres: 0 }, answers)).rejects.toThrow(
      'Port 8883 (MQTT broker) is already in use: stop what listens there, or choose another with --mqtt-port N.',
    );
  });

  it('refuses one port for two before anything is started', async () => {
    const answers = { isFree: async () => true, free: async () => 40_000 };
    await expect(choosePorts({ http: 9000, mqtt: 0, postgres: 9000 }, answers)).rejects.toThrow(
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

  it('gives the agent none of the server’s secrets', () => {
    const { env } = agentProcess(place);
    expect(Object.keys(env).filter((name) => /^BPFLEET_(DATABASE|ADMIN)/.test(name))).toEqual([]);
  });
});
