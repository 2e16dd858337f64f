import { describe, expect, it } from '@jest/globals';
import { parseCommandLine, usage, UsageError } from './command-line.js';

const parse = (line: string, environment: NodeJS.ProcessEnv = {}) =>
  parseCommandLine(
    line.split(' ').filter((word) => word !== ''),
    environment,
  );

describe('the command line of the agent', () => {
  it('reads its commands, with the folder of the packaged unit where none is named', () => {
    expect(parse('run')).toEqual({
      command: 'run',
      state: '/var/lib/bpfleet-agent',
      bpffs: '/sys/fs/bpf',
      kernel: true,
    });
    expect(parse('run --state /s --bpffs /b --no-kernel')).toEqual({
      command: 'run',
      state: '/s',
      bpffs: '/b',
      kernel: false,
    });
    expect(parse('run --btf /boot/vmlinux.btf')).toMatchObject({ kernel: true, btf: '/boot/vmlinux.btf' });
    expect(parse('run', { BPFLEET_AGENT_STATE: '/e' })).toMatchObject({ state: '/e' });
    expect(parse('run --state /s', { BPFLEET_AGENT_STATE: '/e' })).toMatchObject({ state: '/s' });
    expect(parse('doctor')).toEqual({ command: 'doctor', bpffs: '/sys/fs/bpf', json: false });
    expect(parse('doctor --json --bpffs /b')).toEqual({ command: 'doctor', bpffs: '/b', json: true });
    expect(() => parse('run --json')).toThrow(UsageError);
    expect(parse('enrol --server=https://x --token bpf1.a.b.c --replace')).toEqual({
      command: 'enrol',
      server: 'https://x',
      token: 'bpf1.a.b.c',
      state: '/var/lib/bpfleet-agent',
      replace: true,
    });
  });

  it('answers --version and --help anywhere', () => {
    expect(parse('--version')).toEqual({ command: 'version' });
    expect(parse('enrol --help')).toEqual({ command: 'help' });
    expect(usage).toContain('bpfleet-agent enrol --server URL --token TOKEN');
  });

  it.each([
    ['', 'a command is missing'],
    ['start', 'there is no command "start"'],
    ['constructor', 'there is no command "constructor"'],
    ['run now', 'run takes no "now"'],
    ['run --token x', 'run has no option --token'],
    ['enrol --token x', 'enrol needs --server'],
    ['enrol --server https://x', 'enrol needs --token'],
    ['run --stat /x', "Unknown option '--stat'"],
    ['run --state', "'--state <value>' argument missing"],
  ])('refuses "%s" in a sentence', (line, sentence) => {
    expect(() => parse(line)).toThrow(UsageError);
    expect(() => parse(line)).toThrow(sentence);
  });
});
