import { agentSettings, type AgentSettings } from '../agent-settings.js';
import { Agent } from '../agent.js';
import { BootClock } from '../kernel/boot-clock.js';
import { collectFacts } from '../kernel/facts.js';
import { noKernel } from '../kernel/no-kernel.js';
import type { Kernel } from '../kernel/port.js';
import type { Log } from '../log.js';
import type { StatePort } from '../store/state-port.js';
import { StateFolder } from '../store/state-folder.js';

/** An agent inside the test, without a kernel unless one is given. Reconnects at once, so that tests need not wait. */
export async function startInProcess(
  folder: string,
  options: { kernel?: Kernel; settings?: Partial<AgentSettings>; port?: StatePort; log?: Log; btfPath?: string } = {},
): Promise<Agent> {
  const kernel = options.kernel ?? noKernel(1);
  const log = options.log ?? (() => undefined);
  const agent = new Agent({
    state: new StateFolder(folder, {
      monotonicMs: () => performance.now(),
      random: Math.random,
      log,
      ...(options.port ? { port: options.port } : {}),
    }),
    kernel,
    kernelKey: options.kernel ? 'test' : 'none',
    facts: await collectFacts('0.0.0', kernel, options.btfPath),
    ...(options.btfPath === undefined ? {} : { btfPath: options.btfPath }),
    clock: new BootClock(),
    log,
    settings: {
      ...agentSettings,
      reconnect: { minMs: 20, maxMs: 100 },
      syncAnswer: { minMs: 500, maxMs: 1_000 },
      ...options.settings,
    },
  });
  agent.start();
  return agent;
}
