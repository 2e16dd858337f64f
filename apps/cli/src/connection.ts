import { createClient, type ApiClient, type ClientOptions } from '@bpfleet/api';
import { readCredentials } from './config/credentials.js';
import type { CommandContext } from './context.js';
import { Printer } from './output/printer.js';

/** What every command is run with. */
export interface Invocation {
  readonly context: CommandContext;
  readonly printer: Printer;
}

/** @throws CliError NOT_LOGGED_IN */
export async function connect(
  { context }: Invocation,
  options: Pick<ClientOptions, 'timeoutMs'> = {},
): Promise<ApiClient> {
  const { server, token } = await readCredentials(context);
  return createClient({ baseUrl: server, token, fetch: context.fetch, ...options });
}
