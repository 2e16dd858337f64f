/** The same name has the same warm colour everywhere, so that the eye finds it again after a zoom. */
export function flameColor(name: string, depth: number): string {
  if (depth === 0) return '#b9c2cf';
  let hash = 2166136261;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  const spread = hash >>> 0;
  return `hsl(${18 + (spread % 34)}, ${62 + ((spread >>> 8) % 16)}%, ${62 + ((spread >>> 16) % 12)}%)`;
}
