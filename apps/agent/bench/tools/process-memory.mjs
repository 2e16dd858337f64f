import { readFileSync, writeFileSync } from 'node:fs';

/**
 * What a process holds, in KiB: resident, of that anonymous (its own, which no other process shares and no file gives
 * back), its proportional share of what is shared, and the highest resident size since the last reset.
 * @param {number} pid
 */
export function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  return {
    rssKib: field('VmRSS'),
    anonymousKib: field('RssAnon'),
    proportionalKib: proportionalKib(pid),
    peakKib: field('VmHWM'),
  };
}

/** Absent before 4.14, and where the kernel was built without it. */
function proportionalKib(pid) {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
  } catch {
    return null;
  }
}

/** From here on the peak is counted anew (Documentation/filesystems/proc.rst, clear_refs). */
export function resetPeak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** CPU time of all threads in milliseconds; the kernel counts in ticks of 10. */
export function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
