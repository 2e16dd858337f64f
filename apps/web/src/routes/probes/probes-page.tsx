import type { Probe, Release } from '@bpfleet/api';
import { Badge, Button, Group, TextInput } from '@mantine/core';
import { IconSearch, IconUpload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { probesQuery, releasesQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { EmptyState, ErrorPanel } from '../../ui/feedback.js';
import { formatAgo, printable } from '../../ui/format.js';
import { PageTitle, Panel } from '../../ui/pieces.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import { VerdictBadges } from './verdict-badges.js';

export function ProbesPage() {
  const { probe: wanted } = useSearch({ from: '/shell/probes' });
  const navigate = useNavigate({ from: '/probes' });
  const probes = useQuery(probesQuery);
  const releases = useQuery(releasesQuery());
  const now = useNow(30_000);
  const holds = (text: string) => text.toLowerCase().includes(wanted?.toLowerCase() ?? '');
  const shownProbes = probes.data?.filter((probe) => holds(`${probe.name} ${probe.summary}`)) ?? [];
  const shownReleases = releases.data?.filter((release) => holds(`${release.probe} ${release.summary}`)) ?? [];
  const openRelease = (release: string) => void navigate({ to: '/releases/$release', params: { release } });

  return (
    <>
      <PageTitle title="Probes">
        <TextInput
          aria-label="Search probes"
          placeholder="Search probes"
          leftSection={<IconSearch size={14} />}
          value={wanted ?? ''}
          w={240}
          data-search
          onChange={(event) =>
            void navigate({
              search: event.currentTarget.value ? { probe: event.currentTarget.value } : {},
              replace: true,
            })
          }
        />
        <Button leftSection={<IconUpload size={14} />} renderRoot={(props) => <Link to="/publish" {...props} />}>
          Publish a probe
        </Button>
      </PageTitle>
      {probes.error && <ErrorPanel error={probes.error} retry={() => void probes.refetch()} />}
      <div style={{ display: 'grid', gap: 12 }}>
        <section className="bf-panel">
          <VirtualTable
            label="Probes"
            testId="probes"
            rows={shownProbes}
            columns={probeColumns(now)}
            rowKey={(probe) => probe.name}
            onOpen={(probe) => openRelease(probe.latest.id)}
            maxHeight="45dvh"
            loading={probes.isPending}
            empty={
              <EmptyState
                title={wanted ? 'No probe has this in its name' : 'No probes yet'}
                action={<Button renderRoot={(props) => <Link to="/publish" {...props} />}>Publish a probe</Button>}
              >
                A probe is a folder with probe.yaml and .bpf.c sources. The server compiles it, proves on real kernels
                that it loads, and signs it.
              </EmptyState>
            }
          />
        </section>
        <Panel title="Releases">
          <VirtualTable
            label="Releases"
            testId="releases"
            rows={shownReleases}
            columns={releaseColumns(now)}
            rowKey={(release) => release.id}
            onOpen={(release) => openRelease(release.id)}
            maxHeight="45dvh"
            loading={releases.isPending}
            empty={<EmptyState title="No releases" />}
          />
        </Panel>
      </div>
    </>
  );
}

function probeColumns(now: number): Column<Probe>[] {
  return [
    {
      key: 'name',
      title: 'Probe',
      width: 'minmax(170px, 1fr)',
      render: (probe) => (
        <Link to="/releases/$release" params={{ release: probe.latest.id }} className="bf-link" tabIndex={-1}>
          {probe.name}
        </Link>
      ),
    },
    {
      key: 'summary',
      title: 'What it sees',
      width: 'minmax(220px, 3fr)',
      render: (probe) => <span className="bf-dim">{printable(probe.summary)}</span>,
    },
    { key: 'latest', title: 'Latest', width: '90px', render: (probe) => probe.latest.version },
    { key: 'age', title: 'Published', width: '120px', render: (probe) => formatAgo(probe.latest.createdAt, now) },
    { key: 'releases', title: 'Releases', width: '80px', right: true, render: (probe) => probe.releases },
    { key: 'attached', title: 'Attached', width: '80px', right: true, render: (probe) => probe.runsAttached },
    {
      key: 'assign',
      title: '',
      width: '80px',
      right: true,
      render: (probe) => (
        <Button
          size="compact-xs"
          variant="light"
          renderRoot={(props) => (
            <Link to="/releases/$release/assign" params={{ release: probe.latest.id }} {...props} />
          )}
        >
          Assign
        </Button>
      ),
    },
  ];
}

function releaseColumns(now: number): Column<Release>[] {
  return [
    {
      key: 'release',
      title: 'Release',
      width: 'minmax(200px, 1fr)',
      render: (release) => (
        <Link to="/releases/$release" params={{ release: release.id }} className="bf-link" tabIndex={-1}>
          {release.probe} {release.version}
        </Link>
      ),
    },
    {
      key: 'verdicts',
      title: 'Kernels',
      width: 'minmax(180px, 1.2fr)',
      render: (release) => <VerdictBadges verdicts={release.verdicts} />,
    },
    {
      key: 'signed',
      title: 'Signature',
      width: '100px',
      render: (release) => (
        <Badge color={release.signature.state === 'signed' ? 'teal' : 'red'}>{release.signature.state}</Badge>
      ),
    },
    {
      key: 'warnings',
      title: 'Warnings',
      width: '90px',
      right: true,
      render: (release) => release.warnings.length || '',
    },
    { key: 'age', title: 'Published', width: '120px', render: (release) => formatAgo(release.createdAt, now) },
    { key: 'by', title: 'By', width: '120px', render: (release) => printable(release.createdBy) },
    {
      key: 'digest',
      title: 'Digest',
      width: '120px',
      render: (release) => (
        <Group gap={4} wrap="nowrap">
          <span className="bf-mono bf-dim">{release.digest.slice(0, 12)}</span>
        </Group>
      ),
    },
  ];
}
