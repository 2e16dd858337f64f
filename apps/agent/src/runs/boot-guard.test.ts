import { describe, expect, it } from '@jest/globals';
import type { BootRecord } from '../core/boot-guard.js';
import { BootGuard } from './boot-guard.js';

class Device {
  record: BootRecord | undefined;
  readonly logged: string[] = [];
  dumps: string[] = [];
  watchdog = false;
  full = false;
  private boots = 0;
  seconds = 0;

  /** A boot in which the agent attaches something, where it may. */
  boot(): BootGuard {
    this.boots += 1;
    this.seconds = 10;
    const guard = this.agent();
    if (guard.heldUntil === undefined) guard.arm();
    return guard;
  }

  agent(): BootGuard {
    return new BootGuard({
      saved: {
        read: () => this.record,
        write: (record) => {
          if (this.full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
          this.record = record;
        },
        writeSoon: (record) => (this.record = record),
      },
      evidence: { dumps: () => this.dumps, resetByWatchdog: () => this.watchdog },
      now: () => ({ bootId: `boot-${this.boots}`, seconds: this.seconds }),
      log: (_level, event) => this.logged.push(event),
    });
  }
}

describe('the guard of boots', () => {
  it('holds the boot after three that ended early, over restarts of the agent, until it has lasted', () => {
    const device = new Device();
    for (let boot = 0; boot < 3; boot++) expect(device.boot().heldUntil).toBeUndefined();
    expect(device.boot().heldUntil).toEqual({ bootId: 'boot-4', seconds: 1_200 });
    const guard = device.agent();
    expect(guard.heldUntil).toBeDefined();
    expect(device.logged).toEqual(['boot.held', 'boot.held']);
    device.seconds = 1_200;
    guard.tick();
    expect([guard.heldUntil, device.agent().heldUntil]).toEqual([undefined, undefined]);
  });

  it('attaches again after a boot that was held and ended early all the same', () => {
    const device = new Device();
    for (let boot = 0; boot < 4; boot++) device.boot();
    expect(device.boot().heldUntil).toBeUndefined();
  });

  it('forgets them when the device is shut down once', () => {
    const device = new Device();
    for (let boot = 0; boot < 2; boot++) device.boot();
    device.boot().shutDown();
    expect(device.boot().heldUntil).toBeUndefined();
  });

  it('tells a crash by a new dump or by the watchdog, of the boot before this one alone', () => {
    const device = new Device();
    device.watchdog = true;
    expect(device.boot().crash).toBeUndefined();
    expect(device.boot().crash).toBe('the watchdog had to reset it');
    device.watchdog = false;
    device.dumps = ['dmesg-0'];
    expect(device.boot().crash).toContain('crash dump');
    expect(device.agent().crash).toBeUndefined();
    expect(device.boot().crash).toBeUndefined();
    device.dumps = ['dmesg-0', 'dmesg-1'];
    device.agent().shutDown();
    expect(device.boot().crash).toBeUndefined();
  });

  it('does not keep the agent from its work when the disk takes nothing', () => {
    const device = new Device();
    device.full = true;
    expect(device.boot().heldUntil).toBeUndefined();
    expect(new Set(device.logged)).toEqual(new Set(['boot.unwritable']));
  });
});
