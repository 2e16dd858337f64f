import type { FlameNode } from '@bpfleet/api';

/** One stack with how often it was seen; frames from the outermost to the innermost. */
export interface FoldedStack {
  readonly frames: readonly string[];
  readonly count: number;
}

const NODES_MAX = 20_000;

interface Building {
  readonly name: string;
  value: number;
  readonly children: Map<string, Building>;
}

/**
 * The tree of all stacks; a node's value includes its children's. A tree of more than `nodesMax` nodes loses its smallest
 * branches; their counts stay in the node they grew from.
 */
export function flameTree(stacks: readonly FoldedStack[], nodesMax = NODES_MAX): FlameNode {
  const root: Building = { name: 'all', value: 0, children: new Map() };
  for (const { frames, count } of stacks) {
    root.value += count;
    let node = root;
    for (const name of frames) {
      let child = node.children.get(name);
      if (child === undefined) {
        child = { name, value: 0, children: new Map() };
        node.children.set(name, child);
      }
      child.value += count;
      node = child;
    }
  }
  return finished(root, leastValue(root, nodesMax));
}

/** The value below which nodes are left out. */
function leastValue(root: Building, nodesMax: number): number {
  const values: number[] = [];
  const collect = (node: Building): void => {
    values.push(node.value);
    for (const child of node.children.values()) collect(child);
  };
  collect(root);
  if (values.length <= nodesMax) return 0;
  values.sort((a, b) => b - a);
  return (values[nodesMax] as number) + 1;
}

function finished({ name, value, children }: Building, least: number): FlameNode {
  const kept = [...children.values()].filter((child) => child.value >= least).sort((a, b) => b.value - a.value);
  return { name, value, children: kept.map((child) => finished(child, least)) };
}
