import SequencerModule from '@jest/test-sequencer';

const Sequencer = /** @type {typeof import('@jest/test-sequencer').default} */ (
  /** @type {any} */ (SequencerModule).default ?? SequencerModule
);

/**
 * The devices of apps/e2e take as long as everything else that boots kernels, and what runs beside them takes only the CPU time
 * that they leave. Jest goes by the size of a file until it has seen how long it takes.
 */
export default class DevicesFirst extends Sequencer {
  /** @override @param {Parameters<InstanceType<typeof Sequencer>['sort']>[0]} tests */
  async sort(tests) {
    const sorted = await super.sort(tests);
    /** @param {{ path: string }} test */
    const rank = ({ path }) => (path.includes('/apps/e2e/') ? 0 : 1);
    return [...sorted].sort((a, b) => rank(a) - rank(b));
  }
}
