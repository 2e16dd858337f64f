/**
 * A name without its flavour: what follows the last `___` that stands between two other characters is the program's own
 * (`task_struct___old` means `task_struct`), so that one object can describe several kernels' versions of a type.
 */
export function essentialName(name: string): string {
  for (let at = name.length - 5; at >= 0; at -= 1) {
    if (name[at] !== '_' && name.startsWith('___', at + 1) && name[at + 4] !== '_') return name.slice(0, at + 1);
  }
  return name;
}
