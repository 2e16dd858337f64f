const labelName = /^[a-z][a-z0-9_.-]{0,62}$/;
const labelsMax = 32;

/** Reads `site=oslo model=gw-200`; `problem` is a sentence when it cannot. */
export function parseLabels(text: string): { labels: Record<string, string>; problem?: string } {
  const labels: Record<string, string> = {};
  for (const pair of text.split(/[\s,]+/).filter(Boolean)) {
    const split = pair.indexOf('=');
    if (split < 1) return { labels, problem: `“${pair}” is not name=value.` };
    const name = pair.slice(0, split);
    if (!labelName.test(name))
      return { labels, problem: `A label's name is a-z, then a-z 0-9 _ . -, unlike “${name}”.` };
    labels[name] = pair.slice(split + 1);
    if ((labels[name]?.length ?? 0) > 128) return { labels, problem: `The value of ${name} is longer than 128.` };
  }
  const count = Object.keys(labels).length;
  return count > labelsMax ? { labels, problem: `${count} labels are too many: ${labelsMax} at most.` } : { labels };
}
