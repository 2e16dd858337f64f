import type { Device } from '@bpfleet/api';
import { Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import { deviceQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { labelsText, parseLabels } from './labels.js';

interface EditDeviceDialogProps {
  device: Device;
  opened: boolean;
  onClose: () => void;
}

export function EditDeviceDialog({ device, opened, onClose }: EditDeviceDialogProps) {
  return (
    <Modal opened={opened} onClose={onClose} title="Name and labels">
      {opened && <EditDeviceForm device={device} onClose={onClose} />}
    </Modal>
  );
}

function EditDeviceForm({ device, onClose }: Omit<EditDeviceDialogProps, 'opened'>) {
  const client = useQueryClient();
  const [name, setName] = useState(device.name);
  const [text, setText] = useState(() => labelsText(device.labels));
  const { labels, problem } = parseLabels(text);
  const save = useMutation({
    mutationFn: () => api.call('updateDevice', { path: { id: device.id }, body: { name: name.trim(), labels } }),
    onSuccess: async (updated) => {
      client.setQueryData(deviceQuery(device.id).queryKey, updated);
      await client.invalidateQueries({ queryKey: ['devices'] });
      onClose();
    },
  });
  const ready = name.trim() !== '' && !problem;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) save.mutate();
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={128}
          data-autofocus
          data-testid="device-edit-name"
        />
        <TextInput
          label="Labels"
          description="Selectors use them: a change can bring runs to this device or take them away."
          placeholder="site=oslo model=gw-200"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={problem}
          data-testid="device-edit-labels"
        />
        {save.error && <ErrorPanel error={save.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={!ready} loading={save.isPending} data-testid="device-edit-save">
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
