import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import pg from 'pg';
import { expect as expectPage } from './expect-page.js';
import type { Browser, Page } from 'playwright-core';
import { collectPageErrors, launchChromium } from './browser.js';
import { repositoryDir, Stack } from './stack.js';

const LONG_MS = 240_000;
/** The columns of every table of pre-flight's answers. */
const ANSWER = ['Devices', 'Verdict', 'Proven by', 'Why'];

/** What a person does with the web app, on the real server, agent and kernel, in order. */
describeWithKernel('the web app in Chromium', ['bpf', 'tracefs', 'chromium'], () => {
  let stack: Stack;
  let device: string;
  let browser: Browser;
  let page: Page;
  let errors: string[];

  beforeAll(async () => {
    stack = await Stack.start();
    device = await stack.startAgent();
    await stack.publishBuiltIn('trace_exec');
    await stack.publishBuiltIn('count_syscalls');
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    page.setDefaultTimeout(20_000);
    errors = collectPageErrors(page);
  }, LONG_MS);
  /** Of the table with that name. */
  const headers = (name: string): Promise<string[]> =>
    page.getByRole('table', { name }).getByRole('columnheader').allInnerTexts();

  afterAll(async () => {
    await browser?.close();
    await stack?.stop();
  }, LONG_MS);

  it(
    'asks who you are, says when the password is wrong, and lets you in',
    async () => {
      await page.goto(stack.url);
      await page.getByTestId('login-username').fill('admin');
      await page.getByTestId('login-password').fill('wrong password');
      await page.getByTestId('login-submit').click();
      await page.getByText('the name or the password is wrong').waitFor();
      await page.getByTestId('login-password').fill(Stack.password);
      await page.getByTestId('login-submit').click();
      await page.waitForURL(/\/devices/);
      errors.length = 0;
    },
    LONG_MS,
  );

  it(
    'shows the device, online, and notices at once when it goes and comes back',
    async () => {
      await page.goto(`${stack.url}/devices/${device}`);
      const dot = (name: string) => page.getByRole('img', { name, exact: true }).first();
      await dot('online').waitFor();
      await stack.endPart('agent', 'SIGTERM');
      await dot('offline').waitFor();
      await stack.startPart('agent');
      await dot('online').waitFor();
    },
    LONG_MS,
  );

  it(
    'assigns a release to a selector after a pre-flight, and its metrics are drawn',
    async () => {
      await page.goto(`${stack.url}/probes`);
      await page.getByText('count_syscalls').first().click();
      await page.getByTestId('assign').click();
      await page
        .getByTestId('selector')
        .locator('input')
        .or(page.locator('input[data-testid=selector]'))
        .first()
        .fill('arch=x86_64 or arch=arm64');
      await expectPage(page.getByTestId('preflight-devices')).toHaveAttribute('data-count', '1');
      // The server has proven it on this very kernel when it was published.
      await expectPage(page.getByTestId('preflight-verdict').first()).toHaveAttribute('data-verdict', 'takes');
      expect(await headers('Pre-flight by kernel')).toEqual(['Kernel', ...ANSWER]);
      expect(await page.getByTestId('preflight-group').innerText()).toMatch(/takes it\s+same build/i);
      await page.getByTestId('assign-review').click();
      await page.getByTestId('assign-confirm').click();
      await stack.attached('count_syscalls', device);
      await page.goto(`${stack.url}/devices/${device}?tab=metrics`);
      const chart = page.locator('[data-testid=metric][data-metric=syscalls_total] canvas').first();
      await chart.waitFor();
    },
    LONG_MS,
  );

  it(
    'says what would break if the device moved to a kernel of the fleet: nothing, on its own',
    async () => {
      await page.goto(`${stack.url}/settings`);
      await page.getByTestId('upgrade-to').first().click();
      await expectPage(page.getByTestId('upgrade-summary')).toHaveAttribute('data-runs', '1');
      await expectPage(page.getByTestId('upgrade-row').getByTestId('preflight-verdict')).toHaveAttribute(
        'data-verdict',
        'takes',
      );
      expect(await headers('Runs on the other kernel')).toEqual(['Release', 'On', ...ANSWER]);
      await page.getByTestId('upgrade-series').fill('99.1');
      await page.getByTestId('upgrade-series').press('Enter');
      await page.getByText('none known').waitFor();
      await page.waitForURL(/to=%2299\.1%22/);
    },
    LONG_MS,
  );

  it(
    'shows the kernels of the lab, and one as soon as it is added',
    async () => {
      await page.goto(`${stack.url}/settings`);
      const lab = page.getByTestId('lab');
      await lab.getByText('No kernels in the lab').waitFor();
      await stack.api.call('addLabKernel', { body: { name: 'board', suite: 'trixie', arch: 'arm64' } });
      const row = lab.getByTestId('lab-kernels').getByText('board', { exact: true });
      await row.waitFor();
      await lab.getByText('waiting', { exact: true }).waitFor();
    },
    LONG_MS,
  );

  it(
    'shows the verification report of a release',
    async () => {
      const { items } = await stack.api.call('listReleases', { query: { probe: 'trace_exec' } });
      await page.goto(`${stack.url}/releases/${items[0]?.id}`);
      await page.getByTestId('verdict').first().waitFor();
      await expectPage(page.getByTestId('verdict').first()).toHaveAttribute('data-verdict', 'accepted');
      await page
        .getByText(items[0]?.signature.keyids[0]?.slice(0, 12) ?? '')
        .first()
        .waitFor();
    },
    LONG_MS,
  );

  it(
    'shows why a kernel of the lab refused it, once, with the line of its source',
    async () => {
      const { items } = await stack.api.call('listReleases', { query: { probe: 'trace_exec' } });
      await refusedByTheBoard(stack.databaseUrl, items[0]?.id ?? '');
      await page.goto(`${stack.url}/releases/${items[0]?.id}`);
      const why = page.getByTestId('kernel-reasons').filter({ hasText: '6.1.0-board' });
      await why.waitFor();
      expect(await why.getByTestId('source-line').innerText()).toBe('trace_exec.bpf.c:52  slot->n += 1;');
      expect((await why.innerText()).split('may be NULL')).toHaveLength(2);
      expect(await why.innerText()).toContain('Check it first.');
      await why.getByText('Verifier log', { exact: true }).click();
      await why.getByText("R0 invalid mem access 'map_value_or_null'").waitFor();
    },
    LONG_MS,
  );

  it(
    'opens a debug run on one device and shows what its kernel sees until it is stopped',
    async () => {
      const { items } = await stack.api.call('listReleases', { query: { probe: 'trace_exec' } });
      await page.goto(`${stack.url}/debug/new?device=${device}&release=${items[0]?.id}&minutes=5`);
      await page.getByTestId('debug-start').click();
      await page.waitForURL(/\/debug\/r[a-z0-9]+/);
      await expectPage(page.getByTestId('run-state').first()).toHaveAttribute('data-state', 'ATTACHED');
      await page.getByTestId('countdown').waitFor();
      // Again and again: the page keeps the newest events, and other programs of this machine may push ours off it.
      const calls = setInterval(() => execFileSync('/bin/true'), 200);
      await page
        .getByText('/bin/true')
        .or(page.getByText('/usr/bin/true'))
        .first()
        .waitFor()
        .finally(() => clearInterval(calls));
      await page.getByTestId('debug-stop').click();
      await page.getByTestId('run-ended').waitFor();
    },
    LONG_MS,
  );

  it(
    'changes the password, and asks for the new one',
    async () => {
      const next = 'a quite different password';
      await page.goto(`${stack.url}/settings`);
      await page.getByTestId('password-current').fill(Stack.password);
      await page.getByTestId('password-next').fill(next);
      await page.getByTestId('password-again').fill(next);
      await page.getByTestId('password-change').click();
      await page.getByTestId('login-username').fill('admin');
      await page.getByTestId('login-password').fill(next);
      await page.getByTestId('login-submit').click();
      await page.waitForURL(/\/settings/);
    },
    LONG_MS,
  );

  it(
    'shows who did what to administrators, filtered by the URL, and that the chain holds',
    async () => {
      await page.goto(stack.url);
      await page.getByTestId('nav-audit').click();
      const table = page.getByTestId('audit');
      await table.getByText('release.publish').first().waitFor();
      await page.getByTestId('audit-action').fill('assignment');
      await page.getByTestId('audit-action').press('Enter');
      await page.waitForURL(/action=assignment/);
      await table.getByText('release.publish').first().waitFor({ state: 'detached' });
      await table.getByText('assignment.create').first().waitFor();
      await page.getByTestId('audit-verify').click();
      await page.getByText(/^All \d+ entries follow from one another\.$/).waitFor();
    },
    LONG_MS,
  );

  it(
    'revokes a device once its id is typed, and says so on its page',
    async () => {
      await page.goto(`${stack.url}/devices/${device}`);
      await page.getByTestId('device-revoke').click();
      await page.getByTestId('revoke-reason').fill('it was stolen');
      await page.getByTestId('revoke-typed').fill('something else');
      expect(await page.getByTestId('revoke-confirm').isDisabled()).toBe(true);
      await page.getByTestId('revoke-typed').fill(device);
      await page.getByTestId('revoke-confirm').click();
      await page.getByTestId('device-revoked').getByText('it was stolen').waitFor();
      expect(await page.getByTestId('device-revoke').count()).toBe(0);
      expect((await stack.api.call('getDevice', { path: { id: device } })).status).toBe('revoked');
    },
    LONG_MS,
  );

  it('did all this without an error in the console', () => {
    expect(errors).toEqual([]);
  });
});

/** Of the server under test, which believes no lab of another version. */
async function proveVersion(): Promise<number> {
  const file = join(repositoryDir, 'apps/server/dist/features/kernels/verdicts/verdict-versions.js');
  const { VERDICT_VERSIONS } = (await import(file)) as { VERDICT_VERSIONS: { prove: number } };
  return VERDICT_VERSIONS.prove;
}

/** What the lab writes once its kernel `board` has come up and refused a release. */
async function refusedByTheBoard(databaseUrl: string, releaseId: string): Promise<void> {
  const explanation = { class: 'null_unchecked', sentence: 'A pointer may be NULL.', advice: 'Check it first.' };
  const source = { file: 'trace_exec.bpf.c', line: 52, text: 'slot->n += 1;' };
  const program = {
    ...{ name: 'trace_exec', section: 'raw_tp/x', type: 'raw_tracepoint', verdict: 'refused', errnoName: 'EACCES' },
    ...{ instructionCount: 9, verifiedInstructions: null, stackDepthBytes: null, jitedBytes: null },
    explanation: { ...explanation, source },
    log: "7: (79) r0 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n",
  };
  const { class: kind, sentence, advice } = explanation;
  const reasons = [{ kind, sentence: `${sentence} ${advice}`, program: program.name }];
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const group = 'b'.repeat(64);
    await client.query(
      `INSERT INTO "KernelGroup" (id, "kernelRelease", "kernelArch", "userBits", jit, lsm, "pageBytes")
       VALUES ($1, '6.1.0-board', 'aarch64', 64, 'on', '{}', 4096)`,
      [group],
    );
    await client.query(`UPDATE "LabKernel" SET "kernelGroupId" = $1 WHERE name = 'board'`, [group]);
    await client.query(
      `INSERT INTO "KernelVerdict" ("releaseId", "kernelGroupId", stage, version, verdict, reasons, facts)
       VALUES ($1, $2, 'prove', $3, 'refused', $4, $5)`,
      [releaseId, group, await proveVersion(), JSON.stringify(reasons), JSON.stringify({ programs: [program] })],
    );
  } finally {
    await client.end();
  }
}
