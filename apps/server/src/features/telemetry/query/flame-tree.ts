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
export function flameTree(stacks: Iterable<FoldedStack>, nodesMax = NODES_MAX): FlameNode {
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
  return finished(root, prunedTo(root, nodesMax));
}

/** Nodes of a greater value stay; of those that have just this one, so many. */
interface Pruning {
  readonly value: number;
  left: number;
}

function prunedTo(root: Building, nodesMax: number): Pruning {
  const values: number[] = [];
  const collect = (node: Building): void => {
    values.push(node.value);
    for (const child of node.children.values()) collect(child);
  };
  collect(root);
  if (values.length <= nodesMax) return { value: -Infinity, left: 0 };
  values.sort((a, b) => b - a);
  const value = values[nodesMax - 1] as number;
  return { value, left: nodesMax - values.indexOf(value) };
}

/** Nodes of one value are taken as they come, from the root on: each that stays has its parent. */
function finished({ name, value, children }: Building, pruning: Pruning): FlameNode {
  const kept: FlameNode[] = [];
  for (const child of [...children.values()].sort((a, b) => b.value - a.value)) {
    if (child.value < pruning.value || (child.value === pruning.value && pruning.left-- <= 0)) continue;
    kept.push(finished(child, pruning));
  }
  return { name, value, children: kept };
}
