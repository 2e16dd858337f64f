import { Button, Group, PasswordInput, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { api } from '../../api/client.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { Panel } from '../../ui/pieces.js';

const PASSWORD_CHARACTERS_MIN = 12;

/** Every session of the user ends with the old password, this one too, so success leads to the log-in page. */
export function ChangePassword() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const change = useMutation({
    mutationFn: () => api.call('changePassword', { body: { current, next } }),
    onSuccess: async () => {
      client.clear();
      await navigate({ to: '/login', search: { next: '/settings' } });
    },
  });
  const differs = again !== '' && again !== next;
  const ready = current !== '' && next.length >= PASSWORD_CHARACTERS_MIN && again === next;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (ready) change.mutate();
  };
  return (
    <Panel title="Password">
      <form onSubmit={submit} style={{ padding: 12, maxWidth: 360 }}>
        <Stack gap="sm">
          <Text size="sm" c="dimmed">
            A new password ends every session of yours. API tokens stay until they are revoked.
          </Text>
          <PasswordInput
            label="Current password"
            autoComplete="current-password"
            value={current}
            onChange={(event) => setCurrent(event.currentTarget.value)}
            data-testid="password-current"
          />
          <PasswordInput
            label={`New password, at least ${PASSWORD_CHARACTERS_MIN} characters`}
            autoComplete="new-password"
            value={next}
            onChange={(event) => setNext(event.currentTarget.value)}
            data-testid="password-next"
          />
          <PasswordInput
            label="New password again"
            autoComplete="new-password"
            value={again}
            error={differs ? 'The two differ.' : undefined}
            onChange={(event) => setAgain(event.currentTarget.value)}
            data-testid="password-again"
          />
          {change.error && <ErrorPanel error={change.error} />}
          <Group>
            <Button type="submit" disabled={!ready} loading={change.isPending} data-testid="password-change">
              Change password
            </Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  );
}
