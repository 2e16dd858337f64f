import { Button, Group, Text } from '@mantine/core';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useMemo, useRef, useState } from 'react';
import { api } from '../api/client.js';
import { addNewer, addOlder, newerFrom, startTail, type EventRow, type EventTail } from '../api/event-tail.js';
import { columnWidth } from './event-columns.js';
import { EmptyState, ErrorPanel } from './feedback.js';
import { formatClock, formatTime, printable } from './format.js';
import { windowOf, type TimeSearch } from './time-window.js';
import { VirtualTable, type Column } from './virtual-table.js';

interface EventTableProps {
  query: { device: string; probe: string; event: string; run?: string };
  /** The window that the URL names; without it, everything after `since`. */
  time?: TimeSearch;
  since?: string;
  maxHeight: string;
  /** False when nothing more can come. */
  live?: boolean;
  emptyText?: string;
}

const pageRows = 500;
const newerRows = 1000;
const rereadMs = 10_000;

/** Events, newest first. Live events make its query stale, and only what is newer than the first row is read. */
export function EventTable({ query, time, since, maxHeight, live = true, emptyText }: EventTableProps) {
  const client = useQueryClient();
  const [paused, setPaused] = useState(false);
  const fixed = time?.from !== undefined;
  const key = useMemo(
    () => ['telemetry', query.device, 'events', query.probe, query.event, query.run ?? '', time ?? {}],
    [query.device, query.probe, query.event, query.run, time],
  );
  const asked = () => (time ? windowOf(time, Date.now()) : since ? { from: since } : {});
  const latestAsked = useRef(asked);
  latestAsked.current = asked;
  const tail = useQuery<EventTail>({
    queryKey: key,
    enabled: !paused,
    refetchInterval: live && !fixed ? rereadMs : false,
    queryFn: async () => {
      const held = client.getQueryData<EventTail>(key);
      const from = held && newerFrom(held);
      if (held && from && !fixed) {
        return addNewer(held, await api.call('events', { query: { ...query, from, limit: newerRows } }));
      }
      return startTail(await api.call('events', { query: { ...query, ...asked(), limit: pageRows } }));
    },
  });

  const reading = useRef(false);
  const cursor = tail.data?.olderCursor ?? null;
  const older = useCallback(() => {
    if (!cursor || reading.current) return;
    reading.current = true;
    void api
      .call('events', { query: { ...query, ...latestAsked.current(), cursor, limit: pageRows } })
      .then((response) => client.setQueryData<EventTail>(key, (held) => held && addOlder(held, response)))
      // The next scroll asks again; what is on the screen stays.
      .catch(() => undefined)
      .finally(() => {
        reading.current = false;
      });
  }, [cursor, client, key, query]);

  const columns = useMemo(() => eventColumns(tail.data?.columns ?? []), [tail.data?.columns]);
  const rows = tail.data?.rows ?? [];
  return (
    <section className="bf-panel">
      {tail.error && (
        <div style={{ padding: 12 }}>
          <ErrorPanel error={tail.error} retry={() => void tail.refetch()} />
        </div>
      )}
      <VirtualTable
        label={`${query.event} events`}
        testId="events"
        rows={rows}
        columns={columns}
        rowKey={(row, index) => `${row.at}-${rows.length - index}`}
        rowHeight={28}
        maxHeight={maxHeight}
        loading={tail.isPending && !paused}
        onEndReached={older}
        empty={
          tail.data && (
            <EmptyState title="No events yet">
              {emptyText ?? 'They appear here by themselves as they arrive.'}
            </EmptyState>
          )
        }
      />
      <Group px={12} py={5} gap="sm">
        <Text size="xs" c="dimmed" aria-live="polite" data-testid="event-count" data-count={rows.length}>
          {rows.length}
          {cursor ? '+' : ''} events
          {tail.data?.skipped ? '; more arrived at once than can be shown, older ones are left out' : ''}
        </Text>
        {live && !fixed && (
          <Button
            ml="auto"
            size="compact-xs"
            variant="subtle"
            color="gray"
            leftSection={paused ? <IconPlayerPlay size={12} /> : <IconPlayerPause size={12} />}
            onClick={() => setPaused((before) => !before)}
          >
            {paused ? 'Go on' : 'Pause'}
          </Button>
        )}
      </Group>
    </section>
  );
}

function eventColumns(columns: EventTail['columns']): Column<EventRow>[] {
  return [
    {
      key: '@at',
      title: 'Time',
      width: '96px',
      render: (row) => (
        <span className="bf-mono bf-dim" title={formatTime(row.at)}>
          {formatClock(row.at)}
        </span>
      ),
    },
    ...columns.map(({ name, type }): Column<EventRow> => ({
      key: name,
      title: printable(name),
      ...columnWidth(name, type),
      render: (row) => {
        const text = cellText(row.fields[name]);
        return (
          <span className="bf-mono" title={text}>
            {text}
          </span>
        );
      },
    })),
  ];
}

function cellText(value: EventRow['fields'][string] | undefined): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? printable(value) : String(value);
}
