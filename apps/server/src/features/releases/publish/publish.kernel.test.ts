import 'reflect-metadata';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { release as kernelRelease, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { publishRefusalSchema, releaseSchema, type PublishRefusal } from '@bpfleet/api';
import { acceptRelease, digestOf } from '@bpfleet/trust';
import { createTestDatabase, describeWithKernel, type TestDatabase } from '@bpfleet/testkit';
import type { Facts } from '@bpfleet/wire';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import type { DomainError } from '../../../platform/errors.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { ControlModule } from '../../control/index.js';
import { addDevice, Bench, benchFacts, repositoryDir } from '../../control/testing/bench.js';
import { KernelBuilds } from '../../kernels/btf/kernel-builds.js';
import { KernelGroups } from '../../kernels/groups/index.js';
import { KernelsApiModule } from '../../kernels/index.js';
import { foreignBtf } from '../../kernels/testing/kernel-btf.js';
import { ReleasesApiModule } from '../index.js';
import { Releases } from '../releases.service.js';
import { Publisher } from './publish.service.js';

const probes = join(repositoryDir, 'libs/probes');

let database: TestDatabase;
let bench: Bench;
let dataDir: string;

beforeAll(async () => {
  database = await createTestDatabase();
  dataDir = mkdtempSync(join(tmpdir(), 'bpfleet-publish-'));
  bench = await Bench.start({
    databaseUrl: database.url,
    modules: [ReleasesApiModule, ControlModule, KernelsApiModule],
    dataDir,
  });
}, 120_000);
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
  rmSync(dataDir, { recursive: true, force: true });
});

const publish = (body: { manifest: string; sources?: { name: string; text: string }[]; objects?: unknown[] }) =>
  bench
    .get(Publisher)
    .publish({ id: 'u1', username: 'alice', role: 'admin' }, { sources: [], objects: [], ...body } as never);

async function refused(body: Parameters<typeof publish>[0]): Promise<{ error: DomainError; details: PublishRefusal }> {
  const error = await publish(body).then(
    () => Promise.reject(new Error('it was published')),
    (caught: DomainError) => caught,
  );
  return { error, details: publishRefusalSchema.parse(error.details) };
}

const program = (body: string) => `#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "bpfleet.bpf.h"
struct seen { __u64 pid; };
BPFLEET_EVENT(seen);
BPFLEET_RING(events, 65536);
char LICENSE[] SEC("license") = "GPL";
SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
${body}
}
`;
const manifest = (name: string, more = '') => `name: ${name}\nversion: 1.0.0\nsummary: a test\n${more}`;
const source = (name: string, body: string) => [{ name: `${name}.bpf.c`, text: program(body) }];
const good =
  '\tstruct seen *e = bpfleet_reserve(events, struct seen);\n\tif (e) { e->pid = 1; bpfleet_submit(e); }\n\treturn 0;';
const withEvent = 'events:\n  - { name: seen, map: events, struct: seen }\n';

describeWithKernel('publish on this kernel', ['root', 'bpf', 'btf', 'clang'], () => {
  const builtIn = readdirSync(probes).filter((name) => existsSync(join(probes, name, 'probe.yaml')));

  it.each(builtIn)('makes a release of the built-in probe %s that this kernel accepted', async (name) => {
    const folder = join(probes, name);
    const sources = readdirSync(folder)
      .filter((file) => /\.(bpf\.c|h)$/.test(file))
      .map((file) => ({ name: file, text: readFileSync(join(folder, file), 'utf8') }));
    const { release, created } = await publish({ manifest: readFileSync(join(folder, 'probe.yaml'), 'utf8'), sources });
    expect(created).toBe(true);
    releaseSchema.parse(release);
    expect(release.verdicts).toMatchObject([{ verdict: 'accepted', kernel: { release: kernelRelease() } }]);
    // It looks at registers, which every architecture has elsewhere.
    const arches = name === 'count_syscalls' ? ['arm', 'arm64', 'x86_64'] : ['any'];
    expect(release.objects.map(({ arch }) => arch).sort()).toEqual(arches);
    const envelope = (await bench.get(BlobStore).get(release.digest)) as Buffer;
    const document = acceptRelease(bench.keys.root.document, release.digest, envelope);
    expect(document).toMatchObject({ probe: name, manifest: release.manifest });
    const object = await bench.get(BlobStore).get(document.objects[0]?.digest as string);
    expect(digestOf(object as Buffer)).toBe(document.objects[0]?.digest);
  });

  it('makes the tables of the events before the release is there', async () => {
    const { release } = await publish({
      manifest: manifest('with_event', withEvent),
      sources: source('with_event', good),
    });
    expect(release.events).toEqual([{ name: 'seen', columns: [{ name: 'pid', type: expect.any(String) }] }]);
    const rows = await bench.prisma.$queryRaw`SELECT event FROM telemetry.event_table WHERE probe = 'with_event'`;
    expect(rows).toEqual([{ event: 'seen' }]);
  });

  it('answers the same upload with the same release, and other content with a conflict', async () => {
    const body = { manifest: manifest('twice', withEvent), sources: source('twice', good) };
    const [one, two] = await Promise.all([publish(body), publish(body)]);
    expect(two.release.id).toBe(one.release.id);
    expect([one.created, two.created].filter(Boolean)).toHaveLength(1);
    expect((await publish(body)).release.digest).toBe(one.release.digest);
    const other = { ...body, sources: source('twice', `\tbpf_get_smp_processor_id();\n${good}`) };
    await expect(publish(other)).rejects.toMatchObject({ code: 'RELEASE_EXISTS', status: 409 });
    expect((await bench.get(Releases).probes()).find(({ name }) => name === 'twice')).toMatchObject({ releases: 1 });
  });

  it('names the line of C that does not compile', async () => {
    const { error, details } = await refused({
      manifest: manifest('broken'),
      sources: source('broken', '\treturn nothing;'),
    });
    expect(error).toMatchObject({ code: 'COMPILE_FAILED', status: 422 });
    expect(error.message).toContain('broken.bpf.c:11');
    expect(details.diagnostics?.[0]).toMatchObject({ file: 'broken.bpf.c', line: 11, sourceLine: '\treturn nothing;' });
  });

  it('explains what the verifier refuses: a sentence, the source line, the log', async () => {
    const body = '\tlong *p = ctx;\n\tlong n = p[0];\n\treturn *(int *)n;';
    const { error, details } = await refused({ manifest: manifest('unsafe'), sources: source('unsafe', body) });
    expect(error).toMatchObject({ code: 'VERIFIER_REFUSED', status: 422 });
    const [refusedProgram] = details.verdict?.programs ?? [];
    expect(refusedProgram).toMatchObject({ name: 'on_exec', verdict: 'refused' });
    expect(refusedProgram?.explanation?.sentence).toBeTruthy();
    expect(refusedProgram?.explanation?.source?.file).toContain('unsafe.bpf.c');
    expect(refusedProgram?.log).toContain('R');
    expect(await bench.get(Releases).list('unsafe')).toEqual([]);
  });

  it('says which maps exist when the manifest names another', async () => {
    const text = manifest('wrong_map', 'events:\n  - { name: seen, map: evnets, struct: seen }\n');
    const { error, details } = await refused({ manifest: text, sources: source('wrong_map', good) });
    expect(error.code).toBe('MANIFEST_INVALID');
    expect(details.issues?.[0]?.path).toBe('events[0].map');
    expect(details.issues?.[0]?.message).toContain('events');
  });

  it('refuses what policy does not allow, and keeps warnings', async () => {
    const greedy = `${program(good)}\nstruct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1000000); __type(key, __u32); __type(value, __u64); } huge SEC(".maps");\n`;
    const { error, details } = await refused({
      manifest: manifest('greedy', withEvent),
      sources: [{ name: 'greedy.bpf.c', text: greedy }],
    });
    expect(error.code).toBe('LINT_FAILED');
    expect(details.findings?.map(({ rule }) => rule)).toContain('map_memory');
  });

  it('warns of reads that give garbage on a kernel of the fleet, by its name, and says nothing of kernels that are fine', async () => {
    const facts: Facts = {
      ...benchFacts,
      kernelArch: 'arm',
      userBits: 32,
      kernelRelease: '6.1.0-50-armmp',
      btfDigest: null,
    };
    const device = await addDevice(bench, { facts });
    await bench.get(ControlSql).withTransaction((client) => bench.get(KernelGroups).note(client, device, facts));
    const build = {
      bytes: foreignBtf('armhf-6.1'),
      buildId: facts.kernelBuildId ?? '',
      arch: 'arm',
      replace: false,
    } as const;
    await bench.get(KernelBuilds).add('alice', build);
    const warned = async (name: string, how: string) => {
      const body = `\tstruct task_struct *t = (void *)bpf_get_current_task();\n${good.replace('e->pid = 1', `e->pid = ${how}`)}`;
      const text = program(body).replace(
        '#include "bpfleet.bpf.h"',
        '#include <bpf/bpf_core_read.h>\n#include "bpfleet.bpf.h"',
      );
      const { release } = await publish({
        manifest: manifest(name, withEvent),
        sources: [{ name: `${name}.bpf.c`, text }],
      });
      return release.warnings.filter(
        ({ rule, message }) => rule === 'read_size' && message.includes('6.1.0-50-armmp (arm)'),
      );
    };
    expect(await warned('reads_long', 'BPF_CORE_READ(t, nvcsw)')).toEqual([
      {
        severity: 'warning',
        rule: 'read_size',
        message: expect.stringMatching(
          /reads_long\.bpf\.c:\d+, reads 8 bytes of task_struct\.nvcsw, which has 4 .* not offered/,
        ),
      },
    ]);
    expect(await warned('reads_pid', 'BPF_CORE_READ(t, pid)')).toEqual([]);
  });

  it('takes a ready object as it is', async () => {
    const { release } = await publish({ manifest: manifest('origin', withEvent), sources: source('origin', good) });
    const object = (await bench.get(BlobStore).get(release.objects[0]?.digest as string)) as Buffer;
    const objects = [{ arch: 'any', base64: object.toString('base64') }];
    const ready = await publish({ manifest: manifest('ready_object', withEvent), objects });
    expect(ready.release.objects).toEqual(release.objects);
    expect(ready.release.verdicts).toMatchObject([{ verdict: 'accepted' }]);
  });
});

describe('publish, refused before any kernel is asked', () => {
  it('says in one sentence what is no object, has no BTF, or is huge', async () => {
    const take = (bytes: Buffer) =>
      refused({ manifest: manifest('odd'), objects: [{ arch: 'any', base64: bytes.toString('base64') }] });
    expect((await take(Buffer.from('#!/bin/sh\n'))).error).toMatchObject({ code: 'OBJECT_INVALID', status: 422 });
    expect((await take(Buffer.from('#!/bin/sh\n'))).error.message).toContain('not a BPF object');
    const huge = (await take(Buffer.alloc(8 * 1024 * 1024 + 1))).error;
    expect(huge).toMatchObject({ code: 'OBJECT_INVALID' });
    expect(huge.message).toContain('at most 8388608');
  });

  it('lists what is wrong with a manifest, and what is wrong with a package', async () => {
    const { error, details } = await refused({ manifest: 'name: X\nversion: one\n' });
    expect(error.code).toBe('MANIFEST_INVALID');
    expect(details.issues?.map(({ path }) => path)).toEqual(expect.arrayContaining(['name', 'version', 'summary']));
    const text = manifest('nothing_in_it');
    expect((await refused({ manifest: text })).error.code).toBe('PACKAGE_INVALID');
    const two = ['a', 'b'].map((name) => ({ name: `${name}.bpf.c`, text: '' }));
    expect((await refused({ manifest: text, sources: two })).error.message).toContain('nothing_in_it.bpf.c');
    const arch = { arch: 'arm', base64: '' };
    expect((await refused({ manifest: text, objects: [arch, arch] })).error.code).toBe('PACKAGE_INVALID');
  });
});
