import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LAB_KERNELS_MAX, type ApiClient } from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { PrismaService } from '../../platform/prisma/prisma.service.js';
import { VERDICT_VERSIONS } from '../kernels/index.js';
import { compileCore, READS_PID } from '../kernels/testing/core-object.js';
import { foreignBtf } from '../kernels/testing/kernel-btf.js';
import { SessionModule } from '../session/index.js';
import { LabApiModule } from './index.js';
import { makeModule } from './testing/kernel-module.js';

let server: TestApp;
let api: ApiClient;
let prisma: PrismaService;

beforeAll(async () => {
  server = await startApp([SessionModule, LabApiModule]);
  api = await server.admin();
  prisma = server.app.get(PrismaService);
});
afterAll(() => server?.stop());

/** An arm64 Image, as far as its header tells. */
function arm64Image(): Buffer {
  const image = Buffer.alloc(4_096);
  image.write('ARMd', 56, 'latin1');
  return image;
}

const trixie = { suite: 'trixie', arch: 'arm64' } as const;

describe('the kernels of the lab', () => {
  it('are added by suite, with the name of what they are, and listed before anybody has booted them', async () => {
    const added = await api.call('addLabKernel', {
      body: { ...trixie, kernelArgs: ['lsm=lockdown,yama,bpf'], jit: 1 },
    });
    expect(added).toMatchObject({
      name: expect.stringMatching(/^trixie-arm64-jit1-[0-9a-f]{6}$/),
      suite: 'trixie',
      image: null,
      userLand: 'arm64',
      jit: 1,
      kernelArgs: ['lsm=lockdown,yama,bpf'],
      state: 'waiting',
      group: null,
      jobs: { waiting: 0, proving: 0, done: 0, failed: 0 },
      proving: null,
      createdBy: 'admin',
    });
    const compat = await api.call('addLabKernel', { body: { suite: 'bookworm', arch: 'arm64', userLand: 'armv7' } });
    expect(compat).toMatchObject({ name: 'bookworm-arm64-armv7', arch: 'arm64', userLand: 'armv7' });
    const { items, hosts } = await api.call('getLab', {});
    expect(items.map(({ id }) => id).sort()).toEqual([added.id, compat.id].sort());
    expect(hosts).toEqual([]);
    const audit = await prisma.auditEntry.findFirst({ where: { action: 'lab.add' } });
    expect(audit).toMatchObject({ actor: 'admin', subject: added.name });
  });

  it('tell what they are, how far they have come, and who boots them', async () => {
    const { id } = await api.call('addLabKernel', { body: { ...trixie, name: 'told' } });
    const now = new Date();
    await prisma.kernelGroup.create({
      data: {
        id: 'g'.repeat(64),
        kernelRelease: '6.12.1',
        kernelArch: 'arm64',
        userBits: 64,
        lsm: ['bpf'],
        pageBytes: 4096,
      },
    });
    const device = { id: 'dlab00000001', name: 'edge', labels: {}, kernelGroupId: 'g'.repeat(64) };
    await prisma.device.create({ data: device });
    await prisma.labKernel.update({
      where: { id },
      data: { state: 'ready', kernelGroupId: 'g'.repeat(64), seenAt: now },
    });
    const release = await addRelease('told_probe');
    await prisma.labJob.create({ data: { labKernelId: id, releaseId: release, state: 'proving', queuedAt: now } });
    await prisma.labHost.createMany({
      data: [
        { holder: 'here', machines: 2, seenAt: now },
        { holder: 'long-gone', machines: 2, seenAt: new Date(now.getTime() - 600_000) },
      ],
    });
    const { items, hosts } = await api.call('getLab', {});
    expect(items.find(({ name }) => name === 'told')).toMatchObject({
      state: 'ready',
      group: { kernelRelease: '6.12.1', lsm: ['bpf'], btf: false },
      devices: 1,
      jobs: { waiting: 0, proving: 1, done: 0, failed: 0 },
      proving: 'told_probe@1.0.0',
      seenAt: now.toISOString(),
    });
    expect(hosts).toMatchObject([{ name: 'here', machines: 2, reason: null }]);
    const { items: groups } = await api.call('getReleaseKernels', { path: { id: release } });
    expect(groups).toMatchObject([
      { lab: ['told'], devices: 1, resolved: null, proven: null, job: { state: 'proving', error: null } },
    ]);
  });

  it('say of a release what each stage found out, also in rows of another version', async () => {
    const id = await addRelease('judged');
    const group = { releaseId: id, kernelGroupId: 'g'.repeat(64), btfDigest: null };
    const row = (stage: 'resolve' | 'prove') => ({ ...group, stage, version: VERDICT_VERSIONS[stage] });
    const reasons = [{ kind: 'callback_needs_jit', sentence: 'It needs a JIT.', program: 'p' }];
    await prisma.kernelVerdict.create({
      data: { ...row('resolve'), verdict: 'accepted', reasons: [], facts: {} },
    });
    await prisma.kernelVerdict.create({
      data: { ...row('prove'), verdict: 'refused', reasons, facts: { loadMs: 3 } },
    });
    const { items } = await api.call('getReleaseKernels', { path: { id } });
    expect(items).toMatchObject([
      {
        resolved: { verdict: 'accepted' },
        proven: { verdict: 'refused', reasons, loadMs: 3, instructions: null, programs: [] },
        job: null,
      },
    ]);
    await expect(api.call('getReleaseKernels', { path: { id: 'none' } })).rejects.toMatchObject({ status: 404 });
  });

  it('are removed by name, once, and queued for again by name', async () => {
    const release = await addRelease('again');
    await api.call('addLabKernel', { body: { ...trixie, name: 'gone' } });
    await prisma.labKernel.updateMany({
      where: { name: 'gone' },
      data: { state: 'failed', failures: 3, reason: 'why' },
    });
    const body = { releaseId: release, kernel: 'gone' };
    expect(await api.call('proveInLab', { body })).toEqual({ queued: 1 });
    expect(await prisma.labKernel.findUnique({ where: { name: 'gone' } })).toMatchObject({
      state: 'waiting',
      failures: 0,
    });
    expect(await api.call('removeLabKernel', { path: { id: 'gone' } })).toMatchObject({ name: 'gone' });
    await expect(api.call('removeLabKernel', { path: { id: 'gone' } })).rejects.toMatchObject({
      status: 404,
      code: 'LAB_KERNEL_UNKNOWN',
    });
    await expect(api.call('proveInLab', { body })).rejects.toMatchObject({ code: 'LAB_KERNEL_UNKNOWN' });
  });

  it('are for administrators to choose, and for operators to ask', async () => {
    await expect(server.anonymous.call('getLab', {})).rejects.toMatchObject({ status: 401 });
    await prisma.apiToken.updateMany({ data: { role: 'viewer' } });
    try {
      await expect(api.call('addLabKernel', { body: trixie })).rejects.toMatchObject({ code: 'ROLE_TOO_LOW' });
      await expect(api.call('proveInLab', { body: { releaseId: 'x' } })).rejects.toMatchObject({
        code: 'ROLE_TOO_LOW',
      });
      expect((await api.call('getLab', {})).items.length).toBeGreaterThan(0);
    } finally {
      await prisma.apiToken.updateMany({ data: { role: 'admin' } });
    }
  });

  it.each([
    ['a suite without that architecture', 422, 'LAB_TARGET', { suite: 'trixie', arch: 'armv7' }],
    ['64-bit programs on a 32-bit kernel', 422, 'LAB_TARGET', { suite: 'bookworm', arch: 'armv7', userLand: 'arm64' }],
    ['neither suite nor image', 400, 'REQUEST_INVALID', { arch: 'arm64' }],
    ['an image that was not uploaded', 422, 'LAB_FILE_UNKNOWN', { image: 'a'.repeat(64), name: 'x', arch: 'arm64' }],
    ['a BTF that was not uploaded', 422, 'LAB_FILE_UNKNOWN', { ...trixie, btf: 'a'.repeat(64) }],
    ['a name that is taken', 409, 'LAB_NAME_TAKEN', { ...trixie, name: 'told' }],
    ['an image without a name', 400, 'REQUEST_INVALID', { image: 'a'.repeat(64), arch: 'arm64' }],
    [
      'a module without an image',
      400,
      'REQUEST_INVALID',
      { ...trixie, modules: [{ name: 'x', digest: 'a'.repeat(64) }] },
    ],
    [
      'a module that is named by a path',
      400,
      'REQUEST_INVALID',
      { arch: 'arm64', name: 'x', image: 'a'.repeat(64), modules: [{ name: '../x', digest: 'a'.repeat(64) }] },
    ],
    ['a kernel argument that is two', 400, 'REQUEST_INVALID', { ...trixie, kernelArgs: ['a b'] }],
  ])('are refused with a sentence: %s', async (_, status, code, body) => {
    await expect(api.call('addLabKernel', { body: body as typeof trixie })).rejects.toMatchObject({ status, code });
  });
});

describe('a kernel of one’s own', () => {
  it('is uploaded, named, and forgotten with the last that boots it', async () => {
    const image = arm64Image();
    const file = await api.call('addLabFile', { query: { kind: 'image', arch: 'arm64' }, body: image });
    expect(file).toEqual({ digest: digestOf(image), bytes: image.length });
    const btf = await api.call('addLabFile', { query: { kind: 'btf', arch: 'arm64' }, body: foreignBtf('arm64-6.1') });
    const body = { name: 'board', arch: 'arm64', image: file.digest, btf: btf.digest } as const;
    expect(await api.call('addLabKernel', { body })).toMatchObject({ name: 'board', suite: null, image: file.digest });
    await api.call('addLabKernel', { body: { ...body, name: 'board-jit0', jit: 0 } });
    const kept = () => prisma.blob.count({ where: { kind: 'lab-image' } });
    await api.call('removeLabKernel', { path: { id: 'board' } });
    expect(await kept()).toBe(1);
    await api.call('removeLabKernel', { path: { id: 'board-jit0' } });
    expect(await kept()).toBe(0);
  });

  it('that nobody went on with is kept for a day, and gone with the next upload after that', async () => {
    const add = async (body: Buffer) => api.call('addLabFile', { query: { kind: 'config', arch: 'arm64' }, body });
    const config = (name: string) => Buffer.from(`CONFIG_${name}=y\n`);
    const used = (await add(config('USED'))).digest;
    const image = await api.call('addLabFile', { query: { kind: 'image', arch: 'arm64' }, body: arm64Image() });
    const kernel = { name: 'kept', arch: 'arm64', image: image.digest, config: used } as const;
    await api.call('addLabKernel', { body: kernel });
    const [old, recent] = [(await add(config('OLD'))).digest, (await add(config('RECENT'))).digest];
    const left = (digest: string, hours: number) =>
      prisma.blob.update({ where: { digest }, data: { createdAt: new Date(Date.now() - hours * 3_600_000) } });
    for (const [digest, hours] of [
      [used, 25],
      [old, 25],
      [recent, 23],
    ] as const)
      await left(digest, hours);
    await add(config('NEXT'));
    const kept = (await prisma.blob.findMany({ where: { kind: 'lab-config' } })).map(({ digest }) => digest);
    expect(kept.sort()).toEqual([used, recent, digestOf(config('NEXT'))].sort());
    await api.call('removeLabKernel', { path: { id: 'kept' } });
    await prisma.blob.deleteMany({ where: { kind: 'lab-config' } });
  });

  it.each([
    ['an ELF', 'arm64', 'LAB_IMAGE', Buffer.concat([Buffer.from('\u007fELF'), Buffer.alloc(100)]), /vmlinux goes to/],
    ['of another architecture', 'armv7', 'LAB_IMAGE', arm64Image(), /arm64 kernel.*zImage/],
    ['nothing', 'arm64', 'LAB_IMAGE', Buffer.alloc(0), /Image/],
  ] as const)('is refused when it is %s', async (_, arch, code, body, why) => {
    const wrong = api.call('addLabFile', { query: { kind: 'image', arch }, body });
    await expect(wrong).rejects.toMatchObject({ status: 422, code, message: expect.stringMatching(why) });
  });

  it('has modules and a configuration, which go with the last kernel that names them', async () => {
    const add = async (kind: 'image' | 'module' | 'config', body: Buffer) =>
      (await api.call('addLabFile', { query: { kind, arch: 'arm64' }, body })).digest;
    const [image, config] = [await add('image', arm64Image()), await add('config', Buffer.from('CONFIG_BPF=y\n'))];
    const blk = { name: 'virtio_blk', digest: await add('module', makeModule('arm64', 'virtio_blk')) };
    const ext4 = { name: 'ext4', digest: await add('module', makeModule('arm64', 'ext4')) };
    const body = { arch: 'arm64', image, config } as const;
    await api.call('addLabKernel', { body: { ...body, name: 'both', modules: [blk, ext4] } });
    await api.call('addLabKernel', { body: { ...body, name: 'one', modules: [blk] } });
    expect(await prisma.labKernel.findUnique({ where: { name: 'both' } })).toMatchObject({
      configDigest: config,
      modules: [blk, ext4],
    });
    const kept = async () => (await prisma.blob.findMany({ where: { kind: { startsWith: 'lab-' } } })).length;
    expect(await kept()).toBe(4);
    await api.call('removeLabKernel', { path: { id: 'both' } });
    expect(await kept()).toBe(3);
    // An image is no module, and a module no image, whatever their digests.
    const swapped = api.call('addLabKernel', {
      body: { ...body, name: 'swapped', modules: [{ name: 'x', digest: image }] },
    });
    await expect(swapped).rejects.toMatchObject({ code: 'LAB_FILE_UNKNOWN', message: expect.stringMatching(/module/) });
    await api.call('removeLabKernel', { path: { id: 'one' } });
    expect(await kept()).toBe(0);
  });

  it.each([
    ['a module of another machine', 'module', 'LAB_MODULE', () => makeModule('armv7', 'x'), /another architecture/],
    ['a packed module', 'module', 'LAB_MODULE', () => Buffer.from('\u00fd7zXZ\0', 'latin1'), /unpacked first/],
    ['an object that is no module', 'module', 'LAB_MODULE', () => compileCore(READS_PID), /another architecture/],
    ['a configuration that is none', 'config', 'LAB_CONFIG', () => Buffer.from('a text'), /CONFIG_…=/],
    ['a configuration with bytes in it', 'config', 'LAB_CONFIG', () => Buffer.from('CONFIG_X=y\n\0'), /no text/],
  ] as const)('is not made of %s', async (_, kind, code, body, why) => {
    const wrong = api.call('addLabFile', { query: { kind, arch: 'arm64' }, body: body() });
    await expect(wrong).rejects.toMatchObject({ status: 422, code, message: expect.stringMatching(why) });
  });

  it('takes no types of another machine', async () => {
    const wrong = api.call('addLabFile', { query: { kind: 'btf', arch: 'armv7' }, body: foreignBtf('arm64-6.1') });
    await expect(wrong).rejects.toMatchObject({ status: 422, code: 'BTF_ARCH' });
    const none = api.call('addLabFile', { query: { kind: 'btf', arch: 'arm64' }, body: Buffer.from('no') });
    await expect(none).rejects.toMatchObject({ status: 422, code: 'BTF_INVALID' });
  });
});

describe('the lab', () => {
  it('is bounded', async () => {
    const { length } = (await api.call('getLab', {})).items;
    for (let at = length; at < LAB_KERNELS_MAX; at++) {
      await api.call('addLabKernel', { body: { ...trixie, name: `filler-${at}` } });
    }
    const more = api.call('addLabKernel', { body: { ...trixie, name: 'one-too-many' } });
    await expect(more).rejects.toMatchObject({ status: 409, code: 'LAB_FULL' });
  });
});

async function addRelease(probe: string): Promise<string> {
  const { id } = await prisma.release.create({
    data: {
      ...{ probe, version: '1.0.0', summary: 'for a test', digest: digestOf(Buffer.from(probe)), manifest: '' },
      ...{ objects: [], keyids: [], mapBytes: 0, warnings: [], events: [], contentDigest: '', createdBy: 'test' },
    },
  });
  return id;
}
