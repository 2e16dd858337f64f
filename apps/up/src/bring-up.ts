import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { freePort, isPortFree, which } from '@bpfleet/embedded';
import { listenAddress, LOOPBACK, rememberHost, strandedDevices } from './device-host.js';
import { ManagedProcess } from './managed-process.js';
import type { ProcessEvents, ProcessSpec } from './managed-process.js';
import { enrolThisMachine, publishBuiltInProbes } from './onboarding.js';
import type { Onboarding } from './onboarding.js';
import type { UpOptions } from './options.js';
import { agentProcess, choosePorts, localUrl, publicUrl, serverProcesses } from './plan.js';
import type { Place } from './plan.js';
import type { DataFolder } from './data-folder.js';
import { PostgresService } from './postgres-service.js';
import { Refusal } from './refusal.js';
import type { ServiceStack } from './services.js';
import { openSession } from './session.js';
import type { Session } from './session.js';
import { readMachineFacts, whyNoAgent } from './this-machine.js';

export interface BringUp {
  readonly options: UpOptions;
  readonly repositoryDir: string;
  readonly data: DataFolder;
  readonly services: ServiceStack;
  readonly events: ProcessEvents;
}

export interface Fleet {
  /** For this machine. */
  readonly url: string;
  /** For everybody. */
  readonly publicUrl: string;
  /** Whether it is reached from other machines. */
  readonly isOpen: boolean;
  readonly session: Session | undefined;
  /** This machine's device id, or why it has no agent. */
  readonly device: string | undefined;
  readonly noAgent: string | undefined;
  /** Sentence about devices that look for this fleet elsewhere. */
  readonly stranded: string | undefined;
  readonly onboarding: Onboarding;
}

async function startProcess(to: BringUp, spec: ProcessSpec): Promise<void> {
  const managed = new ManagedProcess(spec, to.events);
  to.services.push({ name: spec.name, stop: () => managed.stop() });
  to.events.say(`starting ${spec.name}`);
  await managed.start();
}

async function startPostgres(to: BringUp, port: number): Promise<string> {
  const logFile = join(to.data.log, 'postgres.log');
  const options = { dataDir: to.data.postgres, port, database: 'bpfleet', logFile };
  // A throw-away database need not survive a power cut, and a check is quicker without waiting for the disk.
  const postgres = new PostgresService({ ...options, durable: to.options.dataDir !== undefined }, to.events);
  to.services.push(postgres);
  to.events.say('starting PostgreSQL');
  return postgres.start();
}

/**
 * Enrols and starts the agent of this machine. A server without an agent here is still a server, so what keeps the agent
 * down is said and not thrown, except in a check, which is about the whole chain.
 */
async function startAgent(to: BringUp, place: Place, session: Session): Promise<Pick<Fleet, 'device' | 'noAgent'>> {
  const noAgent = to.options.agent ? whyNoAgent(readMachineFacts()) : 'No agent was asked for (--no-agent).';
  if (noAgent !== undefined) return { device: undefined, noAgent };
  try {
    const device = await enrolThisMachine(place, session.client);
    await startProcess(to, agentProcess(place));
    return { device, noAgent: undefined };
  } catch (error) {
    if (to.options.check || !(error instanceof Refusal)) throw error;
    return { device: undefined, noAgent: error.message };
  }
}

/** A check is about the chain from a probe to its telemetry, in which the lab has no part. */
function hasLab({ check }: UpOptions): boolean {
  return !check && which('qemu-system-aarch64') !== undefined && which('qemu-system-arm') !== undefined;
}

/** With the whole of IPv6 off, `::` cannot be listened on. */
function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some(({ family }) => family === 'IPv6'));
}

const NO_SESSION =
  'The admin password was changed, so this start could neither enrol this machine nor publish probes; do both in the web app.';

/**
 * Brings one machine's fleet up, in the order in which one part needs another. What was started is on the stack when
 * anything fails or a stop is asked for in between.
 */
export async function bringUp(to: BringUp): Promise<Fleet> {
  const { options, data } = to;
  const wanted = { http: options.httpPort, mqtt: options.mqttPort, postgres: options.postgresPort };
  const { host } = options;
  const listen = listenAddress(host, hasIpv6());
  const ports = await choosePorts(wanted, { isFree: isPortFree, free: freePort }, listen);
  const place: Place = { repositoryDir: to.repositoryDir, data, ports, host, listen };
  const url = localUrl(place);
  const addresses = { url, publicUrl: publicUrl(place), isOpen: listen !== LOOPBACK };
  const databaseUrl = await startPostgres(to, ports.postgres);
  const { broker, server, ingest, lab } = serverProcesses(place, databaseUrl);
  await startProcess(to, broker);
  await startProcess(to, server);
  // Nothing waits for ingest, nor for the lab: what an agent sends before it listens stays in the agent's spool until it is acknowledged.
  const ingesting = Promise.all([ingest, ...(hasLab(options) ? [lab] : [])].map((spec) => startProcess(to, spec)));
  // Awaited at the end; until then a failure must not count as unhandled.
  ingesting.catch(() => undefined);
  const session = await openSession(url, data);
  if (!session) {
    await ingesting;
    const onboarding = { releases: [], problems: [] };
    return { ...addresses, session, device: undefined, noAgent: NO_SESSION, stranded: undefined, onboarding };
  }
  const publishing = publishBuiltInProbes(place, session, to.events.say);
  publishing.catch(() => undefined);
  const agent = await startAgent(to, place, session);
  const onboarding = await publishing;
  await ingesting;
  const { devices } = await session.client.call('overview', {});
  const others = devices - (agent.device === undefined ? 0 : 1);
  const stranded = strandedDevices(rememberHost(data.hostFile, host), others);
  return { ...addresses, session, ...agent, stranded, onboarding };
}
