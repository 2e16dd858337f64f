import { createClient } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { cleanServer, storeCredentials } from '../../config/credentials.js';
import type { CommandContext } from '../../context.js';
import { CliError } from '../../exit-code.js';
import { safeText } from '../../output/terminal-text.js';
import { cookieFetch } from './cookie-fetch.js';

interface LoginOptions {
  server: string;
  username: string;
  passwordStdin?: boolean;
}

const passwordBytesMax = 1024;

export function addLogin(program: Command, host: CommandHost): void {
  program
    .command('login')
    .description('log in, and keep an API token of your own for the other commands')
    .requiredOption('--server <url>', 'such as https://fleet.example.com')
    .requiredOption('--username <name>', 'who you are')
    .option('--password-stdin', 'read the password from standard input')
    .action(async (options: LoginOptions, command: Command) => {
      const { context, printer } = invocationOf(command, host);
      const server = cleanServer(options.server);
      const password = await readPassword(context, options);
      const session = createClient({ baseUrl: server, fetch: cookieFetch(context.fetch) });
      const user = await session.call('login', { body: { username: options.username, password } });
      const name = `bpfleet on ${context.hostName}`.slice(0, 64);
      const token = await session.call('createApiToken', { body: { name, role: user.role } });
      // The token is what stays; the session has done its work.
      await session.call('logout', {}).catch(() => undefined);
      const path = await storeCredentials(context, {
        server,
        token: token.token,
        tokenId: token.id,
        username: user.username,
      });
      printer.result({ server, username: user.username, role: user.role, expiresAt: token.expiresAt, path }, () => [
        `Logged in to ${server} as ${safeText(user.username)} (${user.role}) until ${token.expiresAt.slice(0, 10)}.`,
      ]);
    });
}

async function readPassword(context: CommandContext, options: LoginOptions): Promise<string> {
  const password = options.passwordStdin
    ? (await context.readInput(passwordBytesMax)).replace(/\r?\n$/, '')
    : await context.ask(`Password of ${options.username}: `, { hidden: true });
  if (password) return password;
  throw new CliError(
    'PASSWORD_MISSING',
    'no password was given: type it at a terminal, or pipe it in with --password-stdin',
  );
}
