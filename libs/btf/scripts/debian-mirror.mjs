// The mirror is found beside the rest of what speaks to apt, in the package that must be buildable alone.
export { debianMirror } from '../../node-libbpf/native/debian-apt.mjs';
