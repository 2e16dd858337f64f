/** Progress goes to standard error: standard output belongs to what a command was asked for. */
/** @param {string} line */
export function say(line) {
  process.stderr.write(`bpfleet: ${line}\n`);
}

/** One sentence for a person, no stack: thrown by the scripts and printed by `runScript`. */
export class Refusal extends Error {}

/**
 * Runs a script's main function; a Refusal is one sentence and exit code 1.
 * @param {() => Promise<void> | void} main
 */
export async function runScript(main) {
  try {
    await main();
  } catch (error) {
    say(error instanceof Refusal ? error.message : String(/** @type {Error} */ (error).stack ?? error));
    process.exit(1);
  }
}

/** @param {number} sinceMs */
export function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
}
