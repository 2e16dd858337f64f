import { expect, it } from '@jest/globals';
import { VM_TARGETS } from '@bpfleet/vm';
import { parseVmOptions, USAGE } from './vm-options.js';

const root = { uid: 0 };

it('finds every VM there is by what the usage says', () => {
  const lines = USAGE.split('\n').filter((line) => line.startsWith('    --arch'));
  const targets = lines.map((line) => parseVmOptions(line.trim().split(' '), root).target);
  expect(targets).toEqual([...VM_TARGETS]);
});

it('finds the running fleet where `npm run up` has put it', () => {
  expect(parseVmOptions([], root)).toMatchObject({ dataDir: '/var/lib/bpfleet', httpPort: 8480, mqttPort: 8883 });
  expect(parseVmOptions([], { uid: 1000, home: '/home/me' }).dataDir).toBe('/home/me/.local/share/bpfleet');
});

it('says what is wrong, and what there is', () => {
  expect(() => parseVmOptions(['--arch', 'armv7', '--kernel', '5.10'], root)).toThrow(
    /no VM of armv7 5\.10; there are/,
  );
  expect(() => parseVmOptions(['--port', 'x'], root)).toThrow('--port takes a port number');
  expect(() => parseVmOptions(['--cpu', '3'], root)).toThrow(/usage/);
});
