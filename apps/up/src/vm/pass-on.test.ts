import { expect, it } from '@jest/globals';
import { passOn } from './pass-on.js';

const socket = (host: string) => passOn(host, [8480]).files['/etc/systemd/system/fleet-8480.socket'];

it('takes what comes to the address that the server tells, and gives it to the machine below', () => {
  const { files, script } = passOn('127.0.0.1', [8480, 8883]);
  expect(Object.keys(files)).toHaveLength(4);
  expect(files['/etc/systemd/system/fleet-8883.service']).toContain('systemd-socket-proxyd 10.0.2.2:8883\n');
  expect(script).toBe('systemctl daemon-reload && systemctl enable --now fleet-8480.socket fleet-8883.socket');
  expect(socket('127.0.0.1')).toContain('ListenStream=127.0.0.1:8480\n[Install]');
});

it('gives the VM an address that is none of its own', () => {
  expect(socket('192.168.1.5')).toContain('ListenStream=192.168.1.5:8480\n');
  expect(socket('192.168.1.5')).toContain('ip address replace 192.168.1.5 dev lo');
  expect(socket('2001:db8::5')).toContain('ListenStream=[2001:db8::5]:8480\n');
});

it('gives a name to the VM itself', () => {
  expect(socket('fleet.local')).toContain('ListenStream=127.0.0.1:8480\n[Install]');
  expect(passOn('fleet.local', [8480]).script).toMatch(/^echo '127\.0\.0\.1 fleet\.local' >> \/etc\/hosts && /);
});

it('changes nothing where the VM finds the server by itself', () => {
  expect(passOn('10.0.2.2', [8480])).toEqual({ files: {}, script: 'true' });
});
