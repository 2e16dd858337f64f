import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { which } from '@bpfleet/embedded';
import { describeWithKernel } from '@bpfleet/testkit';

const SCRIPT = join(import.meta.dirname, '../../../../../deploy/agent/install.sh');
/** All but its last command: its functions, to be called one by one. Nothing is installed here. */
const FUNCTIONS = readFileSync(SCRIPT, 'utf8')
  .replace('@SERVER@', "'http://fleet'")
  .replace('@PACKAGES@', "''")
  .replace(/\nmain "\$@"\n$/, '\n');

const CONTENT = Buffer.from('what a device unpacks'.repeat(10_000));
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

let folder: string;
/** Where the device has its programs. */
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-install-'));
  path = process.env.PATH ?? '';
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function sh(commands: string): Promise<{ code: unknown; out: string; said: string }> {
  return new Promise((resolve) => {
    execFile('sh', ['-c', `${FUNCTIONS}\n${commands}`], { env: { PATH: path } }, (error, out, said) => {
      resolve({ code: error?.code ?? 0, out, said });
    });
  });
}

describe('the script', () => {
  it('has its commands in functions, so that half of it does nothing', () => {
    expect(readFileSync(SCRIPT, 'utf8')).toMatch(/\nmain "\$@"\n$/);
    expect(FUNCTIONS).not.toMatch(/^main "/m);
  });
});

describe('what it needs of the disk', () => {
  const room = (freeKib: number, commands: string) =>
    sh(`df() { printf 'Filesystem\\nx 1 1 ${freeKib} 1 %s\\n' "$2"; }\n${commands}`);

  it('is room for the package and for what comes out of it, in one place', async () => {
    const answer = await room(2047, `require_room ${folder}/none 524288 524288`);
    expect(answer).toMatchObject({
      code: 1,
      said: expect.stringContaining('/opt has 2047 KiB free; the agent needs 2048 KiB there'),
    });
    expect(await room(2048, `require_room ${folder}/none 524288 524288`)).toMatchObject({ code: 0 });
  });

  it('counts what an earlier run has fetched already', async () => {
    writeFileSync(join(folder, 'half'), Buffer.alloc(262_144));
    expect(await room(1792, `require_room ${folder}/half 524288 524288`)).toMatchObject({ code: 0 });
  });

  it('is not asked of /tmp, which is small on many boards', () => {
    expect(FUNCTIONS).not.toMatch(/mktemp|TMPDIR|\/tmp\//);
  });
});

describe('a download', () => {
  let http: Server;
  let ranges: (string | undefined)[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  beforeEach(async () => {
    ranges = [];
    answer = serve(CONTENT);
    http = createServer((request, response) => {
      ranges.push(request.headers.range);
      answer(request, response);
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    http.closeAllConnections();
    http.close();
  });

  /** As the package shelf answers. */
  function serve(bytes: Buffer, sendBytesMax = Infinity) {
    return ({ headers }: IncomingMessage, response: ServerResponse): void => {
      const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
      if (from > 0 && from >= bytes.length) return void response.writeHead(416).end();
      const left = bytes.subarray(from);
      response.writeHead(from > 0 ? 206 : 200, {
        'content-length': left.length,
        ...(from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {}),
      });
      if (left.length <= sendBytesMax) return void response.end(left);
      response.write(left.subarray(0, sendBytesMax), () => response.destroy());
    };
  }

  const part = () => join(folder, 'part');
  const fetched = () => (existsSync(part()) ? readFileSync(part()) : undefined);
  const download = (before = '') => {
    const { port } = http.address() as AddressInfo;
    return sh(
      `RETRY_S=0\n${before}\ndownload http://127.0.0.1:${port}/it ${part()} ${sha256(CONTENT)} ${CONTENT.length}`,
    );
  };
  const WITHOUT_CURL = 'has() { [ "$1" != curl ] && command -v "$1" > /dev/null 2>&1; }';

  function byOneProgram(before: string): void {
    it('comes whole, in one go', async () => {
      expect(await download(before)).toEqual({ code: 0, out: '', said: '' });
      expect(fetched()).toEqual(CONTENT);
      expect(ranges).toEqual([undefined]);
    });

    it('goes on where the link dropped, and where an earlier run was ended', async () => {
      writeFileSync(part(), CONTENT.subarray(0, 70_000));
      answer = serve(CONTENT, 50_000);
      expect(await download(before)).toMatchObject({ code: 0 });
      expect(fetched()).toEqual(CONTENT);
      expect(ranges[0]).toBe('bytes=70000-');
      expect(ranges.length).toBeGreaterThan(2);
    });

    it('asks for nothing when all of it is there already', async () => {
      writeFileSync(part(), CONTENT);
      expect(await download(before)).toMatchObject({ code: 0 });
      expect(ranges).toEqual([]);
    });

    it('begins anew, once, where the pieces do not fit together', async () => {
      writeFileSync(part(), Buffer.alloc(70_000));
      expect(await download(before)).toMatchObject({ code: 0, said: expect.stringContaining('fetching it anew') });
      expect(fetched()).toEqual(CONTENT);
    });

    it('is refused, and not kept, when it is whole and not what was built', async () => {
      answer = serve(Buffer.alloc(CONTENT.length));
      expect(await download(before)).toMatchObject({ code: 1, said: expect.stringContaining('nothing was installed') });
      expect([fetched(), ranges.length]).toEqual([undefined, 1]);
    });

    it('gives up a connection on which nothing comes, and goes on', async () => {
      const honest = answer;
      answer = (_request, response) => {
        response.writeHead(200, { 'content-length': CONTENT.length });
        response.write(CONTENT.subarray(0, 1000));
        answer = honest;
      };
      expect(await download(`${before}\nSTALLED_S=2`)).toMatchObject({ code: 0 });
      expect(fetched()).toEqual(CONTENT);
      expect(ranges.length).toBeGreaterThan(1);
    });
  }

  describe.each([
    ['curl', ''],
    ['wget', WITHOUT_CURL],
  ])('by %s', (_name, before) => byOneProgram(before));

  describeWithKernel('by BusyBox, its shell and its programs', ['busybox'], () => {
    beforeEach(() => {
      const programs = join(folder, 'bin');
      mkdirSync(programs);
      for (const name of ['sh', 'wget', 'sha256sum', 'cut', 'wc', 'tr', 'rm', 'sleep', 'grep'])
        symlinkSync(which('busybox') ?? '', join(programs, name));
      path = programs;
    });
    byOneProgram('');
  });

  it('begins anew where a proxy cannot go on in the middle', async () => {
    writeFileSync(part(), CONTENT.subarray(0, 1000));
    answer = (_request, response) => response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT);
    expect(await download()).toMatchObject({ code: 0 });
    expect(fetched()).toEqual(CONTENT);
  });

  it('says after five attempts that it can be gone on with', async () => {
    answer = (_request, response) => void response.destroy();
    const refused = await download();
    expect(refused).toMatchObject({ code: 1, said: expect.stringContaining('run this again to go on') });
    expect(refused.said.match(/trying again/g)).toHaveLength(4);
  });
});

describe('a token for a device that is enrolled', () => {
  const token = (digest: string) => `bpf1.abcdefghijkl.${'0'.repeat(48)}.${digest}`;
  const FIRST = 'f'.repeat(64);
  const ROOT = Buffer.from('the newest root');

  function enrolled(): void {
    mkdirSync(join(folder, 'identity'));
    writeFileSync(join(folder, 'root.json'), ROOT);
    writeFileSync(join(folder, 'identity/device.json'), JSON.stringify({ device: 'dabcdefgh', fleet: FIRST }));
  }
  const ask = (text: string) => sh(`STATE=${folder}\nsystemd_runs() { return 0; }\nrequire_same_fleet ${text}`);

  it.each([
    ['the first root', FIRST],
    ['the newest', sha256(ROOT)],
  ])('is of its fleet when it names %s', async (_which, digest) => {
    enrolled();
    expect(await ask(token(digest))).toEqual({ code: 0, out: '', said: '' });
  });

  it('is refused when it is of another fleet, with the command that moves the device', async () => {
    enrolled();
    const other = token('e'.repeat(64));
    const { code, said } = await ask(other);
    expect(code).toBe(1);
    expect(said).toContain('another fleet');
    expect(said).toContain(
      `\n  bpfleet-agent enrol --server 'http://fleet' --token ${other} --state ${folder} --replace && systemctl restart bpfleet-agent\n`,
    );
  });

  it('must look like one', async () => {
    expect(await sh('require_token bpf1.half')).toMatchObject({
      code: 1,
      said: expect.stringContaining('no enrolment token'),
    });
    expect(await sh(`require_token ${token(FIRST)}`)).toMatchObject({ code: 0 });
  });
});
