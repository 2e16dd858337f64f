import type { Device } from '@bpfleet/api';
import { Alert, Button, Group, Modal, Stack, Textarea, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconLockX } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import { deviceQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';

/** A button that asks for the reason, and for the device's id to be typed: there is no way back. */
export function RevokeDevice({ device }: { device: Device }) {
  const [opened, dialog] = useDisclosure(false);
  return (
    <>
      <Button
        variant="default"
        c="red"
        leftSection={<IconLockX size={14} />}
        onClick={dialog.open}
        data-testid="device-revoke"
      >
        Revoke
      </Button>
      <Modal opened={opened} onClose={dialog.close} title="Revoke this device">
        {opened && <RevokeForm device={device} onClose={dialog.close} />}
      </Modal>
    </>
  );
}

function RevokeForm({ device, onClose }: { device: Device; onClose: () => void }) {
  const client = useQueryClient();
  const [reason, setReason] = useState('');
  const [typed, setTyped] = useState('');
  const revoke = useMutation({
    mutationFn: () => api.call('revokeDevice', { path: { id: device.id }, body: { reason: reason.trim() } }),
    onSuccess: async (revoked) => {
      client.setQueryData(deviceQuery(device.id).queryKey, revoked);
      await Promise.all(['devices', 'runs'].map((key) => client.invalidateQueries({ queryKey: [key] })));
      onClose();
    },
  });
  const ready = reason.trim() !== '' && typed.trim() === device.id;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) revoke.mutate();
      }}
    >
      <Stack gap="sm">
        <Alert color="red">
          It is cut off and never heard again under this id. Its runs end here at once, and on the device when their
          lease lapses: within 14 days. To come back it must be enrolled anew.
        </Alert>
        <Textarea
          label="Reason"
          description="Shown with the device, and kept in the audit log."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={500}
          autosize
          minRows={2}
          data-autofocus
          data-testid="revoke-reason"
        />
        <TextInput
          label={`Type ${device.id} to confirm`}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          data-testid="revoke-typed"
        />
        {revoke.error && <ErrorPanel error={revoke.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" color="red" disabled={!ready} loading={revoke.isPending} data-testid="revoke-confirm">
            Revoke
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
