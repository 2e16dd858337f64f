import { publishRefusalSchema, ApiError, type PublishRefusal } from '@bpfleet/api';
import { Alert, Badge, Button, Group, Progress, Stack, Table, Text } from '@mantine/core';
import { IconFiles, IconFolder } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState, type DragEvent } from 'react';
import { publishApi } from '../../api/client.js';
import { useNow } from '../../ui/clock.js';
import { ErrorPanel } from '../../ui/feedback.js';
import { formatBytes, printable } from '../../ui/format.js';
import { PageTitle, Panel } from '../../ui/pieces.js';
import { VerdictReport } from '../probes/verdict-report.js';
import { droppedFiles, pickedFiles } from './dropped-files.js';
import { readProbeFolder, type ProbeFolder } from './probe-folder.js';

const publishTimeoutNote = 'Usually 5 to 20 seconds.';

export function PublishPage() {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [folder, setFolder] = useState<ProbeFolder | null>(null);
  const publish = useMutation({
    mutationFn: (request: NonNullable<ProbeFolder['request']>) => publishApi.call('publish', { body: request }),
    onSuccess: async (release) => {
      await client.invalidateQueries({ queryKey: ['probes'] });
      await client.invalidateQueries({ queryKey: ['releases'] });
      await navigate({ to: '/releases/$release', params: { release: release.id } });
    },
  });
  const take = (next: ProbeFolder) => {
    publish.reset();
    setFolder(next);
  };
  const request = folder?.request;

  return (
    <Stack gap="sm" maw={1000}>
      <PageTitle
        title="Publish a probe"
        note="The server compiles it in a jail, has kernels verify it, signs it, and tells you what to change if one refuses."
      />
      <DropZone onFiles={(files) => take(readProbeFolder(files))} />
      {folder && <FolderView folder={folder} />}
      {request && (
        <Group>
          <Button onClick={() => publish.mutate(request)} loading={publish.isPending} data-testid="publish">
            Compile, verify and sign
          </Button>
        </Group>
      )}
      {publish.isPending && <PublishProgress />}
      {publish.error && <Refusal error={publish.error} />}
    </Stack>
  );
}

function DropZone({ onFiles }: { onFiles: (files: Awaited<ReturnType<typeof pickedFiles>>) => void }) {
  const [over, setOver] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const filesInput = useRef<HTMLInputElement>(null);
  const folderInput = useRef<HTMLInputElement>(null);
  // React does not know the attribute that lets a person choose a folder.
  useEffect(() => folderInput.current?.setAttribute('webkitdirectory', ''), []);
  const read = (reading: ReturnType<typeof pickedFiles>) => {
    setProblem(null);
    reading.then(onFiles, setProblem);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    read(droppedFiles(event.dataTransfer));
  };
  return (
    <>
      <div
        className="bf-drop"
        data-over={over ? '' : undefined}
        data-testid="drop-zone"
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={onDrop}
      >
        <Text fw={600}>Drop a probe&apos;s folder here</Text>
        <Text size="sm" c="dimmed" mb="sm">
          probe.yaml, the .bpf.c sources and their own headers; or ready .bpf.o objects
        </Text>
        <Group justify="center" gap="xs">
          <Button variant="default" leftSection={<IconFolder size={14} />} onClick={() => folderInput.current?.click()}>
            Choose a folder
          </Button>
          <Button variant="default" leftSection={<IconFiles size={14} />} onClick={() => filesInput.current?.click()}>
            Choose files
          </Button>
        </Group>
        <input
          ref={folderInput}
          type="file"
          multiple
          hidden
          onChange={(event) => read(pickedFiles(event.currentTarget.files))}
        />
        <input
          ref={filesInput}
          type="file"
          multiple
          hidden
          data-testid="publish-files"
          onChange={(event) => read(pickedFiles(event.currentTarget.files))}
        />
      </div>
      {problem !== null && <ErrorPanel error={problem} />}
    </>
  );
}

function FolderView({ folder }: { folder: ProbeFolder }) {
  return (
    <Panel title="Files">
      <Table verticalSpacing={4}>
        <Table.Tbody>
          {folder.used.map((file) => (
            <Table.Tr key={file.name}>
              <Table.Td className="bf-mono">{file.name}</Table.Td>
              <Table.Td>
                <Badge color="gray">{file.role}</Badge>
              </Table.Td>
              <Table.Td ta="right" className="bf-dim">
                {formatBytes(file.bytes)}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {folder.ignored.length > 0 && (
        <Text size="xs" c="dimmed" px={12} py={6}>
          Not sent: {folder.ignored.map(printable).join(', ')}
        </Text>
      )}
      {folder.problems.map((problem) => (
        <Alert key={problem} color="yellow" m={12} data-testid="folder-problem">
          {printable(problem)}
        </Alert>
      ))}
    </Panel>
  );
}

function PublishProgress() {
  const [started] = useState(() => Date.now());
  const now = useNow(1_000);
  return (
    <div role="status">
      <Progress value={100} animated size="xs" aria-label="Publishing" />
      <Text size="sm" c="dimmed" mt={4}>
        Compiling, and asking kernels: {Math.max(0, Math.round((now - started) / 1000))} s. {publishTimeoutNote}
      </Text>
    </div>
  );
}

function Refusal({ error }: { error: Error }) {
  const parsed = error instanceof ApiError ? publishRefusalSchema.safeParse(error.details) : undefined;
  const refusal: PublishRefusal = parsed?.data ?? {};
  return (
    <Stack gap="sm" data-testid="refusal">
      <ErrorPanel error={error} />
      {refusal.diagnostics && refusal.diagnostics.length > 0 && (
        <Panel title="The compiler says">
          <Stack gap="sm" p={12}>
            {refusal.diagnostics.map((diagnostic, index) => (
              <div key={index} data-testid="diagnostic">
                <Text size="sm">
                  <span className="bf-mono">
                    {printable(diagnostic.file)}:{diagnostic.line}:{diagnostic.column}
                  </span>{' '}
                  <Badge color={/error/.test(diagnostic.severity) ? 'red' : 'yellow'}>{diagnostic.severity}</Badge>{' '}
                  {printable(diagnostic.message)}
                </Text>
                {diagnostic.sourceLine !== undefined && (
                  <pre className="bf-code" style={{ marginTop: 4 }}>
                    {`${printable(diagnostic.sourceLine)}\n${caret(diagnostic.sourceLine, diagnostic.column)}`}
                  </pre>
                )}
              </div>
            ))}
          </Stack>
        </Panel>
      )}
      {refusal.issues && refusal.issues.length > 0 && (
        <Panel title="In probe.yaml">
          <Table verticalSpacing={4}>
            <Table.Tbody>
              {refusal.issues.map((issue, index) => (
                <Table.Tr key={index}>
                  <Table.Td className="bf-mono" w={220}>
                    {printable(issue.path)}
                  </Table.Td>
                  <Table.Td>{printable(issue.message)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Panel>
      )}
      {refusal.findings && refusal.findings.length > 0 && (
        <Panel title="Checks">
          <Stack gap={6} p={12}>
            {refusal.findings.map((finding, index) => (
              <Group key={index} gap="xs" wrap="nowrap" align="flex-start">
                <Badge color={finding.severity === 'error' ? 'red' : 'yellow'}>{finding.rule}</Badge>
                <Text size="sm">{printable(finding.message)}</Text>
              </Group>
            ))}
          </Stack>
        </Panel>
      )}
      {refusal.verdict && (
        <Panel title="The kernel says">
          <VerdictReport verdict={refusal.verdict} />
        </Panel>
      )}
    </Stack>
  );
}

/** A caret under the column; tabs stay tabs so that it stands where the compiler meant. */
export function caret(sourceLine: string, column: number): string {
  return `${sourceLine.slice(0, Math.max(0, column - 1)).replace(/[^\t]/g, ' ')}^`;
}
