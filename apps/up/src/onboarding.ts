import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ApiClient, Release } from '@bpfleet/api';
import type { Place } from './plan.js';
import { localMqttUrl, localUrl } from './plan.js';
import { Refusal } from './refusal.js';
import { runOnce } from './run-once.js';
import type { Session } from './session.js';

/** Written by the agent's own `enrol`. */
const PLACE_FILE = 'identity/device.json';
const ENROL_TIMEOUT_MS = 60_000;
const PUBLISH_TIMEOUT_MS = 120_000;

type Say = (line: string) => void;

export interface BuiltInProbe {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
}

interface AgentPlace {
  readonly device: string;
  readonly mqttUrl: string;
}

/** The device this machine is, if it enrolled before. */
export function enrolledDevice(agentDir: string): string | undefined {
  const file = join(agentDir, PLACE_FILE);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as AgentPlace).device : undefined;
}

/**
 * An agent keeps the broker's address it was told at enrolment. On this machine the supervisor chooses that address, so when
 * it starts with another port it must say so, or its own agent would knock at the old one for ever.
 */
export function pointAgentAt(agentDir: string, mqttUrl: string): void {
  const file = join(agentDir, PLACE_FILE);
  const place = JSON.parse(readFileSync(file, 'utf8')) as AgentPlace;
  if (place.mqttUrl === mqttUrl) return;
  writeFileSync(`${file}.new`, JSON.stringify({ ...place, mqttUrl }), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Enrols this machine like any other device: with a one-time token, over HTTP. @returns its id */
export async function enrolThisMachine(place: Place, client: ApiClient): Promise<string> {
  const known = enrolledDevice(place.data.agent);
  if (known) {
    pointAgentAt(place.data.agent, localMqttUrl(place));
    return known;
  }
  const { token } = await client.call('createEnrolmentToken', {
    body: { name: `npm run up on ${hostname()}`.slice(0, 64), uses: 1, expiresInMinutes: 10 },
  });
  const main = join(place.repositoryDir, 'apps/agent/dist/main.js');
  await runOnce({
    doing: 'Enrolling this machine',
    args: [main, 'enrol', '--server', localUrl(place), '--token', token, '--state', place.data.agent],
    env: process.env,
    cwd: place.repositoryDir,
    timeoutMs: ENROL_TIMEOUT_MS,
  });
  const device = enrolledDevice(place.data.agent);
  if (!device) throw new Refusal(`Enrolling this machine left no identity in ${place.data.agent}.`);
  // It was told what devices outside are told, and that name may lead past this machine.
  pointAgentAt(place.data.agent, localMqttUrl(place));
  return device;
}

/** Folders under libs/probes that hold a manifest. Name and version are top-level scalars; the server parses the rest. */
export function builtInProbes(repositoryDir: string): BuiltInProbe[] {
  const probesDir = join(repositoryDir, 'libs/probes');
  return readdirSync(probesDir).flatMap((entry) => {
    const folder = join(probesDir, entry);
    const manifest = join(folder, 'probe.yaml');
    if (!existsSync(manifest)) return [];
    const text = readFileSync(manifest, 'utf8');
    const scalar = (key: string): string => new RegExp(`^${key}:\\s*["']?([^\\s"'#]+)`, 'm').exec(text)?.[1] ?? '';
    return [{ name: scalar('name'), version: scalar('version'), folder }];
  });
}

async function publish(place: Place, session: Session, probe: BuiltInProbe): Promise<void> {
  await runOnce({
    doing: `Publishing ${probe.name}`,
    args: [join(place.repositoryDir, 'apps/cli/dist/main.js'), 'publish', probe.folder, '--json'],
    env: { ...process.env, BPFLEET_SERVER: localUrl(place), BPFLEET_TOKEN: session.token },
    cwd: place.repositoryDir,
    timeoutMs: PUBLISH_TIMEOUT_MS,
  });
}

export interface Onboarding {
  readonly releases: readonly Release[];
  /** One sentence for each probe that could not be published or assigned. */
  readonly problems: readonly string[];
}

/** The release of this probe in this version, published now if the server does not have it. */
async function ensureRelease(place: Place, session: Session, probe: BuiltInProbe, say: Say): Promise<Release> {
  const find = async (): Promise<Release | undefined> => {
    const { items } = await session.client.call('listReleases', { query: { probe: probe.name } });
    return items.find((release) => release.version === probe.version);
  };
  const known = await find();
  if (known) return known;
  say(`publishing ${probe.name} ${probe.version}: compile, check, prove on this kernel, sign`);
  await publish(place, session, probe);
  const published = await find();
  if (!published) throw new Refusal(`Publishing ${probe.name} left no release.`);
  return published;
}

/**
 * Publishes the built-in probes that the server does not have in this version and, until that has succeeded once, assigns
 * to every device those that were never assigned. After that the fleet is a person's to arrange, and is left alone.
 */
export async function publishBuiltInProbes(place: Place, session: Session, say: Say): Promise<Onboarding> {
  const isFirstUse = !existsSync(place.data.onboardedFile);
  const { items: assignments } = await session.client.call('listAssignments', {});
  const waiting = builtInProbes(place.repositoryDir);
  const releases: Release[] = [];
  const problems: string[] = [];
  const work = async (): Promise<void> => {
    for (let probe = waiting.shift(); probe; probe = waiting.shift()) {
      try {
        const release = await ensureRelease(place, session, probe, say);
        releases.push(release);
        if (!isFirstUse || assignments.some((one) => one.probe === probe.name)) continue;
        await session.client.call('createAssignment', { body: { releaseId: release.id, selector: 'all' } });
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
  };
  // While one is compiled, the next one's program starts: more at once would only wait for the jails.
  await Promise.all([work(), work()]);
  if (problems.length === 0) writeFileSync(place.data.onboardedFile, `${new Date().toISOString()}\n`);
  return { releases, problems };
}
