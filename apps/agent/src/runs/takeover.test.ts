import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { AgentError } from '../agent-error.js';
import type { BootPoint } from '../core/lease.js';
import { advance, newRecord, type RunRecord } from '../core/run-record.js';
import { RunStore } from '../store/runs.js';
import { desiredEntry } from '../testing/desired-entry.js';
import { FakeKernel } from '../testing/fake-kernel.js';
import { Supervisor, type RunStarter } from './supervisor.js';

const RUN = 'raaaaaaaa';
const entry = desiredEntry(RUN);

let folder: string;
let kernel: FakeKernel;
let nowSeconds: number;
let boots: { crash: string | undefined; heldUntil: BootPoint | undefined; arm: () => void };
let armed: readonly string[] | undefined;
let started: string[];
let logged: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-takeover-'));
  kernel = new FakeKernel();
  nowSeconds = 1_000;
  armed = undefined;
  // What was started before it was armed.
  boots = { crash: undefined, heldUntil: undefined, arm: () => (armed ??= [...started]) };
  started = [];
  logged = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function supervisorAfter(record: RunRecord, starter: Partial<RunStarter> = {}): Supervisor {
  new RunStore(folder).save(record);
  return new Supervisor(
    {
      store: new RunStore(folder),
      revisionFloor: 0,
      kernel,
      kernelKey: 'k1',
      sampler: { add: () => undefined, remove: async () => undefined },
      now: () => ({ bootId: 'boot', seconds: nowSeconds }),
      random: () => 1,
      desired: () => [entry],
      leaseElapsedSeconds: () => 0,
      boots,
      onChange: () => undefined,
      log: (_level, event) => logged.push(event),
    },
    { start: async ({ run }) => void started.push(run), adopt: () => false, ...starter },
  );
}

async function reconcile(supervisor: Supervisor): Promise<void> {
  supervisor.reconcile();
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

it('takes out and starts anew what it fails to take over, instead of not starting at all', async () => {
  const loaded = kernel.load({ run: RUN });
  const supervisor = supervisorAfter(advance(newRecord(entry, 'k1'), 'ATTACHED', { inKernel: loaded.ids }), {
    adopt: () => {
      throw new AgentError('OBJECT_INVALID', 'the ring gives what nobody can read');
    },
  });
  supervisor.recover();
  expect([logged, kernel.pinnedRuns()]).toEqual([['run.not-adopted'], []]);
  await reconcile(supervisor);
  expect(started).toEqual([RUN]);
});

it('does not let what failed for want of a link wait once there is one', async () => {
  const error = { code: 'LINK_DOWN', message: 'there is no connection to the broker' };
  const retryAt = { bootId: 'boot', seconds: nowSeconds + 3_600 };
  const supervisor = supervisorAfter(advance(newRecord(entry, 'k1'), 'FAILED', { error, retryAt, attempts: 12 }));
  supervisor.recover();
  await reconcile(supervisor);
  supervisor.retryNow(['STATE_UNWRITABLE']);
  expect(started).toEqual([]);
  supervisor.retryNow(['LINK_DOWN', 'LINK_TIMEOUT']);
  await reconcile(supervisor);
  expect(started).toEqual([RUN]);
});

it('leaves alone a run with which the device went down twice, and says so once', async () => {
  const inKernel = { bootId: 'earlier', programs: [], maps: [], links: [] };
  const before = { ...advance(newRecord(entry, 'k1'), 'ATTACHED', { inKernel }), uncleanBoots: 1 };
  const supervisor = supervisorAfter(before);
  supervisor.recover();
  await reconcile(supervisor);
  expect([started, logged]).toEqual([[], ['run.suspected']]);
  expect(supervisor.report(RUN)).toMatchObject({ state: 'SUSPECT_CRASH', error: { code: 'SUSPECT_CRASH' } });
  expect(new RunStore(folder).load().records).toMatchObject([{ state: 'SUSPECT_CRASH', uncleanBoots: 2 }]);
});

it('starts a run with which the device went down once, and forgets that when it has run for ten minutes', async () => {
  const inKernel = { bootId: 'earlier', programs: [], maps: [], links: [] };
  const supervisor = supervisorAfter(advance(newRecord(entry, 'k1'), 'ATTACHED', { inKernel }));
  supervisor.recover();
  await reconcile(supervisor);
  expect(started).toEqual([RUN]);
});

it('attaches nothing in a boot after three that ended early, not even what has soaked, until that boot has lasted', async () => {
  const inKernel = { bootId: 'earlier', programs: [], maps: [], links: [] };
  boots.heldUntil = { bootId: 'boot', seconds: 1_200 };
  const before = { ...advance(newRecord(entry, 'k1'), 'ATTACHED', { inKernel }), soaked: true };
  const supervisor = supervisorAfter(before);
  supervisor.recover();
  await reconcile(supervisor);
  expect([started, logged, armed]).toEqual([[], ['run.held'], undefined]);
  expect(supervisor.report(RUN)).toMatchObject({ state: 'FAILED', error: { code: 'UNCLEAN_BOOTS' } });
  nowSeconds = 1_200;
  boots.heldUntil = undefined;
  await reconcile(supervisor);
  expect([started, armed]).toEqual([[RUN], []]);
  // The device lasted without it: the next time counts as the second.
  expect(new RunStore(folder).load().records).toMatchObject([{ soaked: false, uncleanBoots: 1 }]);
});

it('trusts what was held and was not why the device went down', async () => {
  const error = { code: 'UNCLEAN_BOOTS', message: 'held' };
  const retryAt = { bootId: 'earlier', seconds: 1_200 };
  const supervisor = supervisorAfter({
    ...advance(newRecord(entry, 'k1'), 'FAILED', { error, retryAt }),
    soaked: true,
  });
  supervisor.recover();
  await reconcile(supervisor);
  expect(started).toEqual([RUN]);
  expect(new RunStore(folder).load().records).toMatchObject([{ soaked: true, uncleanBoots: 0 }]);
});

it('begins anew to suspect a run that has soaked in another kernel', async () => {
  const inKernel = { bootId: 'earlier', programs: [], maps: [], links: [] };
  const before = { ...advance(newRecord(entry, 'k0'), 'ATTACHED', { inKernel }), soaked: true };
  boots.crash = 'the watchdog had to reset it';
  const supervisor = supervisorAfter(before);
  supervisor.recover();
  await reconcile(supervisor);
  expect(started).toEqual([]);
  expect(supervisor.report(RUN)).toMatchObject({
    state: 'SUSPECT_CRASH',
    error: {
      message: expect.stringMatching(/^the device went down once within 10 minutes.*; the watchdog had to reset it$/),
    },
  });
});
