import type { Device } from '@bpfleet/api';
import { Alert, Badge, Button, Group, Stack, Tabs, Text, Tooltip } from '@mantine/core';
import { IconBug, IconPencil } from '@tabler/icons-react';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { deviceQuery, meQuery, runsQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { ErrorPanel, Waiting } from '../../ui/feedback.js';
import { formatAgo, formatBytes, formatSpan, formatTime, printable } from '../../ui/format.js';
import { CopyIcon, Fact, FactGrid, OnlineDot, PageTitle } from '../../ui/pieces.js';
import { deviceTabs, type DeviceSearch, type DeviceTab } from '../search.js';
import { RunsTable } from '../debug/runs-table.js';
import { DeviceFacts } from './device-facts.js';
import { Labels } from './devices-page.js';
import { EditDeviceDialog } from './edit-device-dialog.js';
import { EventsPanel } from './events-panel.js';
import { MetricsPanel } from './metrics-panel.js';
import { ProfilePanel } from './profile-panel.js';
import { RevokeDevice } from './revoke-device.js';

const tabLabels: Record<DeviceTab, string> = {
  runs: 'Runs',
  metrics: 'Metrics',
  events: 'Events',
  profiles: 'Flame graph',
  facts: 'Facts',
};

export function DevicePage() {
  const { device: id } = useParams({ from: '/shell/devices/$device' });
  const search = useSearch({ from: '/shell/devices/$device' });
  const navigate = useNavigate({ from: '/devices/$device' });
  const device = useQuery(deviceQuery(id));
  const runs = useQuery(runsQuery({ device: id, limit: 200 }));
  const tab = search.tab ?? 'runs';
  const setSearch = (change: Partial<DeviceSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });

  if (device.isPending) return <Waiting label="Reading the device" />;
  if (device.error && !device.data) return <ErrorPanel error={device.error} retry={() => void device.refetch()} />;
  const { data } = device;
  return (
    <Stack gap="sm">
      <DeviceHead device={data} />
      <Tabs
        value={tab}
        onChange={(next) => void navigate({ search: (before) => ({ ...before, tab: next as DeviceTab }) })}
        keepMounted={false}
      >
        <Tabs.List>
          {deviceTabs.map((value) => (
            <Tabs.Tab key={value} value={value} data-testid={`tab-${value}`}>
              {tabLabels[value]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="runs" pt="sm">
          {runs.error && <ErrorPanel error={runs.error} retry={() => void runs.refetch()} />}
          <section className="bf-panel">
            <RunsTable runs={runs.data} loading={runs.isPending} showDevice={false} maxHeight="calc(100dvh - 300px)" />
          </section>
        </Tabs.Panel>
        <Tabs.Panel value="metrics" pt="sm">
          <MetricsPanel device={id} search={search} onSearch={setSearch} />
        </Tabs.Panel>
        <Tabs.Panel value="events" pt="sm">
          <EventsPanel device={id} runs={runs.data} search={search} onSearch={setSearch} />
        </Tabs.Panel>
        <Tabs.Panel value="profiles" pt="sm">
          <ProfilePanel device={id} runs={runs.data} search={search} onSearch={setSearch} />
        </Tabs.Panel>
        <Tabs.Panel value="facts" pt="sm">
          <DeviceFacts device={data} />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}

function DeviceHead({ device }: { device: Device }) {
  const now = useNow(5_000);
  const [editing, editor] = useDisclosure(false);
  const me = useQuery(meQuery);
  const { facts, agent, runs } = device;
  const behind = device.reportedGeneration < device.desiredGeneration;
  return (
    <>
      <PageTitle
        title={
          <Group gap={10} wrap="nowrap" data-testid="device-name">
            <OnlineDot online={device.online} />
            {printable(device.name)}
            {device.status !== 'active' && <Badge color="red">{device.status}</Badge>}
          </Group>
        }
        note={
          <Group gap={4}>
            <span className="bf-mono">{device.id}</span>
            <CopyIcon text={device.id} label="Copy the id" />
            <Labels labels={device.labels} />
          </Group>
        }
      >
        <Button
          variant="default"
          leftSection={<IconPencil size={14} />}
          onClick={editor.open}
          data-testid="device-edit"
        >
          Name and labels
        </Button>
        {device.status === 'active' && (
          <Button
            variant="default"
            leftSection={<IconBug size={14} />}
            renderRoot={(props) => <Link to="/debug/new" search={{ device: device.id }} {...props} />}
          >
            Debug this device
          </Button>
        )}
        {me.data?.role === 'admin' && device.status === 'active' && <RevokeDevice device={device} />}
      </PageTitle>
      <EditDeviceDialog device={device} opened={editing} onClose={editor.close} />
      {device.revoked && (
        <Alert color="red" title={`Revoked ${formatTime(device.revoked.at)}`} data-testid="device-revoked">
          {printable(device.revoked.reason)}. It is cut off, and what it says is not heard. What was in its kernel ends
          when its lease lapses; the device comes back by enrolling anew.
        </Alert>
      )}
      {device.refused && (
        <Alert color="red" title="The device refused its newest desired state">
          {printable(device.refused.message)}{' '}
          <Text span className="bf-mono" c="dimmed">
            {device.refused.code}
          </Text>
        </Alert>
      )}
      <section className="bf-panel">
        <FactGrid min={130}>
          <Fact name="State">
            {device.online ? 'online' : device.lastSeenAt ? `seen ${formatAgo(device.lastSeenAt, now)}` : 'never seen'}
          </Fact>
          <Fact name="Kernel">
            {facts ? `${printable(facts.kernelRelease)} ${printable(facts.kernelArch)}` : 'not reported'}
          </Fact>
          <Fact name="System">{facts?.distribution ? printable(facts.distribution) : '–'}</Fact>
          <Fact name="Runs">
            {runs.attached} attached{runs.failed > 0 ? `, ${runs.failed} failed` : ''}
          </Fact>
          <Fact name="Desired state">
            <Tooltip label={`Generation ${device.reportedGeneration} of ${device.desiredGeneration} is in place.`}>
              <span>{behind ? `applying ${device.desiredGeneration}` : `in place (${device.desiredGeneration})`}</span>
            </Tooltip>
          </Fact>
          <Fact name="Agent">
            {agent ? `${formatBytes(agent.rssBytes)}, up ${formatSpan(agent.uptimeSeconds)}` : '–'}
          </Fact>
          <Fact name="Waiting in its spool">
            {agent ? `${agent.spoolBatches} batches, ${formatBytes(agent.spoolBytes)}` : '–'}
          </Fact>
        </FactGrid>
      </section>
    </>
  );
}
