import { describe, expect, it } from '@jest/globals';
import { parseOptions } from './options.js';

const user = { uid: 1000, home: '/home/eva' };
const root = { uid: 0, home: '/root' };

describe('parseOptions', () => {
  it('keeps data where each kind of user may write', () => {
    expect(parseOptions([], root).dataDir).toBe('/var/lib/bpfleet');
    expect(parseOptions([], user).dataDir).toBe('/home/eva/.local/share/bpfleet');
    expect(parseOptions(['--data', '/srv/fleet'], user).dataDir).toBe('/srv/fleet');
  });

  it('gives a check free ports and a throw-away folder unless it is told otherwise', () => {
    const check = parseOptions(['--check', '--port', '9000'], root);
    expect(check).toMatchObject({
      check: true,
      dataDir: undefined,
      httpPort: 9000,
      mqttPort: 0,
      host: '127.0.0.1',
      postgresPort: 0,
      agent: true,
    });
  });

  it('takes the host by which devices reach this machine', () => {
    expect(parseOptions(['--host', '192.168.1.5'], root).host).toBe('192.168.1.5');
    expect(() => parseOptions(['--host', 'x:1'], root)).toThrow('--host takes a name or an address alone');
  });

  it.each([
    [['--port', 'http'], '--port takes a port number (0 to 65535), not http.'],
    [['--mqtt-port', '70000'], '--mqtt-port takes a port number (0 to 65535), not 70000.'],
    [['--pg-port=-1'], '--pg-port takes a port number (0 to 65535), not -1.'],
    [['--prot', '1'], "Unknown option '--prot'"],
    [['start'], "Unexpected argument 'start'"],
  ])('refuses %j in one sentence', (argv, sentence) => {
    expect(() => parseOptions(argv, user)).toThrow(sentence);
  });
});
