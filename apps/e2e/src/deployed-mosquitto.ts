import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort, spawnGuarded } from '@bpfleet/embedded';
import { mosquittoPath } from '@bpfleet/testkit';
import { repositoryDir } from './stack.js';

export interface DeployedMosquitto {
  readonly port: number;
  readonly serverPort: number;
  stop(): Promise<void>;
}

/**
 * Debian's Mosquitto on the very files of deploy/mosquitto, with the container's paths and ports put in their place.
 * `folder` holds what broker-files.js wrote.
 */
export async function startDeployedMosquitto(folder: string): Promise<DeployedMosquitto> {
  const [port, serverPort] = [await freePort(), await freePort()];
  const configuration = readFileSync(join(repositoryDir, 'deploy/mosquitto/mosquitto.conf'), 'utf8')
    .replaceAll('/mosquitto/bpfleet-config/acl', join(repositoryDir, 'deploy/mosquitto/acl'))
    .replaceAll('/mosquitto/bpfleet/', `${folder}/`)
    .replace(/^listener 8883$/m, `listener ${port} 127.0.0.1`)
    .replace(/^listener 8884$/m, `listener ${serverPort} 127.0.0.1`);
  const file = join(folder, 'mosquitto.conf');
  // As root it would become user mosquitto, who cannot read a temporary folder of root's; in the container it is not root.
  writeFileSync(file, process.getuid?.() === 0 ? `user root\n${configuration}` : configuration);
  const child = spawnGuarded(mosquittoPath() ?? 'mosquitto', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const tail: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      tail.push(line);
      if (/mosquitto version .* running/.test(line)) resolve();
    });
    void exited.then(() => reject(new Error(`mosquitto ended at its start:\n${tail.slice(-5).join('\n')}`)));
  });
  return {
    port,
    serverPort,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
