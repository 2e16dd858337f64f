import type { Device } from '@bpfleet/api';
import { Badge, Button, Group, Text, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback, useMemo } from 'react';
import { devicesQuery, overviewQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { EmptyState, ErrorPanel, errorText } from '../../ui/feedback.js';
import { formatAgo, formatBytes, formatCount, printable } from '../../ui/format.js';
import { OnlineDot, PageTitle } from '../../ui/pieces.js';
import { SelectorInput, selectorExample } from '../../ui/selector-input.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import { AddDeviceDialog } from './add-device-dialog.js';
import { isBadSelector } from './selector-error.js';

export function DevicesPage() {
  const { selector = '' } = useSearch({ from: '/shell/devices' });
  const navigate = useNavigate({ from: '/devices' });
  const [adding, dialog] = useDisclosure(false);
  const devices = useInfiniteQuery(devicesQuery(selector));
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = devices;
  const rows = useMemo(() => data?.pages.flatMap((page) => page.items) ?? [], [data]);
  const total = data?.pages[0]?.total ?? 0;
  const now = useNow(5_000);
  const columns = useMemo(() => deviceColumns(now), [now]);
  const setSelector = useCallback(
    (next: string) => void navigate({ search: next ? { selector: next } : {}, replace: true }),
    [navigate],
  );
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  const badSelector = isBadSelector(devices.error) ? errorText(devices.error).message : undefined;

  return (
    <>
      <PageTitle title="Devices" note={<FleetNumbers />}>
        <SelectorInput value={selector} onCommit={setSelector} error={badSelector} isSearch />
        <Button leftSection={<IconPlus size={14} />} onClick={dialog.open} data-testid="add-device">
          Add device
        </Button>
      </PageTitle>
      {devices.error && !badSelector && <ErrorPanel error={devices.error} retry={() => void devices.refetch()} />}
      <section className="bf-panel">
        <VirtualTable
          label="Devices"
          testId="devices"
          rows={rows}
          columns={columns}
          rowKey={(device) => device.id}
          onOpen={(device) => void navigate({ to: '/devices/$device', params: { device: device.id } })}
          onEndReached={more}
          loading={devices.isPending}
          empty={
            badSelector ? (
              <EmptyState title="The selector cannot be read">{badSelector}</EmptyState>
            ) : devices.error ? null : (
              <NoDevices selector={selector} add={dialog.open} clear={() => setSelector('')} />
            )
          }
        />
        {rows.length > 0 && (
          <Text size="xs" c="dimmed" px={12} py={6} aria-live="polite">
            {rows.length < total
              ? `${rows.length} of ${total} devices loaded; scroll for more`
              : `${total} ${total === 1 ? 'device' : 'devices'}`}
          </Text>
        )}
      </section>
      <AddDeviceDialog opened={adding} onClose={dialog.close} />
    </>
  );
}

function FleetNumbers() {
  const { data } = useQuery(overviewQuery);
  if (!data) return <>&nbsp;</>;
  const numbers = [
    `${data.devicesOnline} of ${data.devices} online`,
    `${data.runsAttached} runs attached`,
    `${formatCount(data.series)} series`,
    `${formatCount(data.samples)} samples`,
    `${formatCount(data.events)} events stored`,
  ];
  return <span data-testid="overview">{numbers.join(' · ')}</span>;
}

function NoDevices({ selector, add, clear }: { selector: string; add: () => void; clear: () => void }) {
  if (selector) {
    return (
      <EmptyState title="No device matches this selector" action={<Button onClick={clear}>Show all devices</Button>}>
        Selectors speak of labels and reported facts, for instance <code>{selectorExample}</code>.
      </EmptyState>
    );
  }
  return (
    <EmptyState title="No devices yet" action={<Button onClick={add}>Add the first device</Button>}>
      A device joins with an enrolment token: one command, run on the device. It needs one outbound connection and no
      open port.
    </EmptyState>
  );
}

function deviceColumns(now: number): Column<Device>[] {
  return [
    {
      key: 'name',
      title: 'Name',
      width: 'minmax(180px, 2fr)',
      render: (device) => (
        <Group gap={10} wrap="nowrap">
          <OnlineDot online={device.online} />
          <Link to="/devices/$device" params={{ device: device.id }} className="bf-link bf-cell" tabIndex={-1}>
            {printable(device.name)}
          </Link>
          {device.status !== 'active' && <Badge color="gray">{device.status}</Badge>}
          {device.refused && (
            <Tooltip label={`Refused its newest desired state: ${printable(device.refused.message)}`}>
              <Badge color="red">refused</Badge>
            </Tooltip>
          )}
        </Group>
      ),
    },
    {
      key: 'id',
      title: 'Id',
      width: 'minmax(145px, 1fr)',
      render: (device) => <span className="bf-mono bf-dim">{device.id}</span>,
    },
    {
      key: 'seen',
      title: 'Seen',
      width: '100px',
      render: (device) =>
        device.online ? 'online' : device.lastSeenAt ? formatAgo(device.lastSeenAt, now) : <Dim>never</Dim>,
    },
    {
      key: 'kernel',
      title: 'Kernel',
      width: 'minmax(140px, 1.2fr)',
      render: (device) => (device.facts ? printable(device.facts.kernelRelease) : <Dim>not reported</Dim>),
    },
    {
      key: 'arch',
      title: 'Arch',
      width: '80px',
      render: (device) => (device.facts ? printable(device.facts.kernelArch) : ''),
    },
    {
      key: 'labels',
      title: 'Labels',
      width: 'minmax(120px, 1.6fr)',
      render: (device) => <Labels labels={device.labels} />,
    },
    {
      key: 'runs',
      title: 'Runs',
      width: '150px',
      render: ({ runs }) => (
        <Group gap={6} wrap="nowrap">
          <span data-testid="runs-attached">{runs.attached} attached</span>
          {runs.failed > 0 && <Badge color="red">{runs.failed} failed</Badge>}
        </Group>
      ),
    },
    {
      key: 'agent',
      title: 'Agent memory',
      width: '100px',
      right: true,
      render: (device) => (device.agent ? formatBytes(device.agent.rssBytes) : <Dim>–</Dim>),
    },
  ];
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const text = Object.entries(labels).map(([name, value]) => `${name}=${printable(value)}`);
  return (
    <span className="bf-mono bf-dim" title={text.join('\n')}>
      {text.join(' ')}
    </span>
  );
}

function Dim({ children }: { children: string }) {
  return <span className="bf-dim">{children}</span>;
}
