import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect, it } from '@jest/globals';
import { startTestBroker, testCa } from './index.js';

const DEVICE = 'd00000001';
/** MQTT 3.1.1, 3.1: a clean session and no keep-alive. */
const CONNECT = Buffer.concat([
  Buffer.from([0x10, 12 + DEVICE.length, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 0, 0, DEVICE.length]),
  Buffer.from(DEVICE),
]);

it('the embedded broker refuses who was revoked between the handshake and CONNECT', async () => {
  const ca = await testCa();
  let revoked = false;
  let admitted = () => undefined as void;
  const asked = new Promise<void>((resolve) => (admitted = resolve));
  const isRevoked = () => {
    admitted();
    return revoked;
  };
  const broker = await startTestBroker(ca, { isRevoked });
  try {
    const { cert, key } = await ca.issueDevice(DEVICE);
    const socket = connect({ host: '127.0.0.1', port: broker.port, ca: ca.ca, cert, key });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    await asked;
    revoked = true;
    socket.write(CONNECT);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    // CONNACK, not authorized (3.2.2.3).
    expect([...answer]).toEqual([0x20, 2, 0, 5]);
    socket.destroy();
  } finally {
    await broker.stop();
  }
});
