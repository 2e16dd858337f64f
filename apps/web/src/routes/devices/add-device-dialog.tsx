import { Alert, Button, Group, Modal, NumberInput, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client.js';
import { enrolmentTokensQuery } from '../../api/queries.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { formatTime } from '../../ui/format.js';
import { CopyIcon } from '../../ui/pieces.js';
import { parseLabels } from './labels.js';

const lifetimes = [
  { value: '60', label: '1 hour' },
  { value: '1440', label: '1 day' },
  { value: '10080', label: '7 days' },
  { value: '43200', label: '30 days' },
];

export function AddDeviceDialog({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={opened} onClose={onClose} title="Add device" size="lg">
      {/* Mounted anew at each opening, so that a token is never shown a second time. */}
      {opened && <AddDeviceForm onClose={onClose} />}
    </Modal>
  );
}

function AddDeviceForm({ onClose }: { onClose: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [uses, setUses] = useState<string | number>(1);
  const [minutes, setMinutes] = useState('60');
  const [labelsText, setLabelsText] = useState('');
  const labels = parseLabels(labelsText);
  const create = useMutation({
    mutationFn: () =>
      api.call('createEnrolmentToken', {
        body: { name: name.trim(), uses: Number(uses), expiresInMinutes: Number(minutes), labels: labels.labels },
      }),
    onSuccess: () => client.invalidateQueries({ queryKey: enrolmentTokensQuery.queryKey }),
  });

  if (create.data) {
    const { command, note, expiresAt, usesLeft } = create.data;
    return (
      <Stack gap="sm">
        <Text size="sm">Run this on the device, as root:</Text>
        <div style={{ position: 'relative' }}>
          <pre className="bf-code bf-wrap" style={{ paddingRight: 40 }} data-testid="enrol-command">
            {command}
          </pre>
          <div style={{ position: 'absolute', top: 6, right: 8 }}>
            <CopyIcon text={command} label="Copy the command" />
          </div>
        </div>
        {note !== undefined && (
          <Text size="sm" data-testid="enrol-note">
            {note}
          </Text>
        )}
        <Alert color="yellow">
          This is shown once. The token in it enrols {usesLeft === 1 ? 'one device' : `${usesLeft} devices`} until{' '}
          {formatTime(expiresAt)}; it also tells the device which server to trust.
        </Alert>
        <Text size="sm" c="dimmed">
          The device appears in the list as soon as its agent has connected.
        </Text>
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
        if (name.trim() && !labels.problem) create.mutate();
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name of the token"
          description="To recognise it later, such as the site or the batch of devices."
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={64}
          data-autofocus
          data-testid="token-name"
        />
        <Group grow align="flex-start">
          <NumberInput label="Devices" min={1} max={100_000} allowDecimal={false} value={uses} onChange={setUses} />
          <Select
            label="Valid for"
            data={lifetimes}
            value={minutes}
            onChange={(value) => setMinutes(value ?? '60')}
            allowDeselect={false}
          />
        </Group>
        <TextInput
          label="Labels"
          description="Given to every device that enrols with it. Selectors use them."
          placeholder="site=oslo model=gw-200"
          value={labelsText}
          onChange={(event) => setLabelsText(event.currentTarget.value)}
          error={labels.problem}
        />
        {create.error && <ErrorPanel error={create.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            loading={create.isPending}
            disabled={!name.trim() || Boolean(labels.problem) || !(Number(uses) >= 1)}
            data-testid="token-create"
          >
            Make enrolment token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
