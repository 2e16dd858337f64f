import { describe, expect, it } from '@jest/globals';
import type { FlameNode } from '@bpfleet/api';
import { frameTotals, layoutFlame, matchedSamples } from './flame-layout.js';

const node = (name: string, value: number, ...children: FlameNode[]): FlameNode => ({ name, value, children });
const tree = node('all', 100, node('b', 30), node('a', 60, node('a1', 20), node('a2', 30, node('deep', 30))));
const box = (layout: ReturnType<typeof layoutFlame>, name: string) => layout.boxes.find((one) => one.name === name);

describe('layoutFlame', () => {
  it('gives each frame its share, the widest first', () => {
    const layout = layoutFlame(tree, '', 0);
    expect(box(layout, 'all')).toMatchObject({ x: 0, width: 1, depth: 0 });
    expect(box(layout, 'a')).toMatchObject({ path: '0', x: 0, width: 0.6, depth: 1 });
    expect(box(layout, 'b')).toMatchObject({ path: '1', x: 0.6, width: 0.3, depth: 1 });
    expect(box(layout, 'a2')).toMatchObject({ path: '0.0', x: 0, width: 0.3 });
    expect(box(layout, 'a1')).toMatchObject({ path: '0.1', x: 0.3 });
    expect(layout).toMatchObject({ depth: 4, total: 100 });
  });

  it('keeps every child inside its parent', () => {
    const { boxes } = layoutFlame(tree, '', 0);
    for (const one of boxes.filter((each) => each.depth > 0)) {
      const parentPath = one.path.includes('.') ? one.path.slice(0, one.path.lastIndexOf('.')) : '';
      const parent = boxes.find((each) => each.path === parentPath);
      expect(one.x).toBeGreaterThanOrEqual(parent?.x ?? 1);
      expect(one.x + one.width).toBeLessThanOrEqual((parent?.x ?? 0) + (parent?.width ?? 0) + 1e-9);
    }
  });

  it('zooms: the focused frame fills the width, and those above it stay to go back', () => {
    const layout = layoutFlame(tree, '0.0', 0);
    expect(box(layout, 'all')).toMatchObject({ width: 1, above: true });
    expect(box(layout, 'a')).toMatchObject({ width: 1, above: true });
    expect(box(layout, 'a2')).toMatchObject({ width: 1, depth: 2, above: false, share: 0.3 });
    expect(box(layout, 'deep')).toMatchObject({ width: 1, depth: 3 });
    expect(box(layout, 'b')).toBeUndefined();
  });

  it('stops at the last frame that is still there when a link names one that is gone', () => {
    expect(box(layoutFlame(tree, '0.7.1', 0), 'a')).toMatchObject({ width: 1, above: false });
  });

  it('leaves out what is too narrow to see, with all below it', () => {
    const layout = layoutFlame(tree, '', 0.25);
    expect(layout.boxes.map((one) => one.name).sort()).toEqual(['a', 'a2', 'all', 'b', 'deep']);
  });

  it('survives a profile without samples and a very deep stack', () => {
    expect(layoutFlame(node('all', 0), '', 0).boxes).toHaveLength(1);
    const deep = Array.from({ length: 5_000 }).reduce<FlameNode>((below) => node('f', 1, below), node('end', 1));
    expect(layoutFlame(deep, '', 0).depth).toBeLessThan(400);
  });
});

describe('frameTotals', () => {
  it('counts a function that calls itself once', () => {
    const recursive = node('all', 10, node('f', 10, node('g', 8, node('f', 6))));
    expect(frameTotals(recursive)).toEqual([
      { name: 'f', self: 8, total: 10 },
      { name: 'g', self: 2, total: 8 },
    ]);
  });
});

describe('matchedSamples', () => {
  it('counts a match within a match once', () => {
    expect(matchedSamples(tree, (name) => name.startsWith('a'))).toBe(60);
    expect(matchedSamples(tree, (name) => name === 'deep' || name === 'b')).toBe(60);
    expect(matchedSamples(tree, () => false)).toBe(0);
  });
});
