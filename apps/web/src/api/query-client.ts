import { ApiError } from '@bpfleet/api';
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query';
import { isNotLoggedIn } from './client.js';
import { meQuery } from './queries.js';

const retriesMax = 2;

/** `onLoggedOut` is called when the server says that the session is over, once for each answer that says so. */
export function createQueryClient(onLoggedOut: () => void): QueryClient {
  const watch = (error: unknown) => {
    if (!isNotLoggedIn(error) || !client.getQueryData(meQuery.queryKey)) return;
    client.removeQueries({ queryKey: meQuery.queryKey });
    onLoggedOut();
  };
  const client = new QueryClient({
    queryCache: new QueryCache({ onError: watch }),
    mutationCache: new MutationCache({ onError: watch }),
    defaultOptions: {
      queries: {
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
