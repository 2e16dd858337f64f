import { isIPv6 } from 'node:net';
import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { DomainError } from '../../platform/errors.js';

const WINDOW_MS = 60_000;
const GUESSES_PER_PAIR_MAX = 10;
const GUESSES_PER_ADDRESS_MAX = 60;
const GUESSES_MAX = 600;
const KNOWN_PAIRS_MAX = 10_000;

interface Tally {
  count: number;
  since: number;
}

/** One password that is being tried. It counts as wrong until the caller says otherwise. */
export interface LoginAttempt {
  /** The password was right: nothing of this minute is held against this name at this address. */
  succeeded(): void;
  /** It was never found out whether it is right. */
  giveBack(): void;
}

/**
 * Bounds how many passwords strangers can try, and what trying costs the server. Counted before a password is verified,
 * since what is counted afterwards bounds nobody who asks in parallel; and by name and address together, so that wrong
 * guesses from elsewhere never keep the owner of a name out. Whoever has guessed right from an address before is bounded
 * there by that alone, so that a flood from everywhere leaves the people who work here their way in.
 */
@Injectable()
export class LoginThrottle {
  /** The caps on all guesses and on known pairs bound both: no more keys than that are younger than the window. */
  private readonly pairs = new Map<string, Tally>();
  private readonly addresses = new Map<string, Tally>();
  private readonly known = new Set<string>();
  private all: Tally = { count: 0, since: 0 };

  constructor(private readonly clock: Clock) {}

  /** Throws LOGIN_TOO_MANY (429). */
  begin(name: string, address: string): LoginAttempt {
    const now = this.clock.now().getTime();
    const network = networkOf(address);
    const pair = `${network} ${name}`;
    if (isOver(this.all, now)) this.all = { count: 0, since: now };
    const ofPair = tallyOf(this.pairs, pair, now);
    const ofAddress = tallyOf(this.addresses, network, now);
    const isKnown = this.known.has(pair);
    const isStrangerTooMany = ofAddress.count >= GUESSES_PER_ADDRESS_MAX || this.all.count >= GUESSES_MAX;
    if (ofPair.count >= GUESSES_PER_PAIR_MAX || (!isKnown && isStrangerTooMany)) throw tooMany();
    // Kept only now: what is refused must not fill memory either.
    this.pairs.set(pair, ofPair);
    if (!isKnown) this.addresses.set(network, ofAddress);
    const tallies = isKnown ? [ofPair] : [ofPair, ofAddress, this.all];
    for (const tally of tallies) tally.count += 1;
    const giveBack = () => tallies.forEach((tally) => (tally.count -= 1));
    return {
      giveBack,
      succeeded: () => {
        giveBack();
        this.pairs.delete(pair);
        this.remember(pair);
      },
    };
  }

  private remember(pair: string): void {
    this.known.delete(pair);
    this.known.add(pair);
    const oldest = this.known.values().next().value;
    if (this.known.size > KNOWN_PAIRS_MAX && oldest !== undefined) this.known.delete(oldest);
  }
}

export function tooMany(): DomainError {
  return new DomainError(429, 'LOGIN_TOO_MANY', 'too many passwords are tried from here; wait a minute and try again');
}

/** Tallies are kept in the order in which they began, so that those that are over stand at the front. */
function tallyOf(tallies: Map<string, Tally>, key: string, now: number): Tally {
  for (const [oldest, tally] of tallies) {
    if (!isOver(tally, now)) break;
    tallies.delete(oldest);
  }
  return tallies.get(key) ?? { count: 0, since: now };
}

function isOver({ since }: Tally, now: number): boolean {
  return now - since >= WINDOW_MS || now < since;
}

/** Who has one address of IPv6 has the 2^64 beside it too (RFC 6177); IPv4 may come written as IPv6 (RFC 4291, 2.5.5.2). */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [left = [], right = []] = address.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  const groups = [...left, ...zeros, ...right].slice(0, 4).map((group) => parseInt(group, 16).toString(16));
  return `${groups.join(':')}::/64`;
}
