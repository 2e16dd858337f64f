import { describe, expect, it } from '@jest/globals';
import { FixedClock } from '../../platform/clock.js';
import { LoginThrottle, networkOf } from './login-throttle.js';

const HERE = '192.0.2.1';

function throttled() {
  const clock = new FixedClock(new Date('2026-01-01T00:00:00Z'));
  const throttle = new LoginThrottle(clock);
  const guess = (name: string, address: string): boolean => {
    try {
      throttle.begin(name, address);
      return true;
    } catch {
      return false;
    }
  };
  const guesses = (count: number, name: (at: number) => string, address: (at: number) => string): number =>
    Array.from({ length: count }, (_, at) => guess(name(at), address(at))).filter(Boolean).length;
  return { clock, throttle, guess, guesses };
}

describe('LoginThrottle', () => {
  it('takes ten guesses of a name from an address in a minute, and ten more in the next', () => {
    const { clock, guesses } = throttled();
    const tries = () => guesses(20, () => 'admin', () => HERE); // prettier-ignore
    expect(tries()).toBe(10);
    clock.advance(59_999);
    expect(tries()).toBe(0);
    clock.advance(1);
    expect(tries()).toBe(10);
  });

  it('does not keep a name out because of guesses from elsewhere', () => {
    const { guess, guesses } = throttled();
    guesses(20, () => 'admin', () => HERE); // prettier-ignore
    expect(guess('admin', '192.0.2.2')).toBe(true);
  });

  it('takes sixty guesses from an address, whatever the names, and six hundred from everywhere', () => {
    const { guesses } = throttled();
    expect(guesses(200, String, () => HERE)).toBe(60);
    expect(guesses(1000, String, (at) => `198.51.100.${at % 250}`)).toBe(540);
  });

  it('lets in who was right there before, while a flood from everywhere is refused', () => {
    const { throttle, guess, guesses } = throttled();
    throttle.begin('admin', HERE).succeeded();
    guesses(1000, String, (at) => `198.51.100.${at % 250}`);
    expect(guess('kari', '203.0.113.9')).toBe(false);
    expect(guess('admin', HERE)).toBe(true);
  });

  it('holds nothing against who is right, nor a guess that was never looked at', () => {
    const { throttle, guesses } = throttled();
    for (let time = 0; time < 1000; time++) throttle.begin('admin', HERE).succeeded();
    for (let time = 0; time < 1000; time++) throttle.begin('kari', HERE).giveBack();
    expect(guesses(20, () => 'kari', () => HERE)).toBe(10); // prettier-ignore
  });

  it('takes the addresses of one network of IPv6 for one', () => {
    expect(networkOf('2001:db8:0:7::1')).toBe(networkOf('2001:db8::7:ffff:1:2:3'));
    expect(networkOf('2001:db8:0:7::1')).not.toBe(networkOf('2001:db8:0:8::1'));
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
    expect([networkOf('::ffff:192.0.2.1'), networkOf('192.0.2.1')]).toEqual(['192.0.2.1', '192.0.2.1']);
  });
});
