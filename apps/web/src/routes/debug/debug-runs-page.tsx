import { Button } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { runsQuery } from '../../api/queries.js';
import { EmptyState, ErrorPanel } from '../../ui/feedback.js';
import { PageTitle } from '../../ui/pieces.js';
import { RunsTable } from './runs-table.js';

export function DebugRunsPage() {
  const navigate = useNavigate();
  const runs = useQuery(runsQuery({ kind: 'debug', limit: 200 }));
  const start = (
    <Button leftSection={<IconPlus size={14} />} renderRoot={(props) => <Link to="/debug/new" {...props} />}>
      New debug run
    </Button>
  );
  return (
    <>
      <PageTitle
        title="Debug runs"
        note="A probe on one device for some minutes. It ends by itself, also when the link is gone."
      >
        {start}
      </PageTitle>
      {runs.error && <ErrorPanel error={runs.error} retry={() => void runs.refetch()} />}
      <section className="bf-panel">
        {runs.data?.length === 0 ? (
          <EmptyState title="No debug runs yet" action={start}>
            Choose a device and a probe, and watch its events arrive.
          </EmptyState>
        ) : (
          <RunsTable
            runs={runs.data}
            loading={runs.isPending}
            showDevice
            onOpen={(run) => void navigate({ to: '/debug/$run', params: { run: run.id } })}
          />
        )}
      </section>
    </>
  );
}
