/**
 * Flags of Node for an agent that runs (measured by `npm run bench -- agent`). Lite mode compiles nothing to machine code: that
 * costs an agent no measurable CPU, which copies bytes that C++ has made, saves 15 MB, and lets its unit forbid memory
 * that is both writable and executable. WebAssembly is what lite mode cannot have; saying so spares a warning. The heap's
 * limit is some three times what an agent with eight runs uses.
 */
export const runFlags = ['--lite-mode', '--no-expose-wasm', '--max-semi-space-size=1', '--max-old-space-size=64'];
