import type { FlameNode } from '@bpfleet/api';

/** One frame as a box: `x` and `width` are shares of the whole width (0 to 1), `depth` 0 is the root. */
export interface FlameBox {
  path: string;
  name: string;
  depth: number;
  x: number;
  width: number;
  value: number;
  /** Share of all samples, also when zoomed. */
  share: number;
  /** True for the frames that hold the focused one. */
  above: boolean;
}

export interface FlameLayout {
  boxes: FlameBox[];
  depth: number;
  total: number;
}

/** Frames deeper than this are not drawn; the kernel itself keeps at most 127. */
const depthMax = 300;

/** A node's children, the widest first; equal ones by name, so that a reload does not shuffle them. */
function ordered(node: FlameNode): FlameNode[] {
  return [...node.children].sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1));
}

/**
 * Boxes of the tree below `focus` (child indexes joined by dots, '' for the root), which fills the width, and of the
 * frames above it. Boxes narrower than `shareMin` of the width are left out with all that is below them.
 */
export function layoutFlame(root: FlameNode, focus: string, shareMin: number): FlameLayout {
  const boxes: FlameBox[] = [];
  const total = root.value;
  const box = (node: FlameNode, path: string, depth: number, x: number, width: number, above: boolean) =>
    boxes.push({
      path,
      name: node.name,
      depth,
      x,
      width,
      value: node.value,
      share: total > 0 ? node.value / total : 0,
      above,
    });

  const { chain, node: focused, path: focusPath } = findFocus(root, focus);
  chain.forEach(({ node, path }, depth) => box(node, path, depth, 0, 1, true));

  let deepest = chain.length;
  const stack = [{ node: focused, path: focusPath, depth: chain.length, x: 0, width: 1 }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { node, path, depth, x, width } = next;
    box(node, path, depth, x, width, false);
    deepest = Math.max(deepest, depth);
    if (depth >= depthMax || node.value <= 0) continue;
    let left = x;
    for (const [index, child] of ordered(node).entries()) {
      const childWidth = (width * child.value) / node.value;
      if (childWidth < shareMin) break;
      stack.push({ node: child, path: join(path, index), depth: depth + 1, x: left, width: childWidth });
      left += childWidth;
    }
  }
  return { boxes, depth: deepest + 1, total };
}

function join(path: string, index: number): string {
  return path === '' ? String(index) : `${path}.${index}`;
}

/** The node named by a path, and those above it. A path that is no longer there ends at the last frame that is. */
function findFocus(root: FlameNode, focus: string) {
  const chain: { node: FlameNode; path: string }[] = [];
  let node = root;
  let path = '';
  for (const step of focus === '' ? [] : focus.split('.')) {
    const child = ordered(node)[Number(step)];
    if (!child) break;
    chain.push({ node, path });
    path = join(path, Number(step));
    node = child;
  }
  return { chain, node, path };
}

export interface FrameTotal {
  name: string;
  /** Samples in which this was the innermost frame. */
  self: number;
  /** Samples in which it was anywhere; recursion counts once. */
  total: number;
}

export function frameTotals(root: FlameNode): FrameTotal[] {
  const totals = new Map<string, FrameTotal>();
  const stack: { node: FlameNode; above: ReadonlySet<string> }[] = root.children.map((node) => ({
    node,
    above: new Set(),
  }));
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { node, above } = next;
    const entry = totals.get(node.name) ?? { name: node.name, self: 0, total: 0 };
    totals.set(node.name, entry);
    entry.self += Math.max(0, node.value - node.children.reduce((sum, child) => sum + child.value, 0));
    if (!above.has(node.name)) entry.total += node.value;
    const inside = new Set(above).add(node.name);
    for (const child of node.children) stack.push({ node: child, above: inside });
  }
  return [...totals.values()].sort((a, b) => b.self - a.self || b.total - a.total);
}

/** Samples of the outermost frames that match, so that a match within a match is not counted twice. */
export function matchedSamples(root: FlameNode, matches: (name: string) => boolean): number {
  let sum = 0;
  const stack = [...root.children];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (matches(node.name)) sum += node.value;
    else stack.push(...node.children);
  }
  return sum;
}
