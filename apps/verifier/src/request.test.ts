import { describe, expect, it } from '@jest/globals';
import { BadRequestError, parseRequest, readRequest, requestBytesMax } from './request.js';

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

describe('readRequest', () => {
  it('stops reading when the request is too large', async () => {
    await expect(readRequest(chunks(3, requestBytesMax / 2))).rejects.toMatchObject({ code: 'REQUEST_TOO_LARGE' });
    await expect(readRequest(chunks(2, 3))).resolves.toBe('aaaaaa');
  });
});
