import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from '@jest/globals';
import { LAB_MODULE_BYTES_MAX } from '@bpfleet/api';
import { makeModule, makePackage } from '../testing/kernel-files.js';
import { readKernelPackage, type KernelPackage } from './kernel-package.js';

const folder = mkdtempSync(join(tmpdir(), 'bpfleet-cli-package-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RELEASE = '6.1.0-9-board';
const MODULES = `lib/modules/${RELEASE}`;

const module = (...depends: readonly string[]) => makeModule(folder, ...depends);
const xz = (bytes: Buffer): Buffer => execFileSync('xz', ['-c'], { input: bytes });

/** What is in /boot first, what says what is built in last. */
const whole: Readonly<Record<string, Buffer | string>> = {
  [`boot/vmlinuz-${RELEASE}`]: 'the image',
  [`boot/config-${RELEASE}`]: 'CONFIG_BPF=y\n',
  [`${MODULES}/kernel/drivers/virtio/virtio-mmio.ko.xz`]: xz(module()),
  [`${MODULES}/kernel/drivers/block/virtio_blk.ko`]: module('virtio-late'),
  [`${MODULES}/kernel/drivers/char/virtio_console.ko.gz`]: gzipSync(module()),
  [`${MODULES}/kernel/drivers/net/virtio_net.ko`]: module('failover'),
  [`${MODULES}/kernel/drivers/gpu/unwanted.ko`]: 'never looked at',
  [`${MODULES}/kernel/drivers/virtio/virtio_late.ko`]: module('virtio_last'),
  [`${MODULES}/kernel/drivers/virtio/virtio_last.ko`]: module(),
  [`${MODULES}/modules.builtin`]: 'kernel/fs/ext4/ext4.ko\nkernel/crypto/crc32c_generic.ko\n',
};
function read(files: Readonly<Record<string, Buffer | string>>): Promise<KernelPackage> {
  const path = join(mkdtempSync(join(folder, 'package-')), 'linux-image.deb');
  makePackage(folder, path, files);
  return readKernelPackage([path], () => undefined);
}
const without = (part: string) => Object.fromEntries(Object.entries(whole).filter(([path]) => !path.includes(part)));

describe('a kernel package', () => {
  it('gives its image, its configuration, and what the VM needs of its modules in the order of loading', async () => {
    const { release, image, config, modules } = await read(whole);
    expect([release, String(image), String(config)]).toEqual([RELEASE, 'the image', 'CONFIG_BPF=y\n']);
    // virtio_net needs a module that is not there: the VM does without a network.
    const names = ['virtio_mmio', 'virtio_console', 'virtio_last', 'virtio_late', 'virtio_blk'];
    expect(modules.map(({ name }) => name)).toEqual(names);
    for (const { bytes } of modules) expect(Buffer.from(bytes.subarray(0, 4)).toString('latin1')).toBe('\u007fELF');
  });

  it('is read of two packages, as distributions split it', async () => {
    const parts = [true, false].map((boot) => {
      const path = join(mkdtempSync(join(folder, 'package-')), 'part.deb');
      makePackage(
        folder,
        path,
        Object.fromEntries(Object.entries(whole).filter(([name]) => name.startsWith('boot') === boot)),
      );
      return path;
    });
    expect(await readKernelPackage(parts, () => undefined)).toEqual(await read(whole));
    await expect(readKernelPackage(parts.slice(0, 1), () => undefined)).rejects.toMatchObject({
      message: expect.stringMatching(/virtio_mmio.*\(linux-modules-…\) as well/),
    });
  });

  it('is read where its modules lie in /usr, and without a configuration', async () => {
    const moved = Object.entries(without('config-')).map(([path, bytes]) => [path.replace(/^lib/, 'usr/lib'), bytes]);
    const beside = Object.entries(whole).map(([path, bytes]) => {
      return [path.replace(/^boot\/([a-z]+)-.*/, `${MODULES}/$1`), bytes];
    });
    expect(await read(Object.fromEntries(beside))).toEqual(await read(whole));
    expect(await read(Object.fromEntries(moved))).toMatchObject({ config: undefined, modules: { length: 5 } });
  });

  it.each([
    ['no kernel', without('vmlinuz'), /no kernel \(boot\/vmlinuz-…\): give a package/],
    ['a driver that is nowhere', without('virtio_blk'), /has no virtio_blk, neither built in/],
    ['a driver that needs what is nowhere', without('virtio_last'), /has no virtio_last, neither built in/],
    [
      'a module that is none',
      { ...whole, [`${MODULES}/kernel/a/virtio_rng.ko`]: 'text' },
      /virtio_rng.*no kernel module/,
    ],
    [
      'a packed module without end',
      { ...whole, [`${MODULES}/kernel/a/virtio_rng.ko.xz`]: xz(Buffer.alloc(LAB_MODULE_BYTES_MAX + 1)) },
      /virtio_rng.*more than 8388608 bytes/,
    ],
    [
      'the same, packed by gzip',
      { ...whole, [`${MODULES}/kernel/a/virtio_rng.ko.gz`]: gzipSync(Buffer.alloc(LAB_MODULE_BYTES_MAX + 1)) },
      /virtio_rng.*more than 8388608 bytes/,
    ],
    [
      'a module larger than any',
      { ...whole, [`${MODULES}/kernel/a/virtio_rng.ko`]: Buffer.alloc(LAB_MODULE_BYTES_MAX + 1) },
      /virtio_rng.*takes at most 8388608/,
    ],
  ])('is refused with a sentence: %s', async (_, files, why) => {
    await expect(read(files)).rejects.toMatchObject({ code: 'KERNEL_FILE', message: expect.stringMatching(why) });
  });
});
