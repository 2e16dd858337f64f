import { ApiError, createClient } from '@bpfleet/api';
import type { Command } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { forgetCredentials, readStored } from '../../config/credentials.js';

export function addLogout(program: Command, host: CommandHost): void {
  program
    .command('logout')
    .description('revoke the token that login made, and forget it')
    .action(async (_options: object, command: Command) => {
      const { context, printer } = invocationOf(command, host);
      const stored = await readStored(context);
      if (stored?.tokenId) {
        const client = createClient({ baseUrl: stored.server, token: stored.token, fetch: context.fetch });
        try {
          await client.call('revokeApiToken', { path: { id: stored.tokenId } });
        } catch (error) {
          // A token that the server no longer knows is as good as revoked; anything else must not look like success.
          if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 404)) throw error;
        }
      }
      await forgetCredentials(context);
      printer.result({ loggedOut: stored !== undefined }, () => [stored ? 'Logged out.' : 'Was not logged in.']);
    });
}
