import type { AuditEntry } from '@bpfleet/api';
import { InvalidArgumentError, type Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect, type Invocation } from '../../connection.js';
import { CliError } from '../../exit-code.js';
import { tableLines } from '../../output/printer.js';
import { wholeNumber } from '../../whole-number.js';
import { verifyAudit, type Head } from './verify.js';

interface AuditOptions {
  actor?: string;
  action?: string;
  since?: string;
  limit: number;
  verify?: boolean;
  expect?: Head;
}

const entriesPerPage = 500;

export function addAudit(program: Command, host: CommandHost): void {
  program
    .command('audit')
    .description('who did what, newest first; for administrators')
    .option('--actor <name>', 'only what this user did')
    .option('--action <action>', 'only this, such as device.revoke, or a noun with all that befell it')
    .option('--since <time>', 'not what was before, such as 2026-05-01 or 2026-05-01T10:00Z', sinceTime)
    .option('--limit <n>', 'at most so many', wholeNumber(1, 100_000), 100)
    .option('--verify', 'whether the chain holds from the first entry to the last, instead of listing them')
    .option('--expect <entry:hash>', 'with --verify: an earlier last entry, which must still be there', head)
    .action(async (options: AuditOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      if (options.verify) return verifyAudit(invocation, options.expect);
      if (options.expect) throw new CliError('USAGE', '--expect goes with --verify');
      const items = await readEntries(invocation, options);
      invocation.printer.result({ items }, () => entryLines(items));
    });
}

async function readEntries(invocation: Invocation, options: AuditOptions): Promise<AuditEntry[]> {
  const client = await connect(invocation);
  const { actor, action, since } = options;
  const items: AuditEntry[] = [];
  let cursor: string | undefined;
  do {
    const limit = Math.min(entriesPerPage, options.limit - items.length);
    const page = await client.call('listAudit', { query: { actor, action, since, cursor, limit } });
    items.push(...page.items);
    cursor = page.nextCursor ?? undefined;
  } while (cursor && items.length < options.limit);
  return items;
}

function entryLines(items: readonly AuditEntry[]): string[] {
  if (items.length === 0) return ['No entries.'];
  return tableLines(items, [
    { title: 'ENTRY', right: true, cell: (entry) => entry.sequence },
    { title: 'WHEN', cell: (entry) => entry.at },
    { title: 'WHO', cell: (entry) => entry.actor },
    { title: 'ACTION', cell: (entry) => entry.action },
    { title: 'SUBJECT', cell: (entry) => entry.subject },
    { title: 'DETAILS', cell: (entry) => JSON.stringify(entry.details) },
  ]);
}

function sinceTime(text: string): string {
  const time = /^\d{4}-\d{2}-\d{2}(T|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new InvalidArgumentError('a day like 2026-05-01, or a time like 2026-05-01T10:00Z.');
  return new Date(time).toISOString();
}

function head(text: string): Head {
  const [, sequence, hash] = /^(\d{1,18}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (sequence !== undefined && hash !== undefined) return { sequence, hash };
  throw new InvalidArgumentError('give it as --verify printed it: the entry, a colon, and 64 hexadecimal digits.');
}
