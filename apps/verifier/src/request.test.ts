import { describe, expect, it } from '@jest/globals';
import { BadRequestError, parseRequest, readRequest, readRequests, requestBytesMax } from './request.js';

function refusal(text: string): string {
  try {
    parseRequest(text);
  } catch (error) {
    if (error instanceof BadRequestError) return error.message;
    throw error;
  }
  return 'accepted';
}

async function* chunks(count: number, bytes: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < count; i++) yield Buffer.alloc(bytes, 'a');
}

describe('parseRequest', () => {
  it('fills in what is left out', () => {
    expect(parseRequest('{"objectBase64":"AAEC"}')).toEqual({
      object: Buffer.from([0, 1, 2]),
      globals: new Map(),
      btf: undefined,
      autoload: new Map(),
      logBytesMax: 262144,
    });
  });

  it('takes globals, choices of programs and a log bound', () => {
    const request = {
      objectBase64: '',
      globals: { '.rodata': 'AQ==' },
      btfBase64: 'AgM=',
      programs: { one: { autoload: false } },
      logBytesMax: 4096,
    };
    expect(parseRequest(JSON.stringify(request))).toEqual({
      object: Buffer.alloc(0),
      globals: new Map([['.rodata', Buffer.from([1])]]),
      btf: Buffer.from([2, 3]),
      autoload: new Map([['one', false]]),
      logBytesMax: 4096,
    });
  });

  it.each([
    ['{', 'not JSON'],
    ['[]', 'the request must be an object'],
    ['{}', 'objectBase64 must be standard base64'],
    ['{"objectBase64":"a_b-"}', 'objectBase64 must be standard base64'],
    ['{"objectBase64":"","object":""}', 'unknown member object'],
    ['{"objectBase64":"","globals":{".bss":3}}', 'globals of .bss must be standard base64'],
    ['{"objectBase64":"","btfBase64":7}', 'btfBase64 must be standard base64'],
    ['{"objectBase64":"","programs":{"a":{}}}', 'programs.a.autoload must be a boolean'],
    ['{"objectBase64":"","logBytesMax":1e9}', 'logBytesMax must be an integer'],
  ])('refuses %s', (text, message) => {
    expect(refusal(text)).toContain(message);
  });
});

async function all(input: AsyncIterable<Buffer>): Promise<string[]> {
  const found: string[] = [];
  for await (const one of readRequests(input)) found.push(one instanceof BadRequestError ? one.code : one);
  return found;
}

async function* lines(...pieces: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

describe('readRequest', () => {
  it('stops reading when the request is too large', async () => {
    await expect(readRequest(chunks(3, requestBytesMax / 2))).resolves.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
    await expect(readRequest(chunks(2, 3))).resolves.toBe('aaaaaa');
  });
});

describe('readRequests', () => {
  it('gives line by line, however they come in, and a last one that is not ended', async () => {
    expect(await all(lines('on', 'e\ntwo\n', 'three\nfo', 'ur'))).toEqual(['one', 'two', 'three', 'four']);
    expect(await all(lines('\n', 'one\n'))).toEqual(['', 'one']);
    expect(await all(lines())).toEqual([]);
  });

  it('goes on after a line that is too large', async () => {
    const half = Buffer.alloc(requestBytesMax / 2, 'a');
    const request = lines(half, half, 'a', half, 'a\ntwo', '\n');
    expect(await all(request)).toEqual(['REQUEST_TOO_LARGE', 'two']);
    const [exact, next] = [await all(lines(half, half, '\n', 'x\n')), 'x'];
    expect(exact.map(({ length }) => length)).toEqual([requestBytesMax, next.length]);
  });
});
