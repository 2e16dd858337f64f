import { Alert, Button, Group, NumberInput, Select, Stack } from '@mantine/core';
import { useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../../api/client.js';
import { deviceQuery, devicesQuery, probesQuery, releaseQuery, releasesQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { printable } from '../../ui/format.js';
import { PageTitle, Panel } from '../../ui/pieces.js';
import { ParamsForm } from '../../ui/params-form.js';
import { paramProblems, paramsToSend, type ParamDraft } from '../assignments/params.js';
import type { NewDebugSearch } from '../search.js';

const defaultMinutes = 10;

export function NewDebugRunPage() {
  const search = useSearch({ from: '/shell/debug/new' });
  const navigate = useNavigate({ from: '/debug/new' });
  const [draft, setDraft] = useState<ParamDraft>({});
  const minutes = search.minutes ?? defaultMinutes;
  const release = useQuery({ ...releaseQuery(search.release ?? ''), enabled: Boolean(search.release) });
  const device = useQuery({ ...deviceQuery(search.device ?? ''), enabled: Boolean(search.device) });
  const set = (change: Partial<NewDebugSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  const specs = release.data?.params ?? [];
  const start = useMutation({
    mutationFn: () =>
      api.call('createDebugRun', {
        body: {
          device: search.device ?? '',
          releaseId: search.release ?? '',
          minutes,
          params: paramsToSend(specs, draft),
        },
      }),
    onSuccess: (run) => navigate({ to: '/debug/$run', params: { run: run.id } }),
  });
  const ready = search.device && search.release && Object.keys(paramProblems(specs, draft)).length === 0;

  return (
    <Stack gap="sm" maw={760}>
      <PageTitle title="New debug run" note="Attached on one device, for as long as you say, at most an hour." />
      <Panel title="Where and what">
        <Stack gap="sm" p={12}>
          <DeviceSelect value={search.device} onChange={(value) => set({ device: value })} />
          <ReleaseSelect
            value={search.release}
            onChange={(value) => {
              setDraft({});
              set({ release: value });
            }}
          />
          <NumberInput
            label="Minutes"
            description="It detaches by itself after this, even when the device cannot reach the server."
            min={1}
            max={60}
            allowDecimal={false}
            clampBehavior="strict"
            value={minutes}
            onChange={(value) => set({ minutes: Number(value) || undefined })}
            maw={320}
            data-testid="debug-minutes"
          />
          {device.data && !device.data.online && (
            <Alert color="yellow">
              {printable(device.data.name)} is offline. The run starts when it comes back, if that is before its time is
              over.
            </Alert>
          )}
          {(device.error || release.error) && <ErrorPanel error={device.error ?? release.error} />}
        </Stack>
      </Panel>
      {release.data && (
        <Panel title="Parameters">
          <div style={{ padding: 12 }}>
            <ParamsForm specs={specs} draft={draft} onChange={setDraft} />
          </div>
        </Panel>
      )}
      {start.error && <ErrorPanel error={start.error} />}
      <Group>
        <Button onClick={() => start.mutate()} disabled={!ready} loading={start.isPending} data-testid="debug-start">
          Start
        </Button>
      </Group>
    </Stack>
  );
}

interface ChoiceProps {
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}

function DeviceSelect({ value, onChange }: ChoiceProps) {
  const devices = useInfiniteQuery(devicesQuery(''));
  const chosen = useQuery({ ...deviceQuery(value ?? ''), enabled: Boolean(value) });
  const listed = devices.data?.pages.flatMap((page) => page.items) ?? [];
  // The chosen device may be on a page that was not read.
  const all = chosen.data && !listed.some((one) => one.id === value) ? [chosen.data, ...listed] : listed;
  return (
    <Select
      label="Device"
      placeholder="Name or id"
      searchable
      limit={200}
      nothingFoundMessage={devices.isPending ? 'Reading the devices' : 'No such device'}
      data={all.map((device) => ({
        value: device.id,
        label: `${printable(device.name)}  ${device.id}${device.online ? '' : '  (offline)'}`,
      }))}
      value={value ?? null}
      onChange={(next) => onChange(next ?? undefined)}
      data-testid="debug-device"
    />
  );
}

function ReleaseSelect({ value, onChange }: ChoiceProps) {
  const probes = useQuery(probesQuery);
  const releases = useQuery(releasesQuery());
  const latest = new Set(probes.data?.map((probe) => probe.latest.id));
  const options = (releases.data ?? []).map((release) => ({
    value: release.id,
    label: `${release.probe} ${release.version}`,
  }));
  return (
    <Select
      label="Probe"
      placeholder="Name"
      searchable
      limit={200}
      nothingFoundMessage={releases.isPending ? 'Reading the releases' : 'No such probe: publish it first'}
      data={[
        { group: 'Latest', items: options.filter((option) => latest.has(option.value)) },
        { group: 'Older', items: options.filter((option) => !latest.has(option.value)) },
      ].filter((group) => group.items.length > 0)}
      value={value ?? null}
      onChange={(next) => onChange(next ?? undefined)}
      data-testid="debug-release"
    />
  );
}
