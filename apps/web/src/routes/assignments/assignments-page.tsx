import type { Assignment } from '@bpfleet/api';
import { runStates } from '@bpfleet/api';
import { Badge, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../../api/client.js';
import { assignmentsQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { EmptyState, ErrorPanel } from '../../ui/feedback.js';
import { formatAgo, printable } from '../../ui/format.js';
import { PageTitle } from '../../ui/pieces.js';
import { runTone, toneColor } from '../../ui/run-tone.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import { paramsText } from './params.js';

export function AssignmentsPage() {
  const assignments = useQuery(assignmentsQuery);
  const now = useNow(30_000);
  const [leaving, setLeaving] = useState<Assignment | null>(null);
  return (
    <>
      <PageTitle title="Assignments" note="Which release every matching device should run." />
      {assignments.error && <ErrorPanel error={assignments.error} retry={() => void assignments.refetch()} />}
      <section className="bf-panel">
        <VirtualTable
          label="Assignments"
          testId="assignments"
          rows={assignments.data ?? []}
          columns={columns(now, setLeaving)}
          rowKey={(assignment) => assignment.id}
          rowHeight={44}
          loading={assignments.isPending}
          empty={
            assignments.error ? null : (
              <EmptyState
                title="Nothing is assigned"
                action={<Button renderRoot={(props) => <Link to="/probes" {...props} />}>Choose a probe</Button>}
              >
                Open a release and assign it to a selector; you see who would take it before anything is sent.
              </EmptyState>
            )
          }
        />
      </section>
      <WithdrawDialog assignment={leaving} onClose={() => setLeaving(null)} />
    </>
  );
}

function WithdrawDialog({ assignment, onClose }: { assignment: Assignment | null; onClose: () => void }) {
  const client = useQueryClient();
  const withdraw = useMutation({
    mutationFn: (id: string) => api.call('withdrawAssignment', { path: { id } }),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['assignments'] });
      onClose();
    },
  });
  return (
    <Modal opened={assignment !== null} onClose={onClose} title="Withdraw this assignment?">
      {assignment && (
        <Stack gap="sm">
          <Text size="sm">
            {assignment.probe} {assignment.version} is detached from {assignment.devices}{' '}
            {assignment.devices === 1 ? 'device' : 'devices'}; those that are offline follow when they come back. What
            was measured stays.
          </Text>
          {withdraw.error && <ErrorPanel error={withdraw.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button
              color="red"
              loading={withdraw.isPending}
              onClick={() => withdraw.mutate(assignment.id)}
              data-testid="withdraw-confirm"
            >
              Withdraw
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}

/** Counts by state, in the order in which a run passes them. */
function stateCounts(runs: Assignment['runs']) {
  return runStates.map((state) => ({ state, count: runs[state] ?? 0 })).filter(({ count }) => count > 0);
}

function columns(now: number, leave: (assignment: Assignment) => void): Column<Assignment>[] {
  return [
    {
      key: 'release',
      title: 'Release',
      width: 'minmax(180px, 1fr)',
      render: (one) => (
        <Link to="/releases/$release" params={{ release: one.releaseId }} className="bf-link" tabIndex={-1}>
          {one.probe} {one.version}
        </Link>
      ),
    },
    {
      key: 'selector',
      title: 'Selector',
      width: 'minmax(180px, 1.4fr)',
      render: (one) => <span className="bf-mono">{one.selector || 'all'}</span>,
    },
    {
      key: 'params',
      title: 'Parameters',
      width: 'minmax(110px, 1fr)',
      render: (one) => (
        <span className="bf-mono bf-dim" title={paramsText(one.params)}>
          {printable(paramsText(one.params))}
        </span>
      ),
    },
    { key: 'devices', title: 'Devices', width: '70px', right: true, render: (one) => one.devices },
    {
      key: 'runs',
      title: 'Runs',
      width: 'minmax(260px, 2fr)',
      render: (one) => (
        <Group gap={4} wrap="wrap" py={4}>
          {stateCounts(one.runs).map(({ state, count }) => (
            <Badge key={state} color={toneColor(runTone(state))}>
              {count} {state.toLowerCase().replace('_', ' ')}
            </Badge>
          ))}
        </Group>
      ),
    },
    {
      key: 'since',
      title: 'Since',
      width: '150px',
      render: (one) => (
        <span className="bf-dim">
          {formatAgo(one.createdAt, now)}, {printable(one.createdBy)}
        </span>
      ),
    },
    {
      key: 'state',
      title: '',
      width: '90px',
      right: true,
      render: (one) =>
        one.state === 'active' ? (
          <Button size="compact-xs" variant="subtle" color="red" onClick={() => leave(one)} data-testid="withdraw">
            Withdraw
          </Button>
        ) : (
          <Badge color="gray">withdrawn</Badge>
        ),
    },
  ];
}
