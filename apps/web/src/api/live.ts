import { liveEventSchema, type LiveEvent } from '@bpfleet/api';
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { linkTrouble } from './client.js';
import { StaleGatherer, staleKeys } from './live-keys.js';
import type { DevicePages } from './queries.js';

export type LiveState = 'connecting' | 'live' | 'lost';

const retryMsMin = 1_000;
const retryMsMax = 30_000;

/**
 * Follows `/api/live` until the returned function is called. After a break everything is read again, because what
 * happened meanwhile was not sent.
 */
export function followLive(client: QueryClient, onState: (state: LiveState) => void): () => void {
  const gatherer = new StaleGatherer((key) => void client.invalidateQueries({ queryKey: key }), {
    set: (run, ms) => void setTimeout(run, ms),
  });
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retryMs = retryMsMin;
  let wasLost = false;

  // An EventSource gives up for good on an HTTP error and never notices a link that died silently, so the next attempt is
  // always ours.
  const lose = () => {
    source?.close();
    clearTimeout(timer);
    wasLost = true;
    onState('lost');
    timer = setTimeout(connect, retryMs * (0.5 + Math.random() / 2));
    retryMs = Math.min(retryMs * 2, retryMsMax);
  };
  const onAway = () => {
    if (source?.readyState === EventSource.OPEN) lose();
  };
  const connect = () => {
    source = new EventSource('/api/live');
    source.onopen = () => {
      retryMs = retryMsMin;
      onState('live');
      if (wasLost) void client.invalidateQueries();
      wasLost = false;
    };
    source.onerror = lose;
    source.onmessage = (message: MessageEvent<string>) => {
      const event = parseLive(message.data);
      if (event) apply(client, gatherer, event);
    };
  };
  onState('connecting');
  connect();
  linkTrouble.addEventListener('away', onAway);
  return () => {
    linkTrouble.removeEventListener('away', onAway);
    clearTimeout(timer);
    source?.close();
  };
}

/** Undefined for what this version of the page does not know: a newer server may say more. */
export function parseLive(data: string): LiveEvent | undefined {
  try {
    return liveEventSchema.safeParse(JSON.parse(data)).data;
  } catch {
    return undefined;
  }
}

function apply(client: QueryClient, gatherer: StaleGatherer, event: LiveEvent): void {
  if (event.type === 'device') showPresence(client, event.device, event.online);
  const keys = staleKeys(event);
  if (keys === 'all') void client.invalidateQueries();
  else for (const key of keys) gatherer.add(key);
}

/** Presence is shown at once; the rest of the row follows when the list is read again. */
function showPresence(client: QueryClient, device: string, online: boolean): void {
  client.setQueriesData<InfiniteData<DevicePages['pages'][number]>>({ queryKey: ['devices'] }, (data) =>
    data?.pages
      ? {
          ...data,
          pages: data.pages.map((page) => ({
            ...page,
            items: page.items.map((item) => (item.id === device ? { ...item, online } : item)),
          })),
        }
      : data,
  );
}
