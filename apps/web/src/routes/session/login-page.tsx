import { Button, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState, type FormEvent } from 'react';
import { api } from '../../api/client.js';
import { meQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';

export function LoginPage() {
  const { next } = useSearch({ from: '/login' });
  const navigate = useNavigate();
  const client = useQueryClient();
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const login = useMutation({
    mutationFn: () => api.call('login', { body: { username, password } }),
    onSuccess: async (user) => {
      client.clear();
      client.setQueryData(meQuery.queryKey, user);
      await navigate({ href: next ?? '/devices', replace: true });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (username && password) login.mutate();
  };

  return (
    <main style={{ minHeight: '100dvh', display: 'grid', placeItems: 'center', padding: 16 }}>
      <form onSubmit={submit} className="bf-panel" style={{ width: 'min(340px, 100%)', padding: 24 }}>
        <Stack gap="sm">
          <div style={{ display: 'flex', alignItems: 'center', gap: 10 }}>
            <img src="/favicon.svg" alt="" width={28} height={28} />
            <Text fw={700} size="xl">
              bpfleet
            </Text>
          </div>
          <Text size="sm" c="dimmed">
            Log in to see your fleet.
          </Text>
          <TextInput
            label="User name"
            size="sm"
            autoComplete="username"
            autoFocus
            value={username}
            onChange={(event) => setUsername(event.currentTarget.value)}
            data-testid="login-username"
          />
          <PasswordInput
            label="Password"
            size="sm"
            autoComplete="current-password"
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
            data-testid="login-password"
          />
          {login.error && <ErrorPanel error={login.error} />}
          <Button
            type="submit"
            size="sm"
            loading={login.isPending}
            disabled={!username || !password}
            data-testid="login-submit"
          >
            Log in
          </Button>
        </Stack>
      </form>
    </main>
  );
}
