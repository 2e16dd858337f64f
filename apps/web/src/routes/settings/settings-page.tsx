import type { ApiToken, EnrolmentTokenView } from '@bpfleet/api';
import { roles } from '@bpfleet/api';
import { Alert, Button, Group, Modal, NumberInput, Select, Stack, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient, type QueryKey } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import { apiTokensQuery, enrolmentTokensQuery, meQuery } from '../../api/queries.js';
import { useNow } from '../../ui/clock.js';
import { ConfirmButton } from '../../ui/confirm-button.js';
import { EmptyState, ErrorPanel } from '../../ui/feedback.js';
import { formatAgo, formatTime, printable } from '../../ui/format.js';
import { CopyIcon, PageTitle, Panel } from '../../ui/pieces.js';
import { VirtualTable, type Column } from '../../ui/virtual-table.js';
import { Labels } from '../devices/devices-page.js';
import { ChangePassword } from './change-password.js';
import { KernelUpgradePanel } from './kernel-upgrade-panel.js';
import { KernelsPanel } from './kernels-panel.js';
import { LabPanel } from './lab-panel.js';

export function SettingsPage() {
  const me = useQuery(meQuery);
  return (
    <>
      <PageTitle title="Settings" note={me.data ? `Logged in as ${me.data.username} (${me.data.role})` : ' '} />
      <Stack gap="sm">
        <ApiTokens />
        <EnrolmentTokens />
        <KernelsPanel />
        <KernelUpgradePanel />
        <LabPanel />
        <ChangePassword />
      </Stack>
    </>
  );
}

function ApiTokens() {
  const tokens = useQuery(apiTokensQuery);
  const now = useNow(30_000);
  const [creating, dialog] = useDisclosure(false);
  const revoke = useRevoke((id) => api.call('revokeApiToken', { path: { id } }), apiTokensQuery.queryKey);
  const columns: Column<ApiToken>[] = [
    { key: 'name', title: 'Name', width: 'minmax(160px, 1fr)', render: (token) => printable(token.name) },
    { key: 'role', title: 'Role', width: '100px', render: (token) => token.role },
    {
      key: 'used',
      title: 'Last used',
      width: '130px',
      render: (token) => (token.lastUsedAt ? formatAgo(token.lastUsedAt, now) : 'never'),
    },
    { key: 'ends', title: 'Expires', width: '160px', render: (token) => formatTime(token.expiresAt) },
    revokeColumn(revoke.mutate),
  ];
  return (
    <Panel
      title="API tokens"
      right={
        <Button leftSection={<IconPlus size={14} />} onClick={dialog.open} data-testid="api-token-new">
          New token
        </Button>
      }
    >
      {(tokens.error ?? revoke.error) && <ErrorPanel error={tokens.error ?? revoke.error} />}
      <VirtualTable
        label="API tokens"
        testId="api-tokens"
        rows={tokens.data ?? []}
        columns={columns}
        rowKey={(token) => token.id}
        maxHeight="36dvh"
        loading={tokens.isPending}
        empty={
          tokens.error ? null : (
            <EmptyState title="No API tokens">
              For scripts and CI. The command line makes its own with bpfleet login.
            </EmptyState>
          )
        }
      />
      <Modal opened={creating} onClose={dialog.close} title="New API token">
        {creating && <ApiTokenForm onClose={dialog.close} />}
      </Modal>
    </Panel>
  );
}

function ApiTokenForm({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const me = useQuery(meQuery);
  const mine = me.data?.role ?? 'viewer';
  const [name, setName] = useState('');
  const [role, setRole] = useState<(typeof roles)[number]>('viewer');
  const [days, setDays] = useState<number | string>(90);
  const create = useMutation({
    mutationFn: () => api.call('createApiToken', { body: { name: name.trim(), role, expiresInDays: Number(days) } }),
    onSuccess: () => client.invalidateQueries({ queryKey: apiTokensQuery.queryKey }),
  });
  if (create.data) {
    return (
      <Stack gap="sm">
        <div style={{ position: 'relative' }}>
          <pre className="bf-code bf-wrap" style={{ paddingRight: 40 }} data-testid="api-token">
            {create.data.token}
          </pre>
          <div style={{ position: 'absolute', top: 6, right: 8 }}>
            <CopyIcon text={create.data.token} label="Copy the token" />
          </div>
        </div>
        <Alert color="yellow">This is shown once. Whoever has it may do what a {create.data.role} may.</Alert>
        <Group justify="flex-end">
          <Button onClick={onClose}>Done</Button>
        </Group>
      </Stack>
    );
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim()) create.mutate();
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={64}
          data-autofocus
          data-testid="api-token-name"
        />
        <Select
          label="Role"
          description="At most your own."
          data={roles.slice(0, roles.indexOf(mine) + 1)}
          value={role}
          allowDeselect={false}
          onChange={(value) => setRole(roles.find((one) => one === value) ?? 'viewer')}
        />
        <NumberInput label="Expires in days" min={1} max={365} allowDecimal={false} value={days} onChange={setDays} />
        {create.error && <ErrorPanel error={create.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!name.trim() || !(Number(days) >= 1)}>
            Create
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function EnrolmentTokens() {
  const tokens = useQuery(enrolmentTokensQuery);
  const revoke = useRevoke((id) => api.call('revokeEnrolmentToken', { path: { id } }), enrolmentTokensQuery.queryKey);
  const columns: Column<EnrolmentTokenView>[] = [
    { key: 'name', title: 'Name', width: 'minmax(160px, 1fr)', render: (token) => printable(token.name) },
    { key: 'uses', title: 'Devices left', width: '100px', right: true, render: (token) => token.usesLeft },
    {
      key: 'labels',
      title: 'Labels',
      width: 'minmax(140px, 1fr)',
      render: (token) => <Labels labels={token.labels} />,
    },
    { key: 'ends', title: 'Expires', width: '160px', render: (token) => formatTime(token.expiresAt) },
    revokeColumn(revoke.mutate),
  ];
  return (
    <Panel title="Enrolment tokens">
      {(tokens.error ?? revoke.error) && <ErrorPanel error={tokens.error ?? revoke.error} />}
      <VirtualTable
        label="Enrolment tokens"
        rows={tokens.data ?? []}
        columns={columns}
        rowKey={(token) => token.id}
        maxHeight="36dvh"
        loading={tokens.isPending}
        empty={
          tokens.error ? null : (
            <Text size="sm" c="dimmed" p={12}>
              None. “Add device” on the devices page makes one.
            </Text>
          )
        }
      />
    </Panel>
  );
}

function useRevoke(revoke: (id: string) => Promise<unknown>, key: QueryKey) {
  const client = useQueryClient();
  return useMutation({ mutationFn: revoke, onSuccess: () => client.invalidateQueries({ queryKey: key }) });
}

function revokeColumn<T extends { id: string; name: string }>(revoke: (id: string) => void): Column<T> {
  return {
    key: 'revoke',
    title: '',
    width: '90px',
    right: true,
    render: (token) => (
      <ConfirmButton
        label="Revoke"
        ariaLabel={`Revoke ${printable(token.name)}`}
        question={`Whoever uses “${printable(token.name)}” is refused from now on.`}
        onConfirm={() => revoke(token.id)}
      />
    ),
  };
}
