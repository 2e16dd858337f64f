import { parseTimeSearch, type TimeSearch } from '../ui/time-window.js';

/*
 * What each page keeps in its URL. A parser never throws: links are edited by hand and outlive releases, so what it does
 * not understand is left out and the page shows its default.
 */

export interface DevicesSearch {
  selector?: string;
}

export const deviceTabs = ['runs', 'metrics', 'events', 'profiles', 'facts'] as const;
export type DeviceTab = (typeof deviceTabs)[number];
export const topChoices = [5, 10, 25, 50] as const;

export interface TelemetrySearch extends TimeSearch {
  /** `probe/event` */
  event?: string;
  /** `probe/profile` */
  profile?: string;
  /** How many series a chart shows. */
  top?: number;
  /** Only metrics whose name holds this. */
  metric?: string;
  /** The frame that a flame graph is zoomed to: child indexes joined by dots. */
  frame?: string;
  /** Marks frames by name. */
  find?: string;
}

export interface DeviceSearch extends TelemetrySearch {
  tab?: DeviceTab;
}

export interface ProbesSearch {
  probe?: string;
}

export interface AssignSearch {
  selector?: string;
}

export interface SettingsSearch {
  /** The kernel that devices might move to: a release series, or the id of a kernel group. */
  to?: string | undefined;
  /** Which devices. */
  selector?: string | undefined;
}

export interface NewDebugSearch {
  device?: string;
  release?: string;
  minutes?: number;
}

export interface AuditSearch {
  actor?: string;
  /** Whole, such as `device.revoke`, or its noun. */
  action?: string;
}

export interface DebugRunSearch {
  event?: string;
}

type Raw = Record<string, unknown>;

export function parseDevicesSearch(raw: Raw): DevicesSearch {
  return defined({ selector: text(raw.selector, 1000) });
}

/** A series stays text: as a number 6.10 would be 6.1. */
export function parseSettingsSearch(raw: Raw): SettingsSearch {
  return defined({
    to: matching(raw.to, /^(\d{1,5}\.\d{1,5}|[0-9a-f]{64})$/),
    selector: text(raw.selector, 1000),
  });
}

export function parseDeviceSearch(raw: Raw): DeviceSearch {
  return defined({
    ...parseTimeSearch(raw),
    tab: deviceTabs.find((tab) => tab === raw.tab),
    event: pair(raw.event),
    profile: pair(raw.profile),
    top: topChoices.find((top) => top === Number(raw.top)),
    metric: text(raw.metric, 128),
    frame: typeof raw.frame === 'number' ? String(raw.frame) : matching(raw.frame, /^\d{1,4}(\.\d{1,4}){0,299}$/),
    find: text(raw.find, 128),
  });
}

export function parseProbesSearch(raw: Raw): ProbesSearch {
  return defined({ probe: text(raw.probe, 64) });
}

export function parseAssignSearch(raw: Raw): AssignSearch {
  return defined({ selector: text(raw.selector, 1000) });
}

export function parseNewDebugSearch(raw: Raw): NewDebugSearch {
  const minutes = Number(raw.minutes);
  return defined({
    device: matching(raw.device, /^d[a-z0-9]{8,31}$/),
    release: text(raw.release, 64),
    minutes: Number.isInteger(minutes) && minutes >= 1 && minutes <= 60 ? minutes : undefined,
  });
}

export function parseAuditSearch(raw: Raw): AuditSearch {
  return defined({
    actor: text(raw.actor, 128),
    action: matching(raw.action, /^[a-z-]{1,32}(\.[a-z-]{1,32})?$/),
  });
}

export function parseDebugRunSearch(raw: Raw): DebugRunSearch {
  return defined({ event: text(raw.event, 64) });
}

/** Search parameters are JSON where they can be: `?selector=5` arrives as a number. */
function text(value: unknown, lettersMax: number): string | undefined {
  const string = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
  return typeof string === 'string' && string !== '' && string.length <= lettersMax ? string : undefined;
}

function pair(value: unknown): string | undefined {
  return matching(value, /^[a-z0-9_]{1,64}\/[a-z0-9_]{1,64}$/);
}

function matching(value: unknown, pattern: RegExp): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined;
}

function defined<T extends object>(search: T): T {
  return Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined)) as T;
}
