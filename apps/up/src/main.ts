import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EmbeddedError } from '@bpfleet/embedded';
import { announcement } from './announcement.js';
import { bringUp } from './bring-up.js';
import type { Fleet } from './bring-up.js';
import { reportOf, waitForTelemetry } from './check.js';
import { openDataFolder } from './data-folder.js';
import type { DataFolder } from './data-folder.js';
import { USAGE, parseOptions } from './options.js';
import type { UpOptions } from './options.js';
import { Refusal } from './refusal.js';
import { ServiceStack } from './services.js';
import { passwordStillWorks } from './session.js';

const CHECK_TIMEOUT_MS = 180_000;
const ATTACH_PATIENCE_MS = 20_000;
const repositoryDir = join(dirname(fileURLToPath(import.meta.url)), '../../..');

function say(line: string): void {
  process.stderr.write(`bpfleet: ${line}\n`);
}

function sentenceOf(error: unknown): string {
  const isForPeople = error instanceof Refusal || error instanceof EmbeddedError;
  return isForPeople ? error.message : String((error as Error).stack ?? error);
}

/** Ends when a person or the system asks for it, or when a process died for good. */
class Ending {
  private readonly settle: (reason: string | undefined) => void;
  /** undefined: asked for; else what went wrong. */
  readonly reason: Promise<string | undefined>;

  constructor(onFirst: () => void) {
    let settle: (reason: string | undefined) => void = () => undefined;
    this.reason = new Promise((resolve) => (settle = resolve));
    this.settle = (reason) => {
      settle(reason);
      onFirst();
    };
    let asked = 0;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        asked += 1;
        if (asked === 1) this.settle(undefined);
        // The guards beside the children end them when this process is gone.
        else if (asked > 2) process.exit(130);
        else say('still stopping; once more to leave without waiting');
      });
    }
  }

  fail(sentence: string): void {
    this.settle(sentence);
  }
}

async function runsAttachedSoon(fleet: Fleet): Promise<number> {
  const { session, device, onboarding } = fleet;
  if (!session || !device) return 0;
  const deadline = Date.now() + ATTACH_PATIENCE_MS;
  for (;;) {
    // Of this machine: the fleet may have others.
    const { runs } = await session.client.call('getDevice', { path: { id: device } });
    if (runs.attached >= onboarding.releases.length || Date.now() > deadline) return runs.attached;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** A token for the agent that could not be started here, in the commands that would start it with more privilege. */
async function agentCommands(fleet: Fleet): Promise<readonly string[]> {
  if (!fleet.session || !fleet.noAgent) return [];
  const { token } = await fleet.session.client.call('createEnrolmentToken', {
    body: { name: 'printed by npm run up', uses: 1 },
  });
  const agent = `sudo ${process.execPath} ${join(repositoryDir, 'apps/agent/dist/main.js')}`;
  const state = '--state /var/lib/bpfleet-agent';
  return [`${agent} enrol --server ${fleet.url} --token ${token} ${state}`, `${agent} run ${state}`];
}

async function stay(fleet: Fleet, data: DataFolder, ending: Ending): Promise<number> {
  const facts = {
    runsAttached: await runsAttachedSoon(fleet),
    passwordWorks: await passwordStillWorks(fleet.url, data),
  };
  process.stdout.write(announcement({ fleet, data, ...facts, agentCommands: await agentCommands(fleet) }));
  const wrong = await ending.reason;
  if (wrong !== undefined) throw new Refusal(wrong);
  return 0;
}

async function check(fleet: Fleet, startedAt: Date): Promise<number> {
  const { session, noAgent, onboarding } = fleet;
  if (noAgent !== undefined || !session) throw new Refusal(noAgent ?? 'The server could not be logged in to.');
  if (onboarding.problems.length > 0) throw new Refusal(onboarding.problems.join(' '));
  const seen = await waitForTelemetry(
    session.client,
    onboarding.releases,
    new Date(startedAt.getTime() + CHECK_TIMEOUT_MS),
  );
  const report = reportOf(seen, startedAt, new Date());
  if (report.error) say(report.error);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  return report.ok ? 0 : 1;
}

async function run(options: UpOptions, startedAt: Date): Promise<number> {
  const data = openDataFolder(options.dataDir);
  const services = new ServiceStack(say);
  const ending = new Ending(() => void services.stopAll());
  const events = { say, onGaveUp: (sentence: string) => ending.fail(sentence) };
  try {
    const fleet = await bringUp({ options, repositoryDir, data, services, events });
    if (!options.check) return await stay(fleet, data, ending);
    const stopped = ending.reason.then((wrong): never => {
      throw new Refusal(wrong ?? 'The check was stopped.');
    });
    return await Promise.race([check(fleet, startedAt), stopped]);
  } catch (error) {
    // Asked to stop in the middle of the start: what that start says about it is of no interest.
    if (services.isStopping && !options.check) {
      const wrong = await ending.reason;
      if (wrong !== undefined) say(wrong);
      return wrong === undefined ? 130 : 1;
    }
    say(sentenceOf(error));
    if (options.check)
      process.stdout.write(`${JSON.stringify({ ok: false, error: sentenceOf(error), kernel: release() })}\n`);
    return 1;
  } finally {
    if (!services.isEmpty) say('stopping');
    await services.stopAll();
    data.release();
  }
}

async function main(): Promise<number> {
  const startedAt = new Date();
  try {
    const options = parseOptions(process.argv.slice(2), { uid: process.getuid?.() ?? 0 });
    if (options.help) {
      process.stdout.write(USAGE);
      return 0;
    }
    return await run(options, startedAt);
  } catch (error) {
    say(sentenceOf(error));
    return 1;
  }
}

const code = await main();
// What was printed must be out first: standard output may be a pipe.
process.stdout.write('', () => process.exit(code));
