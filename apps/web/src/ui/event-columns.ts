/** How wide a column is by what it holds, and that numbers stand to the right. */
export function columnWidth(name: string, type: string): { width: string; right?: boolean } {
  if (/^bool/.test(type)) return { width: '70px' };
  if (/^(text|bytea|json)/.test(type)) return { width: 'minmax(120px, 1fr)' };
  if (/^(inet|cidr)/.test(type)) return { width: '140px' };
  if (/^timestamp/.test(type)) return { width: '150px' };
  const digits = /_ns$/.test(name) || /^numeric/.test(type) ? 14 : 8;
  return { width: `${Math.min(150, Math.max(name.length, digits) * 7 + 8)}px`, right: true };
}
