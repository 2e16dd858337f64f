import {
  ackSchema,
  commandSchema,
  encodeMessage,
  parseMessage,
  streams,
  type Birth,
  type DownTopic,
  type Reported,
  type Sync,
  type UpTopic,
} from '@bpfleet/wire';
import type { AgentOptions } from './agent-options.js';
import { agentSettings, type AgentSettings } from './agent-settings.js';
import { bestNowMs } from './core/trusted-time.js';
import { KERNEL_BTF } from './kernel/btf-file.js';
import { crashEvidence } from './kernel/crash-evidence.js';
import { BtfGiver } from './link/btf-giver.js';
import { obey } from './link/commands.js';
import { Fetcher } from './link/fetcher.js';
import { Link } from './link/link.js';
import { errorFacts } from './log.js';
import { BootGuard } from './runs/boot-guard.js';
import { LeaseKeeper } from './runs/lease-keeper.js';
import { encodeReport, encodeReported } from './runs/report.js';
import { Starter } from './runs/starter.js';
import { Supervisor } from './runs/supervisor.js';
import { Spool } from './store/spool.js';
import { readBatchTime } from './telemetry/batch-time.js';
import { KernelSymbols } from './telemetry/kernel-symbols.js';
import { Sampler } from './telemetry/sampler.js';
import { Sender } from './telemetry/sender.js';
import { DesiredFollower } from './trust/desired-follower.js';
import { TrustKeeper } from './trust/trust-keeper.js';

const TICK_MS = 1_000;
/** It takes 0.1 ms (measured), and finds something only after a load or after the start. */
const RETURN_MEMORY_MS = 10_000;
/** For names of the last stacks when it stops: a small device takes seconds to read its symbols, and whoever stops it waits ten. */
const LAST_NAMES_MS = 2_000;
/** Nothing is told without a connection, whose number is on the disk: changes that are not, count as at most these. */
const REVISIONS_PER_CONNECTION = 1_024;

/** Wires the rooms together; decides nothing itself. */
export class Agent {
  private readonly trust: TrustKeeper;
  private readonly spool: Spool;
  private readonly sampler: Sampler;
  private readonly sender: Sender;
  private readonly link: Link;
  private readonly fetcher: Fetcher;
  private readonly follower: DesiredFollower;
  private readonly btf: BtfGiver;
  private readonly supervisor: Supervisor;
  private readonly settings: AgentSettings;
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly leases: LeaseKeeper;
  private readonly boots: BootGuard;
  private reportSoon: NodeJS.Immediate | undefined;
  private isReady = false;
  private readonly shutdown = new AbortController();

  constructor(private readonly options: AgentOptions) {
    const { state, facts, clock, log } = options;
    const { device, certificate, key, mqttUrl } = state.identity;
    this.settings = options.settings ?? agentSettings;
    const monotonicMs = (): number => Number(clock.monotonicNs() / 1000n) / 1000;
    const now = () => clock.now();
    const random = Math.random;

    this.trust = new TrustKeeper(device, state.documents, state.time);
    this.boots = new BootGuard({ saved: state.boot, evidence: options.evidence ?? crashEvidence(), now, log });
    this.leases = new LeaseKeeper({
      saved: state.lease,
      sheet: options.leaseSheet,
      now,
      runs: () => this.supervisor.leases(),
      log,
    });
    this.spool = new Spool(state.spoolFolder, this.settings.spool, monotonicMs, (batch) => this.sampler.lost(batch));
    for (const facts of this.spool.unreadable) log('error', 'spool.unreadable', facts);
    this.beginEpoch();
    state.disk.onWritable = () => {
      this.beginEpoch();
      this.supervisor.retryNow(['STATE_UNWRITABLE']);
    };
    this.link = new Link({
      device,
      url: mqttUrl,
      certificate,
      key,
      ca: () => this.trust.root.caBundle,
      nextBirth: () => this.nextBirth(),
      onConnect: () => this.connected(),
      onDisconnect: () => this.disconnected(),
      onMessage: (topic, payload) => this.receive(topic, payload),
      random,
      log,
      ...(this.settings.reconnect ? { backoff: this.settings.reconnect } : {}),
    });
    this.fetcher = new Fetcher((topic, payload) => this.link.publish(topic, payload), state.documents);
    this.btf = new BtfGiver({
      path: options.btfPath ?? KERNEL_BTF,
      digest: facts.btfDigest,
      publish: (topic, payload) => this.link.publish(topic, payload),
      monotonicMs,
    });
    this.sender = new Sender({
      spool: this.spool,
      publish: (stream, payload) => this.link.publish({ kind: 'telemetry', stream }, payload),
      monotonicMs,
      random,
    });
    this.sampler = new Sampler({
      spool: this.spool,
      symbols: new KernelSymbols({ bits: facts.userBits, read: () => this.options.kernel.readSymbols(), monotonicMs }),
      bootId: clock.bootId,
      kernelBits: facts.kernelArch === 'arm' ? 32 : 64,
      time: () => readBatchTime(clock, this.trust.time),
      monotonicMs,
      onStored: (batches) => this.sender.stored(batches),
      log,
    });
    this.supervisor = this.makeSupervisor(monotonicMs);
    this.follower = this.makeFollower();
  }

  /** What was attached before is attached and drained from here on, with or without a server. */
  start(): void {
    const { drainIntervalMs, snapshotIntervalMs, reportIntervalMs, leaseSaveIntervalMs } = this.settings;
    this.leases.save();
    this.leases.beat();
    this.supervisor.recover();
    this.supervisor.reconcile();
    this.every(TICK_MS, () => this.tick());
    this.every(drainIntervalMs, () => this.sample(this.sampler.drain()));
    this.every(snapshotIntervalMs, () => this.sample(this.sampler.snapshot()));
    this.every(reportIntervalMs, () => {
      this.supervisor.saveCounters();
      this.reportAll();
    });
    this.every(leaseSaveIntervalMs, () => this.leases.save());
    this.every(RETURN_MEMORY_MS, () => this.options.kernel.returnFreedMemory());
    this.link.start();
  }

  /** `detach` leaves nothing in the kernel; `leave` keeps what is pinned for the next agent. */
  async stop(mode: 'detach' | 'leave'): Promise<void> {
    this.shutdown.abort();
    for (const timer of this.timers) clearInterval(timer);
    if (this.reportSoon) clearImmediate(this.reportSoon);
    this.follower.disconnect();
    this.btf.stop();
    await this.supervisor.close(mode);
    this.leases.save();
    if (mode === 'detach') {
      this.leases.end();
      this.boots.shutDown();
    }
    // A successor that takes the runs over tells all names anew.
    await this.sampler.close(mode === 'detach' ? LAST_NAMES_MS : 0);
    // Before the link, which may have gone without a word.
    this.options.state.disk.flush();
    await this.link.stop();
    this.spool.close();
    this.options.kernel.close();
    this.options.state.close();
  }

  private makeSupervisor(monotonicMs: () => number): Supervisor {
    const { state, kernel, facts, clock, log, kernelKey } = this.options;
    const now = () => clock.now();
    const starter = new Starter({
      trust: this.trust,
      fetcher: this.fetcher,
      kernel,
      facts,
      btfPath: this.options.btfPath ?? KERNEL_BTF,
      log,
      now,
      monotonicMs,
      mapBytesBeside: (run) => this.supervisor.mapBytesBeside(run),
      move: (slot, next, change) => this.supervisor.move(slot, next, change),
    });
    return new Supervisor(
      {
        store: state.runs,
        revisionFloor: state.connection.value * REVISIONS_PER_CONNECTION,
        kernel,
        kernelKey,
        sampler: this.sampler,
        now,
        random: Math.random,
        desired: () => this.trust.desired?.entries,
        leaseElapsedSeconds: () => this.leases.elapsedSeconds,
        boots: this.boots,
        onChange: (run) => this.runChanged(run),
        log,
      },
      starter,
    );
  }

  private makeFollower(): DesiredFollower {
    const { clock, log } = this.options;
    return new DesiredFollower({
      trust: this.trust,
      fetcher: this.fetcher,
      renewLease: (at) => this.leases.renew(at),
      ask: (question, again) => this.askSync(question, again),
      onChange: () => this.supervisor.reconcile(),
      onDesired: () => this.reportAll(),
      used: () => this.supervisor.entries(),
      now: () => clock.now(),
      random: Math.random,
      signal: this.shutdown.signal,
      log,
      ...(this.settings.syncAnswer ? { answer: this.settings.syncAnswer } : {}),
    });
  }

  private sample(work: Promise<void>): void {
    work.catch((error: unknown) => this.options.log('error', 'telemetry.failed', errorFacts(error)));
  }

  private every(ms: number, work: () => void): void {
    this.timers.push(setInterval(work, ms));
  }

  /**
   * Batches are known by device, stream, epoch and number for ever: without an epoch of its own on the disk this agent seals
   * nothing. What runs goes on, its records stay in their rings, and the kernel counts what those cannot hold.
   */
  private beginEpoch(): void {
    if (this.spool.begun) return;
    try {
      this.spool.begin(this.options.state.epoch.next(this.spool.newestEpoch));
    } catch (error) {
      this.options.log('error', 'telemetry.held', errorFacts(error));
    }
  }

  private tick(): void {
    this.leases.tick();
    this.boots.tick();
    this.options.state.disk.tick();
    this.supervisor.checkBudgets();
    this.supervisor.checkSoaked();
    this.supervisor.reconcile();
    this.sender.tick();
  }

  private connected(): void {
    if (!this.isReady) this.options.onReady?.();
    this.isReady = true;
    this.follower.connect();
    this.supervisor.retryNow(['LINK_DOWN', 'LINK_TIMEOUT']);
    this.publishAll();
    this.sender.connect();
  }

  private disconnected(): void {
    this.follower.disconnect();
    this.sender.disconnect();
    this.fetcher.linkLost();
  }

  private receive(topic: DownTopic, payload: Buffer): void {
    switch (topic.kind) {
      case 'fresh':
        return this.follower.takeFresh(payload);
      case 'desired':
        return this.follower.takeDesired(payload);
      case 'ack':
        return this.sender.acknowledge(topic.stream, parseMessage(ackSchema, payload));
      case 'doc':
      case 'blob':
        this.fetcher.answer(topic.kind, topic.rid, payload);
        return;
      case 'cmd':
        return this.takeCommand(topic.cid, payload);
    }
  }

  private takeCommand(cid: string, payload: Buffer): void {
    const nowMs = bestNowMs(this.trust.time, Date.now(), this.options.clock.now());
    const result = obey(parseMessage(commandSchema, payload), nowMs, {
      sync: () => this.follower.sync(),
      resend: () => this.sender.resend(),
      giveBtf: (asked) => this.btf.ask(asked),
    });
    if (result) this.publish({ kind: 'res', cid }, encodeMessage(result));
  }

  private async askSync(question: Pick<Sync, 'nonce' | 'held'>, again: boolean): Promise<void> {
    // Nobody answered: whoever comes to listen later has not heard what was said on connecting.
    if (again) {
      await this.link.publishBirth();
      this.publishAll();
    }
    const epoch = this.spool.begun ? this.spool.epoch : this.options.state.epoch.value;
    const held = streams.map((stream) => {
      const oldest = this.spool.oldest(stream);
      return { stream, epoch: oldest?.epoch ?? epoch, floor: oldest?.floor ?? null };
    });
    await this.link.publish({ kind: 'sync' }, encodeMessage({ v: 1, ...question, streams: held }));
  }

  private nextBirth(): { online: Buffer; offline: Buffer } {
    const connection = this.options.state.connection.next();
    const { bootId } = this.options.clock;
    const birth: Birth = { v: 1, online: true, connection, bootId, facts: this.options.facts };
    return {
      online: encodeMessage(birth),
      offline: encodeMessage({ v: 1, online: false, connection, bootId }),
    };
  }

  private runChanged(run: string): void {
    this.publishRun(run);
    // Several changes of one turn become one report.
    this.reportSoon ??= setImmediate(() => {
      this.leases.beat();
      this.reportAll();
    });
  }

  private publishAll(): void {
    for (const run of this.supervisor.runs) this.publishRun(run);
    this.reportAll();
  }

  private publishRun(run: string): void {
    const report = this.supervisor.report(run);
    if (!report || !this.link.connected) return;
    this.link
      .publish({ kind: 'run', run }, encodeReport(report))
      .then(() => report.state === 'REMOVED' && this.supervisor.forgetRemoved(run))
      .catch(() => undefined);
  }

  private reportAll(): void {
    this.reportSoon = undefined;
    if (!this.link.connected) return;
    const { refused, desired, desiredDigest } = this.trust;
    const reported: Reported = {
      v: 1,
      generation: desired?.generation ?? 0,
      desired: desiredDigest,
      ...(refused ? { refused } : {}),
      runs: this.supervisor.reports(),
      agent: {
        rssBytes: process.memoryUsage.rss(),
        spoolBytes: this.spool.bytes,
        spoolBatches: this.spool.batches,
        uptimeSeconds: Math.round(process.uptime()),
      },
    };
    this.publish({ kind: 'reported' }, encodeReported(reported));
  }

  private publish(topic: UpTopic, payload: Buffer): void {
    // What cannot be sent now is told again after the next connection.
    this.link.publish(topic, payload).catch(() => undefined);
  }
}
