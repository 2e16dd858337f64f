import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { AuditEntry } from '@bpfleet/api';
import { ContractServer } from './testing/contract-server.js';
import { buildCli, runCli } from './testing/run-cli.js';

const server = new ContractServer();
let url = '';
const cli = (...args: string[]) =>
  runCli(['audit', ...args], { env: { BPFLEET_SERVER: url, BPFLEET_TOKEN: 'bpft_test', HOME: '/nonexistent' } });
const hash = (letter: string) => letter.repeat(64);

const entry = (sequence: number): AuditEntry => ({
  sequence: String(sequence),
  at: '2026-05-01T10:00:00.000Z',
  actor: 'kari',
  action: 'device.update',
  subject: 'gw-\u001b[31moslo\u202e',
  details: { name: 'x\u001b[2J' },
  hash: hash('a'),
});

beforeAll(async () => {
  await buildCli();
  url = await server.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.calls.length = 0;
  server.answers = {};
});

describe('audit', () => {
  it('lists page by page up to the limit, and lets no text steer the terminal', async () => {
    server.answers.listAudit = ({ query }) => {
      const from = Number(query.cursor ?? 1001);
      const items = Array.from({ length: query.limit }, (_, at) => entry(from - 1 - at));
      return { items, nextCursor: items.at(-1)?.sequence ?? null };
    };
    const result = await cli('--limit', '600', '--actor', 'kari', '--action', 'device', '--since', '2026-05-01');
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('listAudit').map(({ query }) => [query.cursor, query.limit])).toEqual([
      [undefined, 500],
      ['501', 100],
    ]);
    expect(server.callsOf('listAudit')[0]?.query).toMatchObject({
      actor: 'kari',
      action: 'device',
      since: '2026-05-01T00:00:00.000Z',
    });
    expect(result.stdout.trimEnd().split('\n')).toHaveLength(601);
    expect(result.stdout).toContain('gw-\ufffd[31moslo\ufffd');
    expect(result.stdout).not.toContain('\u001b');
  });

  it('refuses a time that it cannot read', async () => {
    const result = await cli('--since', 'yesterday');
    expect([result.exitCode, server.calls]).toEqual([2, []]);
    expect(result.stderr).toContain('2026-05-01');
  });

  it('verifies the whole chain part by part, and prints its end', async () => {
    const parts = [
      { checked: 10_000, last: { sequence: '10004', hash: hash('b') }, broken: null, more: true },
      { checked: 7, last: { sequence: '10012', hash: hash('c') }, broken: null, more: false },
    ];
    server.answers.verifyAudit = ({ query }) => parts[query.after === undefined ? 0 : 1] as (typeof parts)[number];
    const result = await cli('--verify');
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('verifyAudit').map(({ query }) => query.after)).toEqual([undefined, '10004']);
    expect(result.stdout).toContain(`All 10007 entries follow from one another. The last: 10012:${hash('c')}`);
  });

  it('says where the chain breaks, and fails', async () => {
    server.answers.verifyAudit = () => ({ checked: 4, last: null, broken: '5', more: false });
    const result = await cli('--verify', '--json');
    expect(result.exitCode).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'AUDIT_BROKEN', details: { sequence: '5' } } });
  });

  it('notices that the end was cut off, by an end that was noted before', async () => {
    server.answers.verifyAudit = () => ({
      checked: 3,
      last: { sequence: '3', hash: hash('a') },
      broken: null,
      more: false,
    });
    server.answers.listAudit = ({ query }) => ({
      items: Number(query.cursor) > 3 ? [entry(3)] : [entry(Number(query.cursor) - 1)],
      nextCursor: null,
    });
    expect((await cli('--verify', '--expect', `2:${hash('a')}`)).exitCode).toBe(0);
    const cut = await cli('--verify', '--expect', `9:${hash('a')}`);
    expect([cut.exitCode, cut.stderr]).toEqual([1, expect.stringContaining('[AUDIT_CUT]')]);
    expect((await cli('--verify', '--expect', `2:${hash('f')}`)).exitCode).toBe(1);
    expect((await cli('--expect', `2:${hash('f')}`)).exitCode).toBe(2);
  });
});
