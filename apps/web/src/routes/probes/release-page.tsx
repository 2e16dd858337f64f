import type { Release } from '@bpfleet/api';
import { Badge, Button, Group, Stack, Table, Text } from '@mantine/core';
import { IconBug, IconTargetArrow } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { releaseQuery, releasesQuery } from '../../api/queries.js';
import { EmptyState, ErrorPanel, Waiting } from '../../ui/feedback.js';
import { formatBytes, formatTime, printable } from '../../ui/format.js';
import { CopyIcon, Fact, FactGrid, Fold, PageTitle, Panel } from '../../ui/pieces.js';
import { KernelVerdicts } from './kernel-verdicts.js';
import { VerdictReport } from './verdict-report.js';

export function ReleasePage() {
  const { release: id } = useParams({ from: '/shell/releases/$release' });
  const release = useQuery(releaseQuery(id));
  if (release.isPending) return <Waiting label="Reading the release" />;
  if (release.error && !release.data) return <ErrorPanel error={release.error} retry={() => void release.refetch()} />;
  return <ReleaseView release={release.data} />;
}

function ReleaseView({ release }: { release: Release }) {
  return (
    <Stack gap="sm">
      <PageTitle
        title={
          <span data-testid="release-name">
            {release.probe} {release.version}
          </span>
        }
        note={printable(release.summary)}
      >
        <Button
          variant="default"
          leftSection={<IconBug size={14} />}
          renderRoot={(props) => <Link to="/debug/new" search={{ release: release.id }} {...props} />}
        >
          Debug run
        </Button>
        <Button
          leftSection={<IconTargetArrow size={14} />}
          data-testid="assign"
          renderRoot={(props) => <Link to="/releases/$release/assign" params={{ release: release.id }} {...props} />}
        >
          Assign to devices
        </Button>
      </PageTitle>
      <section className="bf-panel">
        <FactGrid>
          <Fact name="Signature">
            <Badge color={release.signature.state === 'signed' ? 'teal' : 'red'}>{release.signature.state}</Badge>
          </Fact>
          <Fact name="Signed by key">
            <span className="bf-mono">{release.signature.keyids.map((key) => key.slice(0, 16)).join(', ') || '–'}</span>
          </Fact>
          <Fact name="Digest">
            <Group gap={4} wrap="nowrap">
              <span className="bf-mono">{release.digest.slice(0, 16)}…</span>
              <CopyIcon text={release.digest} label="Copy the digest" />
            </Group>
          </Fact>
          <Fact name="Map memory">{formatBytes(release.mapBytes)}</Fact>
          <Fact name="Published">{formatTime(release.createdAt)}</Fact>
          <Fact name="By">{printable(release.createdBy)}</Fact>
        </FactGrid>
      </section>
      <Panel title="Verification" testId="verification">
        {release.verdicts.length === 0 ? (
          <EmptyState title="No kernel has judged this release yet" />
        ) : (
          release.verdicts.map((verdict, index) => <VerdictReport key={index} verdict={verdict} />)
        )}
      </Panel>
      <KernelVerdicts release={release.id} />
      {release.warnings.length > 0 && (
        <Panel title={`${release.warnings.length} ${release.warnings.length === 1 ? 'warning' : 'warnings'}`}>
          <Stack gap={6} p={12}>
            {release.warnings.map((finding, index) => (
              <Group key={index} gap="xs" wrap="nowrap" align="flex-start">
                <Badge color={finding.severity === 'error' ? 'red' : 'yellow'}>{finding.rule}</Badge>
                <Text size="sm">{printable(finding.message)}</Text>
              </Group>
            ))}
          </Stack>
        </Panel>
      )}
      <div style={{ display: 'grid', gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))', gap: 12 }}>
        <Outputs release={release} />
        <Parameters release={release} />
      </div>
      <Panel title="Objects and manifest">
        <Stack gap="sm" p={12}>
          <Table verticalSpacing={4}>
            <Table.Tbody>
              {release.objects.map((object) => (
                <Table.Tr key={object.digest}>
                  <Table.Td w={90}>{object.arch}</Table.Td>
                  <Table.Td w={90}>{formatBytes(object.bytes)}</Table.Td>
                  <Table.Td className="bf-mono" style={{ overflowWrap: 'anywhere' }}>
                    {object.digest}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
          <Fold label="probe.yaml" text={release.manifest} testId="manifest" />
        </Stack>
      </Panel>
      <OtherReleases release={release} />
    </Stack>
  );
}

function Outputs({ release }: { release: Release }) {
  const { metrics, events, profiles } = release;
  return (
    <Panel title="What it reports">
      <Stack gap="sm" p={12}>
        {metrics.map((metric) => (
          <div key={metric.name}>
            <Group gap="xs">
              <span className="bf-mono">{metric.name}</span>
              <Badge color="gray">{metric.type}</Badge>
              {metric.unit && (
                <Text size="xs" c="dimmed">
                  {metric.unit}
                </Text>
              )}
            </Group>
            {metric.help && (
              <Text size="xs" c="dimmed">
                {printable(metric.help)}
              </Text>
            )}
          </div>
        ))}
        {events.map((event) => (
          <div key={event.name}>
            <Group gap="xs" mb={2}>
              <span className="bf-mono">{event.name}</span>
              <Badge color="gray">event</Badge>
            </Group>
            <Text size="xs" c="dimmed" className="bf-mono">
              {event.columns.map((column) => `${column.name} ${column.type}`).join(', ')}
            </Text>
          </div>
        ))}
        {profiles.map((profile) => (
          <Group gap="xs" key={profile.name}>
            <span className="bf-mono">{profile.name}</span>
            <Badge color="gray">flame graph</Badge>
          </Group>
        ))}
        {metrics.length + events.length + profiles.length === 0 && (
          <Text size="sm" c="dimmed">
            Nothing.
          </Text>
        )}
      </Stack>
    </Panel>
  );
}

function Parameters({ release }: { release: Release }) {
  return (
    <Panel title="Parameters">
      {release.params.length === 0 ? (
        <Text size="sm" c="dimmed" p={12}>
          It has none.
        </Text>
      ) : (
        <Table verticalSpacing={4}>
          <Table.Tbody>
            {release.params.map((param) => (
              <Table.Tr key={param.name}>
                <Table.Td className="bf-mono">{param.name}</Table.Td>
                <Table.Td className="bf-mono">
                  {String(param.default)}
                  {param.unit ? ` ${param.unit}` : ''}
                </Table.Td>
                <Table.Td className="bf-dim">{param.help ? printable(param.help) : ''}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}

function OtherReleases({ release }: { release: Release }) {
  const { data } = useQuery(releasesQuery(release.probe));
  const others = data?.filter((one) => one.id !== release.id) ?? [];
  if (others.length === 0) return null;
  return (
    <Panel title={`Other releases of ${release.probe}`}>
      <Group gap="xs" p={12}>
        {others.map((other) => (
          <Link key={other.id} to="/releases/$release" params={{ release: other.id }} className="bf-link">
            {other.version}
          </Link>
        ))}
      </Group>
    </Panel>
  );
}
