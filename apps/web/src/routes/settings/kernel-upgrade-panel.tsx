import type { KernelUpgrade, KernelUpgradeRow } from '@bpfleet/api';
import { Group, Loader, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useState } from 'react';
import { kernelsQuery, kernelUpgradeQuery } from '../../api/queries.js';
import { ErrorPanel, errorText } from '../../ui/feedback.js';
import { printable } from '../../ui/format.js';
import { Panel } from '../../ui/pieces.js';
import { SelectorInput } from '../../ui/selector-input.js';
import { isBadSelector } from '../devices/selector-error.js';
import { AnswerTable } from '../preflight/answer-table.js';
import { KernelName } from '../preflight/answer.js';
import { seriesOf } from '../preflight/answer-text.js';

const RUN_AND_KERNEL = [
  {
    title: 'Release',
    render: ({ release }: KernelUpgradeRow) => (
      <Link to="/releases/$release" params={{ release: release.id }} className="bf-link">
        {release.probe} {release.version}
      </Link>
    ),
  },
  {
    title: 'On',
    render: ({ kernel, arch }: KernelUpgradeRow) =>
      kernel ? <KernelName kernel={kernel} /> : `${printable(arch)}: none known`,
  },
];

/** What breaks if devices move to another kernel: asked for a release series, or a kernel of the list above. */
export function KernelUpgradePanel() {
  const { to = '', selector = '' } = useSearch({ from: '/shell/settings' });
  const navigate = useNavigate({ from: '/settings' });
  const kernels = useQuery(kernelsQuery);
  const series = seriesOf(to);
  const target = series === undefined ? { kernelGroupId: to } : { series };
  const upgrade = useQuery({ ...kernelUpgradeQuery(selector, target), enabled: to !== '' });
  const setSelector = useCallback(
    (next: string) => void navigate({ search: (old) => ({ ...old, selector: next || undefined }), replace: true }),
    [navigate],
  );
  const chosen = kernels.data?.find(({ id }) => id === to);
  const badSelector = isBadSelector(upgrade.error) ? errorText(upgrade.error).message : undefined;
  return (
    <Panel
      title="What breaks if devices move to another kernel"
      testId="kernel-upgrade"
      right={upgrade.isFetching ? <Loader size="xs" /> : undefined}
    >
      <Group p={12} gap="md" align="flex-start">
        <SelectorInput
          value={selector}
          onCommit={setSelector}
          error={badSelector}
          label="Devices"
          description="Empty is every active device."
          testId="upgrade-selector"
        />
        <SeriesInput
          key={to}
          series={series ?? ''}
          onCommit={(next) => void navigate({ search: (old) => ({ ...old, to: next }), replace: true })}
        />
        {chosen && (
          <Text size="sm" mt={26}>
            To <KernelName kernel={chosen} />
          </Text>
        )}
      </Group>
      {upgrade.error && !badSelector && <ErrorPanel error={upgrade.error} retry={() => void upgrade.refetch()} />}
      {upgrade.data && !upgrade.error && to !== '' && <Report upgrade={upgrade.data} />}
    </Panel>
  );
}

function SeriesInput({ series, onCommit }: { series: string; onCommit: (series: string | undefined) => void }) {
  const [draft, setDraft] = useState(series);
  const read = seriesOf(draft);
  const commit = () => {
    if (read !== undefined && read !== series) onCommit(read);
    else if (draft.trim() === '' && series !== '') onCommit(undefined);
  };
  return (
    <TextInput
      label="To release series"
      description="Such as 6.12, or choose a kernel above."
      value={draft}
      w={260}
      error={draft.trim() !== '' && read === undefined ? 'two numbers, such as 6.12' : undefined}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => {
        if (event.key === 'Enter') commit();
      }}
      data-testid="upgrade-series"
    />
  );
}

function Report({ upgrade }: { upgrade: KernelUpgrade }) {
  const { devices, runs, takes, refuses, unknown, pending, rows, rowsLeftOff } = upgrade;
  return (
    <>
      <Text size="sm" px={12} pb={8} data-testid="upgrade-summary" data-runs={runs} data-refuses={refuses}>
        {runs === 0
          ? `Nothing runs on ${devices === 1 ? 'this device' : `these ${devices} devices`}, so nothing breaks.`
          : `${runs} ${runs === 1 ? 'run' : 'runs'} on ${devices} ${devices === 1 ? 'device' : 'devices'}: ${takes} would go on, ${refuses} would break, ${unknown} unknown${pending > 0 ? ` (${pending} being looked at)` : ''}.`}
      </Text>
      {rows.length > 0 && (
        <AnswerTable label="Runs on the other kernel" about={RUN_AND_KERNEL} rows={rows} rowTestId="upgrade-row" />
      )}
      {rowsLeftOff > 0 && (
        <Text size="sm" c="dimmed" p={12}>
          And {rowsLeftOff} more.
        </Text>
      )}
    </>
  );
}
