import { describe, expect, it } from '@jest/globals';
import { evaluateSelector, parseSelector, SelectorError, selects, type SelectorSubject } from './index.js';

const gateway: SelectorSubject = {
  id: 'dgateway0001',
  name: 'edge-oslo-1',
  labels: { site: 'oslo', ring: 'canary', arch: 'label-of-the-same-name' },
  facts: {
    hostname: 'edge-1',
    machine: 'Raspberry Pi 4',
    distribution: 'Debian 12',
    kernelRelease: '6.1.0-28-arm64',
    kernelArch: 'arm64',
    userBits: 64,
    btfDigest: 'a'.repeat(64),
    jit: 'on',
    lsm: ['lockdown', 'bpf'],
    cpus: 4,
    features: ['ringbuf'],
    agentVersion: '0.1.0',
  },
};
const silent: SelectorSubject = { id: 'dsilent00001', name: 'silent', labels: { site: 'bergen' }, facts: null };

const truth = (text: string, subject = gateway) => evaluateSelector(parseSelector(text), subject);

describe('selector', () => {
  it.each([
    ['', true],
    ['all', true],
    ['arch=arm64 and kernel>=5.10 and site in (oslo,bergen) and btf', true],
    ['arch=x86_64', false],
    ['arch!=x86_64', true],
    ['label.arch=label-of-the-same-name', true],
    ['not btf', false],
    ['site not in (bergen, tromso)', true],
    ['site=bergen or ring=canary', true],
    ['site=bergen or ring=canary and arch=x86_64', false],
    ['(site=bergen or ring=canary) and not arch=x86_64', true],
    ['machine="Raspberry Pi 4"', true],
    ["machine='Raspberry Pi 4'", true],
    ['name=edge-*', true],
    ['name="edge-*"', false],
    ['name=*oslo*', true],
    ['name=*oslo*oslo*', false],
    ['ring', true],
    ['floor', false],
    ['floor!=3', true],
    ['lsm=bpf and feature=ringbuf', true],
    ['lsm!=bpf', false],
    ['cpus>=4 and cpus<8', true],
  ])('%s', (text, expected) => {
    expect(truth(text)).toBe(expected);
  });

  it.each([
    ['kernel>=6.1', true],
    ['kernel=6.1', true],
    ['kernel<=6.1', true],
    ['kernel>6.1', false],
    ['kernel>=6.1.1', false],
    ['kernel<6.10', true],
    ['kernel>=5.15', true],
    ['kernel=6.1.0-28', true],
    ['kernel=6.1.0-29', false],
    ['kernel=6.1*', true],
  ])('compares versions part by part: %s', (text, expected) => {
    expect(truth(text)).toBe(expected);
  });

  it('does not select a device that has not said what is asked, in either direction', () => {
    expect(truth('arch=arm64', silent)).toBeUndefined();
    expect(truth('not arch=arm64', silent)).toBeUndefined();
    expect(truth('arch!=arm64', silent)).toBeUndefined();
    expect(selects(parseSelector('not btf'), silent)).toBe(false);
    expect(truth('site=bergen or arch=arm64', silent)).toBe(true);
    expect(truth('site=oslo and arch=arm64', silent)).toBe(false);
  });

  it('knows a label of a dangerous name from what every object has', () => {
    expect(truth('constructor')).toBe(false);
    expect(truth('label.hasownproperty')).toBe(false);
  });

  it.each([
    ['arch=', 6, 'expected a value, but the selector ends here'],
    ['arch=arm64 site=oslo', 12, 'expected `and`, `or` or the end, but "site" stands here'],
    ['(arch=arm64', 12, 'expected `)`, but the selector ends here'],
    ['site in oslo', 9, 'expected `(` after `in`, but "oslo" stands here'],
    ['site in (oslo bergen)', 15, 'expected `,` or `)`, but "bergen" stands here'],
    ['site>oslo', 5, '`site` has no order'],
    ['cpus>=many', 7, 'expected a whole number'],
    ['kernel>=new', 9, 'expected a version such as 5.10'],
    ['btf=yes', 4, '`btf` is yes or no'],
    ['name="edge', 6, 'this quote is never closed'],
    ['arch=arm64 & btf', 12, '"&" means nothing here'],
    ['and btf', 1, 'expected a field or label'],
    [`${'('.repeat(40)}btf`, 33, 'nested deeper than 32'],
    ['x'.repeat(1001), 1001, 'at most 1000'],
  ])('says where and what is expected: %s', (text, column, reason) => {
    let caught: unknown;
    try {
      parseSelector(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(SelectorError);
    expect((caught as SelectorError).column).toBe(column);
    expect((caught as SelectorError).message).toContain(reason);
  });
});
