import type { AuditEntry } from '@bpfleet/api';
import { Button, Group, Text, TextInput } from '@mantine/core';
import { useInfiniteQuery, useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { auditQuery } from '../../api/queries.js';
import { EmptyState, ErrorPanel } from '../../ui/feedback.js';
import { formatTime, printable } from '../../ui/format.js';
import { PageTitle } from '../../ui/pieces.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import type { AuditSearch } from '../search.js';
import { detailsText } from './details-text.js';
import { verifyChain, type ChainState } from './verify-chain.js';

/** Who did what, newest first. */
export function AuditPage() {
  const search = useSearch({ from: '/shell/audit' });
  const navigate = useNavigate({ from: '/audit' });
  const log = useInfiniteQuery(auditQuery({ actor: search.actor, action: search.action }));
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = log;
  const rows = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const filter = (change: AuditSearch) => void navigate({ search: { ...search, ...change }, replace: true });

  return (
    <>
      <PageTitle title="Audit" note="Every change by a person, in a chain that shows where it was tampered with.">
        <FilterInput label="Actor" value={search.actor} onCommit={(actor) => filter({ actor })} />
        <FilterInput
          label="Action"
          value={search.action}
          placeholder="device, or device.revoke"
          onCommit={(action) => filter({ action })}
        />
        <VerifyChain />
      </PageTitle>
      {log.error && <ErrorPanel error={log.error} retry={() => void log.refetch()} />}
      <section className="bf-panel">
        <VirtualTable
          label="Audit entries"
          testId="audit"
          rows={rows}
          columns={columns}
          rowKey={(entry) => entry.sequence}
          onEndReached={more}
          loading={log.isPending}
          empty={log.error ? null : <EmptyState title="No entry is like this">Take a filter away.</EmptyState>}
        />
        {rows.length > 0 && (
          <Group gap="sm" px={12} py={6}>
            <Text size="xs" c="dimmed" aria-live="polite">
              {rows.length} {rows.length === 1 ? 'entry' : 'entries'}
              {hasNextPage ? ' loaded' : ', back to the first'}
            </Text>
            {hasNextPage && (
              <Button
                variant="default"
                size="compact-xs"
                onClick={more}
                loading={isFetchingNextPage}
                data-testid="more"
              >
                Load more
              </Button>
            )}
          </Group>
        )}
      </section>
    </>
  );
}

const columns: Column<AuditEntry>[] = [
  { key: 'at', title: 'When', width: '170px', render: (entry) => formatTime(entry.at) },
  { key: 'actor', title: 'Who', width: 'minmax(110px, 1fr)', render: (entry) => printable(entry.actor) },
  {
    key: 'action',
    title: 'Did what',
    width: 'minmax(150px, 1fr)',
    render: (entry) => <span className="bf-mono">{printable(entry.action)}</span>,
  },
  { key: 'subject', title: 'To what', width: 'minmax(180px, 2fr)', render: (entry) => printable(entry.subject) },
  {
    key: 'details',
    title: 'Details',
    width: 'minmax(240px, 4fr)',
    render: (entry) => {
      const text = detailsText(entry.details);
      return (
        <span className="bf-mono bf-dim" title={text}>
          {text}
        </span>
      );
    },
  },
  {
    key: 'sequence',
    title: 'Entry',
    width: '80px',
    right: true,
    render: (entry) => <span className="bf-dim">{entry.sequence}</span>,
  },
];

interface FilterInputProps {
  label: string;
  value: string | undefined;
  placeholder?: string;
  onCommit: (value: string | undefined) => void;
}

function FilterInput({ label, value, placeholder, onCommit }: FilterInputProps) {
  const commit = (text: string) => onCommit(text.trim() === '' ? undefined : text.trim());
  return (
    <TextInput
      // Shows what the URL says, also when the way back changed it.
      key={value ?? ''}
      aria-label={label}
      placeholder={placeholder ?? label}
      defaultValue={value ?? ''}
      data-testid={`audit-${label.toLowerCase()}`}
      onBlur={(event) => event.currentTarget.value.trim() !== (value ?? '') && commit(event.currentTarget.value)}
      onKeyDown={(event) => event.key === 'Enter' && commit(event.currentTarget.value)}
    />
  );
}

function VerifyChain() {
  const verify = useMutation({ mutationFn: () => verifyChain() });
  return (
    <Group gap="sm">
      <Button variant="default" loading={verify.isPending} onClick={() => verify.mutate()} data-testid="audit-verify">
        Verify the chain
      </Button>
      {verify.error && <ErrorPanel error={verify.error} />}
      {verify.data && <ChainText state={verify.data} />}
    </Group>
  );
}

function ChainText({ state }: { state: ChainState }) {
  const { broken, checked } = state;
  return (
    <Text size="sm" c={broken === null ? 'teal' : 'red'} role="status" data-testid="audit-chain">
      {broken === null
        ? `All ${checked} entries follow from one another.`
        : `Entry ${broken} does not follow from the ones before it: it was changed, or one before it was removed.`}
    </Text>
  );
}
