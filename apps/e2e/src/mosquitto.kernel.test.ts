import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { startDeployedMosquitto, type DeployedMosquitto } from './deployed-mosquitto.js';
import { until } from './process.js';
import { repositoryDir, Stack, type ForeignBroker } from './stack.js';

const LONG_MS = 180_000;
const brokerFilesMain = join(repositoryDir, 'apps/server/dist/broker/broker-files.js');

describeWithKernel('the same agent and server on Debian’s Mosquitto', ['bpf', 'tracefs', 'mosquitto'], () => {
  let stack: Stack;
  let mosquitto: DeployedMosquitto | undefined;

  /** As docker-compose.yml does it: the server makes the broker's certificate, Mosquitto runs on the files of deploy/mosquitto. */
  async function startBroker(dataDir: string): Promise<ForeignBroker> {
    const folder = join(dataDir, 'broker-files');
    const env = { PATH: process.env.PATH, BPFLEET_DATA_DIR: dataDir };
    execFileSync(process.execPath, [brokerFilesMain, folder], { env });
    mosquitto = await startDeployedMosquitto(folder);
    return {
      serverUrl: `mqtts://127.0.0.1:${mosquitto.serverPort}`,
      deviceUrl: `mqtts://127.0.0.1:${mosquitto.port}`,
    };
  }

  beforeAll(async () => {
    stack = await Stack.start({ foreignBroker: startBroker });
  }, LONG_MS);
  afterAll(async () => {
    await stack?.stop();
    await mosquitto?.stop();
  }, LONG_MS);

  it(
    'enrols, attaches, reports, and ends a debug run by itself',
    async () => {
      const device = await stack.startAgent();
      await stack.assign('count_syscalls', device);
      await until('samples are stored', async () => (await stack.api.call('overview', {})).samples > 0);
      const releaseId = await stack.publish(join(repositoryDir, 'libs/probes/trace_exec'));
      const debug = await stack.api.call('createDebugRun', { body: { device, releaseId, minutes: 1 } });
      const state = () => stack.api.call('getRun', { path: { id: debug.id } });
      await until('the debug run is attached', async () => (await state()).state === 'ATTACHED');
      execFileSync('/bin/true');
      const events = await until('its events are there', async () => {
        const query = { probe: 'trace_exec', event: 'exec', run: debug.id };
        const { rows } = await stack.api.call('events', { query });
        return rows.length > 0 ? rows : undefined;
      });
      expect(events[0]).toMatchObject({ device, run: debug.id });
      const ended = await until(
        'the debug run ended',
        async () => {
          const run = await state();
          return run.endedAt ? run : undefined;
        },
        120_000,
      );
      expect(ended.state).toBe('ENDED');
    },
    LONG_MS + 120_000,
  );
});
