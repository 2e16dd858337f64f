import { ApiError } from '@bpfleet/api';
import { Alert, Button, Center, Group, Loader, Stack, Text } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { printable } from './format.js';

export function errorText(error: unknown): { code: string | null; message: string } {
  if (error instanceof ApiError) return { code: error.code, message: printable(error.message) };
  return { code: null, message: error instanceof Error ? printable(error.message) : 'Something went wrong.' };
}

/** What the server said, with its code, which can be searched for in the documentation. */
export function ErrorPanel({ error, retry, title }: { error: unknown; retry?: () => void; title?: string }) {
  const { code, message } = errorText(error);
  return (
    <Alert color="red" icon={<IconAlertTriangle size={16} />} title={title} role="alert" data-testid="error">
      <Group gap="sm" align="center" wrap="wrap">
        <Text size="sm">{message}</Text>
        {code && (
          <Text className="bf-mono" c="dimmed" data-testid="error-code">
            {code}
          </Text>
        )}
        {retry && (
          <Button variant="default" onClick={retry}>
            Try again
          </Button>
        )}
      </Group>
    </Alert>
  );
}

/** Says what is not there and what to do next. */
export function EmptyState({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Center py={36} px="md" data-testid="empty">
      <Stack gap={6} align="center" maw={520}>
        <Text fw={600}>{title}</Text>
        {children && (
          <Text size="sm" c="dimmed" ta="center" component="div">
            {children}
          </Text>
        )}
        {action && <Group mt={6}>{action}</Group>}
      </Stack>
    </Center>
  );
}

export function Waiting({ label }: { label: string }) {
  return (
    <Center py={36} role="status" aria-label={label}>
      <Group gap="sm">
        <Loader size="xs" />
        <Text size="sm" c="dimmed">
          {label}
        </Text>
      </Group>
    </Center>
  );
}
