import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useCallback, useState } from 'react';
import { api } from '../../api/client.js';
import { preflightQuery, releaseQuery } from '../../api/queries.js';
import { ErrorPanel, errorText, Waiting } from '../../ui/feedback.js';
import { PageTitle, Panel } from '../../ui/pieces.js';
import { ParamsForm } from '../../ui/params-form.js';
import { SelectorInput } from '../../ui/selector-input.js';
import { isBadSelector } from '../devices/selector-error.js';
import { paramProblems, paramsText, paramsToSend, type ParamDraft } from './params.js';
import { PreflightPanel } from './preflight-panel.js';

export function AssignPage() {
  const { release: id } = useParams({ from: '/shell/releases/$release/assign' });
  const { selector = '' } = useSearch({ from: '/shell/releases/$release/assign' });
  const navigate = useNavigate({ from: '/releases/$release/assign' });
  const client = useQueryClient();
  const [draft, setDraft] = useState<ParamDraft>({});
  const [asking, confirm] = useDisclosure(false);
  const release = useQuery(releaseQuery(id));
  const setSelector = useCallback(
    (next: string) => void navigate({ search: next ? { selector: next } : {}, replace: true }),
    [navigate],
  );
  const specs = release.data?.params ?? [];
  const params = paramsToSend(specs, draft);
  const sound = Object.keys(paramProblems(specs, draft)).length === 0;
  const preflight = useQuery(preflightQuery({ selector, releaseId: id, params: sound ? params : {} }));
  const create = useMutation({
    mutationFn: () => api.call('createAssignment', { body: { releaseId: id, selector, params } }),
    onSuccess: async (assignment) => {
      notifications.show({
        message: `${assignment.probe} ${assignment.version} goes to ${assignment.devices} ${assignment.devices === 1 ? 'device' : 'devices'}.`,
      });
      await client.invalidateQueries({ queryKey: ['assignments'] });
      await navigate({ to: '/assignments' });
    },
  });
  if (release.isPending) return <Waiting label="Reading the release" />;
  if (release.error && !release.data) return <ErrorPanel error={release.error} retry={() => void release.refetch()} />;
  const badSelector = isBadSelector(preflight.error) ? errorText(preflight.error).message : undefined;
  const name = `${release.data.probe} ${release.data.version}`;
  const ready = !preflight.error && preflight.data && sound;

  return (
    <Stack gap="sm" maw={1000}>
      <PageTitle
        title={`Assign ${name}`}
        note="Devices that match later, or come back later, get it too, until the assignment is withdrawn."
      />
      <Panel title="Which devices">
        <div style={{ padding: 12 }}>
          <SelectorInput
            value={selector}
            onCommit={setSelector}
            error={badSelector}
            label="Selector"
            description="Labels and reported facts; empty is every active device."
            width="100%"
            isSearch
          />
        </div>
      </Panel>
      {preflight.error && !badSelector && <ErrorPanel error={preflight.error} retry={() => void preflight.refetch()} />}
      {preflight.data && !preflight.error && (
        <PreflightPanel preflight={preflight.data} updating={preflight.isFetching} />
      )}
      {preflight.isPending && <Waiting label="Asking who would take it" />}
      <Panel title="Parameters">
        <div style={{ padding: 12 }}>
          <ParamsForm specs={specs} draft={draft} onChange={setDraft} />
        </div>
      </Panel>
      <Group>
        <Button onClick={confirm.open} disabled={!ready} data-testid="assign-review">
          Assign
        </Button>
      </Group>
      <Modal opened={asking} onClose={confirm.close} title={`Assign ${name}?`}>
        <Stack gap="sm">
          <Text size="sm">
            {selector ? (
              <>
                Devices that match <code>{selector}</code>:{' '}
              </>
            ) : (
              'Every active device: '
            )}
            {preflight.data?.devices ?? 0} now, of which {preflight.data?.takes ?? 0} will take it
            {preflight.data?.refuses ? `, ${preflight.data.refuses} will refuse` : ''}
            {preflight.data?.unknown ? `, ${preflight.data.unknown} nobody can tell` : ''}. Parameters:{' '}
            <span className="bf-mono">{paramsText(params)}</span>.
          </Text>
          {create.error && <ErrorPanel error={create.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={confirm.close}>
              Cancel
            </Button>
            <Button onClick={() => create.mutate()} loading={create.isPending} data-testid="assign-confirm">
              Assign
            </Button>
          </Group>
        </Stack>
      </Modal>
    </Stack>
  );
}
