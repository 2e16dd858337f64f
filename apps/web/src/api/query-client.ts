import { ApiError } from '@bpfleet/api';
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { isNotLoggedIn, linkTrouble } from './client.js';
import { meQuery } from './queries.js';

const retriesMax = 2;

/** `onLoggedOut` is called when the server says that the session is over, once for each answer that says so. */
export function createQueryClient(onLoggedOut: () => void): QueryClient {
  const watch = (error: unknown) => {
    if (error instanceof ApiError && error.code === 'API_UNREACHABLE') linkTrouble.dispatchEvent(new Event('away'));
    if (!isNotLoggedIn(error) || !client.getQueryData(meQuery.queryKey)) return;
    client.removeQueries({ queryKey: meQuery.queryKey });
    onLoggedOut();
  };
  const client = new QueryClient({
    queryCache: new QueryCache({ onError: watch }),
    mutationCache: new MutationCache({ onError: watch }),
    defaultOptions: {
      // The server may be on this very machine or in this building: what the browser thinks of the Internet is no guide.
      mutations: { networkMode: 'always' },
      queries: {
        networkMode: 'always',
        staleTime: 2_000,
        retry: (count, error) => count < retriesMax && isWorthAnotherTry(error),
      },
    },
  });
  return client;
}

/** Only a link or a server in trouble may answer differently the next time. */
export function isWorthAnotherTry(error: unknown): boolean {
  return error instanceof ApiError && (error.code === 'API_UNREACHABLE' || error.status >= 500);
}
